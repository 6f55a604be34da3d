"""The user's choices among the candidates: which become light images, and in which size.

They come after the rules of the sources and hold for every source.
"""

import os
import posixpath
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dimmagen.core import storage
from dimmagen.core.errors import UsageError
from dimmagen.core.file_names import common_form, portable
from dimmagen.core.text import decoded
from dimmagen.images import codec
from dimmagen.images.cropping import center_crop
from dimmagen.sources import rules
from dimmagen.sources.rules import ACCEPTED, Verdict, rejected

SIZE_STEP = re.compile(r"(reduce|short|crop)([1-9][0-9]{0,8})")
"""A step of a transform, which may be anybody's, that changes the size: CLIC's `reduce`, or one of a user."""
_CHOSEN_STEP = re.compile(r"(short|crop)([1-9][0-9]{0,8})")
_MAX_NAMES = 3  # of missing files in a message


@dataclass(frozen=True, slots=True)
class PhotoSelection:
    """Choices that are the same for all sources.

    Attributes:
        min_lightness: mean lightness that a light image must have, in [0, 1].
        resize: length in pixels to which the short side is reduced (Lanczos); smaller images keep their size.
        crop: side in pixels of the central square that is kept; smaller images are rejected.
        limit: maximum number of light images, the first in canonical order: a larger one only adds to them.
        names: the only files that are candidates: names as in the catalog, or paths; None for all.
        follow_links: whether links that lead out of the folder of a source are read.
        max_side: longest side in pixels that the format of the dark images can hold; None for any.

    Raises:
        UsageError: a number is out of its range.
    """

    min_lightness: float = rules.MIN_LIGHTNESS
    resize: int | None = None
    crop: int | None = None
    limit: int | None = None
    names: frozenset[str] | None = None
    follow_links: bool = False
    max_side: int | None = None

    def __post_init__(self) -> None:
        for name, least in {"resize": rules.MIN_SIDE, "crop": rules.MIN_SIDE, "limit": 1}.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise UsageError(
                    f"`{name}` is {value}",
                    f"give a number from {least} on",
                    code="out-of-range",
                    parameter=name,
                    value=value,
                )

    def describe(self) -> dict[str, int]:
        """Those that decide the files of a MixHQ besides `min_lightness`, as its manifest records them."""
        chosen = {name: getattr(self, name) for name in ("resize", "crop", "limit")}
        given = {name: value for name, value in chosen.items() if value is not None}
        return {**given, **({"follow_links": True} if self.follow_links else {})}

    def choices(self) -> dict[str, Any]:
        """Those that are not the default and decide which photos a data set has, as its manifest names them.

        A list of names is `True`: the manifest does not have it.
        """
        chosen = {
            "min_lightness": None if self.min_lightness == rules.MIN_LIGHTNESS else self.min_lightness,
            "follow_links": self.follow_links or None,
            "limit": self.limit,
            "names": self.names is not None or None,
        }
        return {name: value for name, value in chosen.items() if value is not None}

    def apply_size(self, pixels: np.ndarray) -> tuple[np.ndarray, list[str], Verdict]:
        """Resize and crop a light image.

        Args:
            pixels: uint8 (H, W, 3).

        Returns:
            uint8 (H', W', 3), the names of the steps that changed it, and the verdict.
        """
        steps = []
        height, width, _ = pixels.shape
        if self.resize and min(height, width) > self.resize:
            steps.append(f"short{self.resize}")
            height, width = resized_size(height, width, self.resize)
        if self.crop:
            if min(height, width) < self.crop:
                reason = f"{width}x{height} is smaller than the crop of {self.crop}x{self.crop}"
                return pixels, [], rejected("crop", reason)
            if (height, width) != (self.crop, self.crop):
                steps.append(f"crop{self.crop}")
                height = width = self.crop
        verdict = self.judge_stored(width, height)
        if not verdict.accepted:
            return pixels, [], verdict
        return apply_size_steps(pixels, steps), steps, ACCEPTED

    def judge_stored(self, width: int, height: int) -> Verdict:
        """The verdict on a light image that is stored already, in pixels."""
        if self.max_side and max(height, width) > self.max_side:
            reason = f"{width}x{height} is more than the {self.max_side} pixels that WebP can hold"
            return rejected("webp-size", reason)
        return ACCEPTED


def apply_size_steps(pixels: np.ndarray, steps: Sequence[str]) -> np.ndarray:
    """Do the steps of a transform that :meth:`PhotoSelection.apply_size` named; others are ignored.

    Args:
        pixels: uint8 (H, W, 3).
        steps: such as `["exif", "short512", "crop256"]`.
    """
    for match in filter(None, map(_CHOSEN_STEP.fullmatch, steps)):
        side = int(match[2])
        if match[1] == "crop":
            pixels = center_crop(pixels, side)
        else:
            height, width = resized_size(pixels.shape[0], pixels.shape[1], side)
            pixels = codec.resize(pixels, width, height)
    return pixels


def size_options(steps: Sequence[str]) -> dict[str, int]:
    """The values of `resize` and `crop` that lead to the steps of a transform."""
    names = {"short": "resize", "crop": "crop"}
    return {names[match[1]]: int(match[2]) for match in filter(None, map(_CHOSEN_STEP.fullmatch, steps))}


def resized_size(height: int, width: int, short: int) -> tuple[int, int]:
    """(height, width) of an image whose short side is reduced to `short` pixels."""
    scale = short / min(height, width)
    return max(short, round(height * scale)), max(short, round(width * scale))


def read_names(path: str) -> frozenset[str]:
    """The lines of a text file or a pipe, without the empty ones.

    Raises:
        UsageError: the file is missing, is not UTF-8 text, or has no line.
    """
    try:
        text = decoded(storage.read_once(path))
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist", "check the path", code="missing-path", path=path) from None
    except UnicodeDecodeError:
        raise UsageError(
            f"{path} is not a text file in UTF-8",
            "give one file name per line, as plain text in UTF-8",
            code="wrong-format",
            path=path,
        ) from None
    names = frozenset(line for line in text.splitlines() if line.strip())
    if not names:
        raise UsageError(f"{path} names no file", "give one file name per line", code="no-match", path=path)
    return names


class ListedFiles:
    """Finds the files that a list names, and the names for which there is no file.

    Args:
        names: as written in the list: paths below the source, or paths of files.
    """

    def __init__(self, names: frozenset[str]) -> None:
        self._by_name = {posixpath.normpath(name.replace(os.sep, "/")): name for name in names}
        self._by_path = {os.path.abspath(name): name for name in names}
        self._by_form = {common_form(key): name for key, name in (self._by_path | self._by_name).items()}
        self._missing = set(names)

    def test_of(self, path: str) -> Callable[[str], bool]:
        """A function that says whether a file of a source, by its name there, is listed.

        Args:
            path: of the source.
        """
        root = None if storage.is_url(path) else portable(os.path.abspath(path))

        def is_listed(name: str) -> bool:
            path = "" if root is None else os.path.join(root, *name.split("/"))
            listed = self._by_name.get(name) or self._by_path.get(path)
            if listed is None:  # a list that was written on another system
                listed = self._by_form.get(common_form(name)) or self._by_form.get(common_form(path))
            if listed is None:
                return False
            self._missing.discard(listed)
            return True

        return is_listed

    def refuse_missing(self) -> None:
        """Raise a UsageError that names files of the list that no source has, if there are any."""
        if self._missing:
            some = sorted(self._missing)[:_MAX_NAMES]
            more = f" and {len(self._missing) - len(some)} more" if len(self._missing) > len(some) else ""
            raise UsageError(
                f"the list names files that the sources do not have: {', '.join(some)}{more}",
                "give names as in the catalog (the path below the source), or paths",
                code="missing-path",
                names=some,
            )
