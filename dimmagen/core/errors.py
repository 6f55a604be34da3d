"""Errors that a user can expect, and how they are reported.

Every message says what is wrong, where, and what to do about it. Where it refers to an argument of the call
that failed, the argument's name stands in backticks, with a value where one is suggested: ``
`samples_per_shard` ``, `` `device="cpu"` ``. A notebook shows this as it is; the command line replaces it
with the option of that name (:mod:`dimmagen.cli.command`) and prints no traceback: :class:`UsageError` ends
with exit code 2, every other :class:`DimmagenError` with exit code 1.

For programs, an error has a `code` that stays the same when the wording changes, and `fields` with its
values.
"""

import traceback
from collections.abc import Callable, Sequence
from typing import Any, Self

CODES = {
    "ambiguous": "something can be read in several ways",
    "archive": "an archive cannot be read: damaged, compressed as a whole, or of an unknown kind",
    "cluster": "a Ray cluster cannot be started, joined or reached",
    "conflict": "two arguments exclude each other",
    "damaged": "a file is damaged, or was changed since it was written",
    "device": "there is no such device, or the model does not run on it",
    "disk": "a file system is full, read-only or fails",
    "diverged": "training gave a loss or gradient that is not finite",
    "failed": "anything else that went wrong",
    "interrupted": "a signal, such as Ctrl-C, asked the command to end",
    "invalid-name": "a name has characters that it cannot have",
    "locked": "another run is writing to the folder",
    "machine": "the memory, a disk, a network or a limit of this machine failed; the data may be sound",
    "missing-argument": "an argument is missing, or empty",
    "missing-package": "an optional package is not installed, or fails",
    "missing-path": "there is no file or folder at a path, or it is of the wrong kind",
    "name-taken": "a name, or a folder that should be new, exists already",
    "no-match": "nothing is left: no candidate is accepted, no pair is selected",
    "no-room": "a folder holds something else than what should be written there",
    "nothing-to-resume": "there is no run to continue",
    "other-environment": "this machine would make other bytes than the one that made a data set",
    "other-settings": "a folder holds a run of other settings, or inputs are not the recorded ones",
    "out-of-range": "a value is outside its range",
    "own-output": "a source is something that dimmagen itself has written",
    "plugin-broken": "a plug-in cannot be imported, or is not complete",
    "refused": "a place refuses access: no such bucket, wrong credentials, or no permission",
    "source-changed": "a source file is gone, or no longer what was indexed",
    "too-small": "an image, or the number of images, is too small for what is asked",
    "unavailable": "a place does not answer",
    "unfinished": "a data set or MixHQ is not complete",
    "unknown-name": "there is nothing of that name",
    "unreadable-image": "an image cannot be decoded to 8-bit RGB",
    "unsafe": "a file holds something that could run code or leave its folder",
    "unsuitable-pairs": "pairs do not fit together, or cannot be fitted",
    "usage": "any other call that is not possible",
    "worker-lost": "workers died too often",
    "wrong-format": "a file is of another kind or schema version",
}
"""Every code that an error of the library can have, and what it means; documented in docs/api.md."""


class Ways(str):
    """What to do about an error: one of several ways, of which a caller may not have all.

    A way that names an argument is left out by a command without that option (:mod:`dimmagen.cli.command`),
    so one of them should name none.

    Example:
        >>> todo = Ways.of("close other programs", "give fewer `workers`", then="try again")
        >>> todo
        'close other programs, or give fewer `workers`; then try again'
        >>> todo.only(lambda way: "`" not in way)
        'close other programs; then try again'
    """

    ways: tuple[str, ...]
    then: str
    join_ways: Callable[[Sequence[str]], str]

    @classmethod
    def of(cls, *ways: str, then: str = "", join_ways: Callable[[Sequence[str]], str] | None = None) -> Self:
        """The text of some ways.

        Args:
            ways: one or more.
            then: what follows each of them.
            join_ways: makes one text of them, a function of a module; default `a, b, or c`.
        """
        join_ways = join_ways or _alternatives
        text = join_ways(ways)
        made = cls(f"{text}; then {then}" if then else text)
        made.ways, made.then, made.join_ways = ways, then, join_ways
        return made

    def only(self, is_possible: Callable[[str], bool]) -> str:
        """The text of the ways that are possible; of all if none is."""
        possible = tuple(filter(is_possible, self.ways))
        return self.of(*possible, then=self.then, join_ways=self.join_ways) if possible else self


def _alternatives(ways: Sequence[str]) -> str:
    *before, last = ways
    return f"{', '.join(before)}, or {last}" if before else last


def sentence(what: str, todo: str) -> str:
    """What is wrong and what to do about it as one text; several lines are followed by another one."""
    return ("\n" if "\n" in what else ": ").join(filter(None, (what, todo)))


class DimmagenError(Exception):
    """An expected failure, with a message that says what is wrong, where, and what to do.

    Args:
        what: what is wrong and where; one sentence without a full stop.
        todo: what to do about it; one sentence without a full stop, may be empty. Of several ways, of which
            not all callers have each, :class:`Ways`.
        code: stable name of this kind of error, such as `out-of-range`; default the class's.
        fields: values that the message is about, such as `parameter="variants", value=0`.

    Attributes:
        exit_code: of the command line.
    """

    exit_code = 1
    code = "failed"

    def __init__(self, what: str, todo: str = "", *, code: str = "", **fields: Any) -> None:
        super().__init__(sentence(what, todo))
        self.what = what
        self.todo = todo
        self.code = code or self.code
        self.fields = fields

    def __reduce__(self) -> tuple:
        """Errors travel between processes; subclasses may take other arguments than the message."""
        return _restore, (type(self), self.args, self.__dict__)


def fault_of(error: BaseException) -> str:
    """An error that nobody foresaw, in one line: its type, its text and where it was raised.

    Args:
        error: that was caught.
    """
    frames = traceback.extract_tb(error.__traceback__)
    where = f", at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())}{where}"


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


class MachineError(UnavailableError):
    """The machine failed while something was read: a disk, a network, the memory, or a limit."""

    code = "machine"
