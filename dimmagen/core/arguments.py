"""Arguments of public functions: of the kind that is meant, as plain Python values, or refused by name.

A number of numpy would end in a manifest that JSON cannot hold, `None` would be a folder of that name, and a
word that nobody knows would be ignored silently.
"""

import inspect
import math
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import wraps
from numbers import Integral, Real
from os import PathLike, fspath
from typing import Any, ParamSpec, TypeVar

from dimmagen.core.errors import UsageError
from dimmagen.core.registry import unknown_name

Kind = Callable[[str, Any], Any]
"""Gives the value that is meant, for the name of an argument and what was given, or raises a UsageError."""

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def converted(
    kinds: dict[str, Kind],
) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """A decorator: arguments that are named here are converted before the function has them.

    Args:
        kinds: by the name of the argument; names that the function does not have are ignored.
    """

    def decorate(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        signature = inspect.signature(function)

        @wraps(function)
        def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError:  # Python's own message names the function, and a misspelt argument first
                return function(*args, **kwargs)
            for name, value in bound.arguments.items():
                if name in kinds:
                    bound.arguments[name] = kinds[name](name, value)
            return function(*bound.args, **bound.kwargs)

        return call

    return decorate


def _refusal(name: str, value: Any, todo: str) -> UsageError:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    return UsageError(f"`{name}` is {shown}", todo, code="usage", parameter=name, value=shown)


def optional(kind: Kind) -> Kind:
    """The kind, or None."""
    return lambda name, value: None if value is None else kind(name, value)


def whole(name: str, value: Any) -> int:
    """A whole number, also of numpy."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise _refusal(name, value, "give a whole number")
    return int(value)


def at_least(least: int) -> Kind:
    """A whole number of at least so much."""

    def kind(name: str, value: Any) -> int:
        number = whole(name, value)
        if number < least:
            raise _refusal(name, value, f"give a whole number from {least}")
        return number

    return kind


from_zero, positive = at_least(0), at_least(1)


def plain(name: str, value: Any) -> Any:
    """A whole number of numpy as one of Python, and anything else as it is, for checks that follow."""
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    return int(value) if is_whole else value


def number(name: str, value: Any) -> float:
    """A number, also of numpy; a whole one stays one. It need not be finite: ranges are checked elsewhere."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise _refusal(name, value, "give a number")
    return int(value) if isinstance(value, Integral) else float(value)


def share(name: str, value: Any) -> float:
    """A number from 0 to 1."""
    found = number(name, value)
    if not 0 <= found <= 1:
        raise _refusal(name, value, "give a number from 0 to 1")
    return found


def span(name: str, value: Any) -> tuple[float, float]:
    """Two numbers, the smaller one first."""
    ends = numbers(name, value)
    if len(ends) != 2 or not ends[0] <= ends[1] < math.inf:
        raise _refusal(name, value, "give the lowest and the highest value, such as (0.5, 1.5)")
    return ends[0], ends[1]


def number_or_span(name: str, value: Any) -> float | tuple[float, float]:
    """A number, or two of them, the smaller one first."""
    return number(name, value) if isinstance(value, Real) else span(name, value)


def numbers(name: str, value: Any) -> tuple[float, ...]:
    """Several numbers, of any iterable but a text."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise _refusal(name, value, "give a list of numbers")
    return tuple(number(name, one) for one in value)


def distinct(name: str, value: Any) -> tuple[float, ...]:
    """Several numbers that are all different."""
    found = numbers(name, value)
    if len(set(found)) != len(found):
        raise _refusal(name, value, "give each number once")
    return found


def flag(name: str, value: Any) -> bool:
    """True or False, also of numpy, or 1 or 0; a text such as `no` would be true."""
    if type(value).__name__ in ("bool", "bool_") or (isinstance(value, Integral) and value in (0, 1)):
        return bool(value)
    raise _refusal(name, value, "give True or False")


def function(name: str, value: Any) -> Callable[..., Any]:
    """Something that can be called."""
    if not callable(value):
        raise _refusal(name, value, "give a function")
    return value


def word(name: str, value: Any) -> str:
    """A text."""
    if not isinstance(value, str):
        raise _refusal(name, value, "give a text")
    return str(value)


def one_of(known: Collection[str]) -> Kind:
    """One of some words."""

    def kind(name: str, value: Any) -> str:
        if not isinstance(value, str) or value not in known:
            raise unknown_name(name.replace("_", " "), str(value), known)
        return str(value)

    return kind


def path(name: str, value: Any) -> str:
    """A path, a URL or a name, as text or of pathlib."""
    text = fspath(value) if isinstance(value, str | PathLike) else None
    if not isinstance(text, str) or "\0" in text:
        raise _refusal(name, value, "give a path, as text or of pathlib")
    if not text:
        raise UsageError(
            f"`{name}` is empty", "give a path; . is this folder", code="missing-argument", parameter=name
        )
    return str(text)


def texts(name: str, value: Any) -> list[str]:
    """Paths or names; a single one is one, and not a sequence of letters."""
    if isinstance(value, str | PathLike):
        value = [value]
    if isinstance(value, bytes) or not isinstance(value, Iterable) or hasattr(value, "columns"):
        raise _refusal(name, value, "give a text or a path, or a list of them")
    found = []
    for one in value:
        text = fspath(one) if isinstance(one, str | PathLike) else None
        if not isinstance(text, str):
            raise _refusal(name, one, "give a text or a path, or a list of them")
        found.append(str(text))
    return found


def methods(names: Sequence[str]) -> Kind:
    """An object with some methods."""

    def kind(name: str, value: Any) -> Any:
        missing = [one for one in names if not callable(getattr(value, one, None))]
        if missing:
            raise _refusal(name, value, f"give an object with the methods {', '.join(names)}")
        return value

    return kind
