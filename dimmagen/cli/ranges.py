"""Options that are numbers, `A:B` ranges, or `A,B,C` lists."""

import math

import click


class Number(click.FloatRange):
    """A number in a range, as click's, which lets `nan` pass."""

    def convert(self, value, param, context) -> float:
        number = super().convert(value, param, context)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no finite number", param, context)
        return number


class Range(click.ParamType):
    """Two numbers A <= B, written `A:B`.

    Args:
        positive: whether A must be above 0.
    """

    name = "A:B"

    def __init__(self, positive: bool = False) -> None:
        self.positive = positive

    def convert(self, value, param, context) -> tuple[float, float]:
        if isinstance(value, tuple):
            return value
        try:
            low, high = (float(part) for part in str(value).split(":"))
        except ValueError:
            self.fail(f"{value!r} is not of the form A:B, such as 0.3:2.0", param, context)
        if not (low > 0 if self.positive else low >= 0) or not low <= high < float("inf"):
            self.fail(f"{value!r} must have 0 {'<' if self.positive else '<='} A <= B", param, context)
        return low, high


class Rungs(click.ParamType):
    """Different positive numbers, written `A,B,C`; none is the empty tuple."""

    name = "A,B,C"

    def convert(self, value, param, context) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not of the form A,B,C, such as 0.3,1,2", param, context)
        if len(set(numbers)) != len(numbers) or not all(0 < number < float("inf") for number in numbers):
            self.fail(f"{value!r} must have different numbers above 0", param, context)
        return numbers
