"""Errors that a user can expect, and how they are reported.

Every message says what is wrong, where, and what to do about it. Where it refers to an argument of the call
that failed, the argument's name stands in backticks, with a value where one is suggested: ``
`samples_per_shard` ``, `` `device="cpu"` ``. A notebook shows this as it is; the command line replaces it
with the option of that name (:mod:`dimmagen.cli.command`) and prints no traceback: :class:`UsageError` ends
with exit code 2, every other :class:`DimmagenError` with exit code 1.

For programs, an error has a `code` that stays the same when the wording changes, and `fields` with its
values.
"""

from typing import Any


class DimmagenError(Exception):
    """Something that the user can understand and correct.

    Args:
        what: what is wrong and where; one sentence without a full stop.
        todo: what to do about it; one sentence without a full stop, may be empty.
        code: stable name of this kind of error, such as `out-of-range`; default the class's.
        fields: values that the message is about, such as `parameter="variants", value=0`.

    Attributes:
        exit_code: of the command line.
    """

    exit_code = 1
    code = "failed"

    def __init__(self, what: str, todo: str = "", *, code: str = "", **fields: Any) -> None:
        super().__init__(f"{what}: {todo}" if todo else what)
        self.what = what
        self.todo = todo
        self.code = code or self.code
        self.fields = fields

    def __reduce__(self) -> tuple:
        """Errors travel between processes; subclasses may take other arguments than the message."""
        return _restore, (type(self), self.args, self.__dict__)


def _restore(kind: type[DimmagenError], args: tuple, state: dict) -> DimmagenError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class UsageError(DimmagenError):
    """The call asks for something that is not possible: a wrong value, an unknown name, a missing folder."""

    exit_code = 2
    code = "usage"


class UnknownNameError(UsageError):
    """There is nothing of that name; the message suggests the nearest known ones."""

    code = "unknown-name"


class UnavailableError(DimmagenError):
    """A place does not answer. This says nothing about what is stored there: it is never reported as
    damage."""

    code = "unavailable"


class RefusedError(UnavailableError, UsageError):
    """A place refuses access: no such bucket, wrong credentials, or no permission."""

    exit_code = 2
    code = "refused"
