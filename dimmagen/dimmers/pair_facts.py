"""What a profile remembers of the images that it was fitted to: their brightness, sizes, files and camera.

It is part of the provenance, so a profile's fingerprint does not cover it, and profiles from elsewhere may
hold anything in its place.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dimmagen.core.text import one_line
from dimmagen.dimmers.profile import Profile
from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.images.codec import lightness

KEY = "pictures"  # in the provenance of a profile
MOST_LISTED = 17  # lightnesses of more pairs are kept as so many quantiles
_MOST_NAMES = 8

_Lightness = Annotated[float, Field(ge=0, le=1)]


class PairFacts(BaseModel):
    """The images of a profile's pairs, in few numbers.

    Attributes:
        files: `jpeg` if all dark files are JPEGs, `decoded` if all are or were JPEGs before they were stored
            in another format, `lossless` if none was, otherwise `mixed`.
        sizes: width and height of the images, each once, the most frequent first.
        cameras: as the EXIF data of the dark files names them, each once; empty if it names none.
        dark, light: lightness of the dark and of the light images in [0, 1], ascending; of more than 17
            pairs, evenly spaced quantiles.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    files: Literal["jpeg", "decoded", "lossless", "mixed"]
    sizes: Annotated[list[tuple[int, int]], Field(min_length=1)]
    cameras: list[str]
    dark: Annotated[list[_Lightness], Field(min_length=1)]
    light: Annotated[list[_Lightness], Field(min_length=1)]

    @classmethod
    def of(cls, pairs: Sequence[RealPair]) -> Self:
        """The facts of pairs, at least one."""
        return cls(
            files=_files_of(pairs),
            sizes=_most_frequent((pair.dark.shape[1], pair.dark.shape[0]) for pair in pairs),
            cameras=_most_frequent(pair.camera for pair in pairs if pair.camera),
            dark=_ascending([lightness(pair.dark) for pair in pairs]),
            light=_ascending([lightness(pair.light) for pair in pairs]),
        )

    @classmethod
    def of_profile(cls, profile: Profile) -> Self | None:
        """The facts that a profile remembers; None if it remembers none, as profiles of former versions."""
        try:
            return cls.model_validate(profile.provenance.get(KEY))
        except ValidationError:
            return None

    def differences(self, other: Self) -> list[str]:
        """How other pairs differ in kind from these, which are those of a profile: "they ..."."""
        found = []
        if _FILES[self.files] != _FILES[other.files]:
            found.append(f"are {_FILES[other.files]}, the profile's are {_FILES[self.files]}")
        mine, others = (max(width * height for width, height in one.sizes) for one in (self, other))
        if not 0.5 <= others / mine <= 2:
            found.append(f"have {_sizes(other.sizes)} pixels, the profile's have {_sizes(self.sizes)}")
        if self.cameras and other.cameras and not set(self.cameras) & set(other.cameras):
            found.append(
                f"are of {one_line(', '.join(other.cameras))}, the profile's of "
                f"{one_line(', '.join(self.cameras))}"
            )
        return found


def former_jpegs(pairs: Sequence[RealPair]) -> str:
    """What a fit makes of dark files that are no longer JPEGs, as a sentence; empty if there are none."""
    qualities = sorted(pair.jpeg_quality for pair in pairs if pair.was_jpeg)
    if not qualities:
        return ""
    some = "the" if len(qualities) == len(pairs) else f"{len(qualities)} of {len(pairs)}"
    found = f"{some} dark images are decoded from JPEGs of about quality {qualities[len(qualities) // 2]}"
    if all(pair.jpeg_quality for pair in pairs):
        return f"{found}: the profile compresses as they were compressed"
    return f"{found}, the others never were JPEGs: the profile does not compress"


def _files_of(pairs: Sequence[RealPair]) -> Literal["jpeg", "decoded", "lossless", "mixed"]:
    are_compressed = {pair.jpeg_quality > 0 for pair in pairs}
    if len(are_compressed) > 1:
        return "mixed"
    if are_compressed == {False}:
        return "lossless"
    return "decoded" if any(pair.was_jpeg for pair in pairs) else "jpeg"


_FILES = {
    "jpeg": "JPEG files, whose noise is compressed",
    "decoded": "JPEG files, whose noise is compressed",  # the same kind, whatever the format since
    "lossless": "files without compression losses",
    "mixed": "files with and without compression losses",
}


def _most_frequent(values: Iterable[Any]) -> list[Any]:
    """Each value once, the most frequent first; only the first few."""
    listed = list(values)
    return sorted(dict.fromkeys(listed), key=lambda value: -listed.count(value))[:_MOST_NAMES]


def _ascending(values: Sequence[float]) -> list[float]:
    ordered = sorted(values)
    if len(ordered) > MOST_LISTED:
        ordered = np.quantile(ordered, np.linspace(0, 1, MOST_LISTED)).tolist()
    return [round(value, 4) for value in ordered]


def _sizes(sizes: Sequence[tuple[int, int]]) -> str:
    more = " and others" if len(sizes) > 1 else ""
    return f"{sizes[0][0]}x{sizes[0][1]}{more}"
