"""Sizes of exported images: the window that is cut out of both sides of a pair, and what a reader needs.

A window lies in the middle, is a function of the size alone, and is cut without resampling, so that noise
keeps its statistics and all variants of a photo show the same part of it.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from dimmagen.core.errors import UsageError

Size = tuple[int, int]
"""(height, width), pixels."""


@dataclass(frozen=True, slots=True)
class Fit:
    """The size to which images are cut: exactly (`height`, `width`), or to multiples of a number of pixels.

    Attributes:
        height, width: of every image; 0 with `multiple`.
        multiple: the largest window whose sides are multiples of this number.
    """

    height: int = 0
    width: int = 0
    multiple: int = 0

    def size(self, size: Size) -> Size | None:
        """The size of the window for an image of this size; None if the image is too small for one."""
        height, width = size
        if self.multiple:
            window = (height - height % self.multiple, width - width % self.multiple)
        else:
            window = (self.height, self.width)
        return window if 0 < window[0] <= height and 0 < window[1] <= width else None

    def __str__(self) -> str:
        return f"multiple:{self.multiple}" if self.multiple else f"{self.width}x{self.height}"


def parse_fit(text: str) -> Fit:
    """The fit that a user writes as `600x400` (width, then height) or `multiple:8`.

    Raises:
        UsageError: it is neither.
    """
    exact = re.fullmatch(r"([1-9]\d{0,4})[x×]([1-9]\d{0,4})", text.strip().lower())
    multiple = re.fullmatch(r"multiple:([1-9]\d{0,4})", text.strip().lower())
    if exact:
        return Fit(height=int(exact[2]), width=int(exact[1]))
    if multiple:
        return Fit(multiple=int(multiple[1]))
    raise UsageError(
        f"`fit` is {text!r}",
        "give a size such as 600x400 (width x height), or multiple:8",
        code="out-of-range",
        parameter="fit",
        value=text,
    )


def cut(pixels: np.ndarray, size: Size) -> np.ndarray:
    """The central window of an image, (H, W, 3) -> (height, width, 3), as a view."""
    top, left = ((whole - part) // 2 for whole, part in zip(pixels.shape[:2], size, strict=True))
    return pixels[top : top + size[0], left : left + size[1]]


@dataclass(frozen=True, slots=True)
class SizeRule:
    """What a reader needs of the images of one split, with the options that its repository has.

    Attributes:
        shortest: least length of a side, pixels.
        multiple: both sides are multiples of this number.
        exact: (height, width) of every image; None for any size.
        equal: all images have one size, because whole images are put into one batch.
    """

    shortest: int = 0
    multiple: int = 1
    exact: Size | None = None
    equal: bool = False

    def fault(self, size: Size) -> str:
        """What is wrong with one image of this size, such as `is not 600x400`; empty if nothing is."""
        if self.exact and size != self.exact:
            return f"is not {size_text(self.exact)}"
        if min(size) < self.shortest:
            return f"has a side shorter than {self.shortest} pixels"
        if any(side % self.multiple for side in size):
            return f"has sides that are not multiples of {self.multiple}"
        return ""

    def faults(self, sizes: Iterable[tuple[str, Size]]) -> Iterator[str]:
        """One sentence for each image that the reader cannot take, and one if the sizes have to be equal.

        Args:
            sizes: path and size of every image of the split.
        """
        found = list(sizes)
        for path, size in found:
            if fault := self.fault(size):
                yield f"{path}: {size_text(size)} {fault}"
        if self.equal and len({size for _, size in found}) > 1:
            yield f"{found[0][0]} and its neighbours have {self.mixture(size for _, size in found)}"

    @staticmethod
    def mixture(sizes: Iterable[Size]) -> str:
        """Words for sizes that should be equal: `3 sizes: 600x400 (12x), ...`."""
        counts = Counter(sizes).most_common()
        shown = ", ".join(f"{size_text(size)} ({count}x)" for size, count in counts[:3])
        return f"{len(counts)} sizes: {shown}" + (", ..." if len(counts) > 3 else "")

    def __str__(self) -> str:
        parts = [
            f"exactly {size_text(self.exact)}" if self.exact else "",
            f"sides of at least {self.shortest}" if self.shortest else "",
            f"sides that are multiples of {self.multiple}" if self.multiple > 1 else "",
            "one size for all images" if self.equal else "",
        ]
        return ", ".join(filter(None, parts)) or "any size"


ANY_SIZE = SizeRule()


def size_text(size: Size) -> str:
    """`600x400` for a height of 400 and a width of 600."""
    return f"{size[1]}x{size[0]}"
