"""Errors a user can expect, and how they are told.

Every message says what is wrong, where, and what to do. The command line prints them without a traceback:
:class:`UsageError` ends with exit code 2, every other :class:`DimmagenError` with exit code 1.
"""


class DimmagenError(Exception):
    """Something that the user can understand and mend.

    Args:
        what: what is wrong and where, one sentence without a full stop.
        todo: what to do about it, one sentence without a full stop; may be empty.
    """

    exit_code = 1

    def __init__(self, what: str, todo: str = "") -> None:
        super().__init__(f"{what}: {todo}" if todo else what)
        self.what = what
        self.todo = todo


class UsageError(DimmagenError):
    """The command was asked for something that cannot be: wrong option, unknown name, missing folder."""

    exit_code = 2


class UnavailableError(DimmagenError):
    """A place does not answer. This says nothing about what lies there: it must never be told as damage."""


class RefusedError(UnavailableError, UsageError):
    """A place refuses us: no such bucket, wrong credentials, or no right to do this."""

    exit_code = 2
