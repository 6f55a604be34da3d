"""A profile in a terminal of 80 columns: the verdict on it, and its curves as drawings of characters."""

import sys
import textwrap
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from dimmagen.dimmers.base import DimmerModel, Draw
from dimmagen.evaluation.profile_check import NOT_CHECKED, ProfileCheck

WIDTH = 79
_BLOCKS = " ▁▂▃▄▅▆▇█"
_ASCII_BLOCKS = "    .::##"
_COLUMNS, _ROWS = 33, 8  # of one drawing
_GAP = "   "
_RAMP_ROWS = 128  # pixels per light level of the ramp that the curves are measured on


def check_lines(check: ProfileCheck | None) -> list[str]:
    """The verdict with its numbers, or that there is none, in lines of at most 79 characters."""
    if check is None:
        return wrapped(NOT_CHECKED)
    heads = ("", "profile", "plain", "camera itself")
    table = [
        f"  {name:<20}{profile:>10}{linear:>10}{limit:>16}"
        for name, profile, linear, limit in (heads, *check.rows())
    ]
    return [*wrapped(f"Verdict: {check.verdict} {check.advice}"), *table]


def wrapped(text: str) -> list[str]:
    """A text in lines of at most 79 characters."""
    return textwrap.wrap(text, WIDTH)


def curve_lines(model: DimmerModel) -> list[str]:
    """Two drawings side by side, over the light level: the mean dark level, and the deviation of the noise.

    Both are measured on a grey ramp that the model dims at gamma 1.
    """
    levels, deviations = dimmed_ramp(model)
    blocks = _BLOCKS if _has(_BLOCKS) else _ASCII_BLOCKS
    left = _drawing("dark level at each light level", levels, blocks)
    right = _drawing("noise, grey levels", deviations, blocks)
    return [f"{one}{_GAP}{other}".rstrip() for one, other in zip(left, right, strict=True)]


def dimmed_ramp(model: DimmerModel) -> tuple[np.ndarray, np.ndarray]:
    """Mean dark level and deviation of the dark pixels at gamma 1, of each grey light level: float (256,)."""
    light = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], _RAMP_ROWS, axis=0).repeat(3, axis=2)
    draw = Draw(gamma=1.0, tau=model.tau, exposure=1.0, noise_seed=1)
    dark = model.dim(np.ascontiguousarray(light), draw).astype(np.float64)
    return dark.mean((0, 2)), dark.std(0).mean(1)


def _drawing(title: str, values: np.ndarray, blocks: str) -> list[str]:
    """A bar for each column, in lines of equal length: title, rows with a scale at their left, axis."""
    edges = np.linspace(0, len(values), _COLUMNS + 1).round().astype(int)
    means = [float(values[start:stop].mean()) for start, stop in pairwise(edges)]
    top = max(max(means), 1e-6)
    scale = f"{top:.0f}" if top >= 10 else f"{top:.1f}"
    rows = [
        "".join(_cell(mean / top * _ROWS - row, blocks) for mean in means) for row in reversed(range(_ROWS))
    ]
    scales = [scale, *[""] * (_ROWS - 2), "0"]
    lines = [f"{mark:>4} {row}" for mark, row in zip(scales, rows, strict=True)]
    axis = f"     0{'255':>{_COLUMNS - 1}}"
    return [f"     {title:<{_COLUMNS}}", *lines, axis]


def _cell(height: float, blocks: str) -> str:
    """A character for the part of a bar in one row; 0 is empty, 1 and more is full."""
    return blocks[int(np.clip(round(height * 8), 0, 8))]


def _has(characters: Sequence[str]) -> bool:
    """Whether what is printed can have these characters."""
    try:
        "".join(characters).encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
