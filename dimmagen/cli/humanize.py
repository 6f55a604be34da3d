"""Numbers for people: sizes and times with three digits and their interval, counts with nouns."""

from collections.abc import Sequence

from dimmagen.generate.estimate.estimate import Interval

_Units = tuple[tuple[float, str], ...]
_SIZES: _Units = ((1, "bytes"), (1e3, "kB"), (1e6, "MB"), (1e9, "GB"), (1e12, "TB"), (1e15, "PB"))
_TIMES: _Units = ((1e-3, "ms"), (1, "s"), (60, "min"), (3600, "h"), (86400, "days"))


def size(count: float | Interval) -> str:
    """A number of bytes in a unit that is a power of 1000, such as `1.08 MB`."""
    return _format_quantity(count, _SIZES)


def duration(seconds: float | Interval) -> str:
    """Seconds in a unit from milliseconds to days, such as `90 s`."""
    return _format_quantity(seconds, _TIMES)


def money(amount: Interval) -> str:
    """An amount in any currency, with two digits and its interval."""
    return f"{amount.expected:,.2f} ({amount.low:,.2f} to {amount.high:,.2f})"


def _format_quantity(amount: float | Interval, units: _Units) -> str:
    expected = amount.expected if isinstance(amount, Interval) else amount
    # The smaller unit is used up to twice the larger one: 90 s rather than 1.5 min.
    scale, unit = next((u for u in reversed(units) if expected >= 2 * u[0]), units[0])
    if not isinstance(amount, Interval):
        return f"{_digits(amount / scale)} {unit}"
    low, high = _digits(amount.low / scale), _digits(amount.high / scale)
    return f"{_digits(expected / scale)} {unit} ({low} to {high})"


def _digits(number: float) -> str:
    return f"{number:,.0f}" if number >= 99.95 else f"{number:.3g}"


def shorten(lines: Sequence[str], limit: int = 20) -> list[str]:
    """The first lines of a list, followed by the number of the others."""
    more = len(lines) - limit
    return [*lines[:limit], f"... and {more} more"] if more > 0 else list(lines)
