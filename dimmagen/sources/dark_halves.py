"""The dark halves of pairs among photos: `low/desk.jpg` next to `high/desk.jpg` is not a light image.

Names alone do not say so: `low tide.jpg` and `high tide.jpg` are two photos. What the names pair must show
one scene, and the dark image must be the darker one.
"""

import posixpath
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache

import numpy as np
from PIL import Image

from dimmagen.images.pair_names import Side, side_of

# Of the local contrast of two images: 87 dark images of three cameras have at least 0.84 with their light one
# (0.74 if 2 % of its sides are cut off), images of different scenes at most 0.46 (4024 pairs).
SAME_SCENE_CORRELATION = 0.6
DARKER = 0.9  # mean level of the dark image by that of the light one, at most; of the 87 at most 0.57
_SIDE = 16
_LOCAL = 2.0  # thumbnail pixels; removes what most photos share, such as a bright sky above

_Key = tuple[str | tuple[str, ...], ...]


def dark_halves(names: Iterable[str]) -> dict[str, str]:
    """The files whose name says that they are the dark image of a pair, with the light image that is there.

    The two paths are equal but for the words that name the sides, in folders, in the names of the files, or
    in both (:mod:`dimmagen.images.pair_names`).

    Args:
        names: POSIX paths below a source.

    Example:
        >>> dark_halves(["Low/low1.png", "Normal/normal1.png", "aDark.jpg", "aLight.jpg", "night/owl.jpg"])
        {'Low/low1.png': 'Normal/normal1.png', 'aDark.jpg': 'aLight.jpg'}
    """
    sides: dict[Side, dict[_Key, list[str]]] = {"dark": {}, "light": {}}
    for name in names:
        if found := _side_and_key(name):
            sides[found[0]].setdefault(found[1], []).append(name)
    lights = sides["light"]
    return {name: lights[key][0] for key, darks in sides["dark"].items() if key in lights for name in darks}


def _side_and_key(name: str) -> tuple[Side, _Key] | None:
    """The side that a path names, and the path without its words for sides; None for none and for both."""
    folder, base = posixpath.split(unicodedata.normalize("NFC", name))
    parts = [*map(_part, folder.split("/")), _side_of_file(base.rpartition(".")[0])]
    sides = {side for side, _ in parts if side}
    return (sides.pop(), tuple(rest for _, rest in parts)) if len(sides) == 1 else None


def _side_of_file(stem: str) -> tuple[Side | None, str | tuple[str, ...]]:
    found = side_of(stem)
    return found if found else (None, stem.lower())


_part = lru_cache(4096)(_side_of_file)


def thumbnail(name: str, pixels: np.ndarray) -> bytes:
    """What :class:`DarkHalves` compares: the 16x16 grey levels of an image; empty if its name says no side.

    Args:
        name: POSIX path below a source.
        pixels: uint8 (H, W, 3) RGB.
    """
    if _side_and_key(name) is None:
        return b""
    small = Image.fromarray(pixels).resize((_SIDE, _SIDE), Image.Resampling.BOX, reducing_gap=3.0)
    return small.convert("L").tobytes()


def is_dark_half(dark: bytes, light: bytes) -> bool:
    """Whether an image shows the scene of another one, and is darker.

    Args:
        dark, light: from :func:`thumbnail`.
    """
    from scipy.ndimage import gaussian_filter  # slow to import, and few photos have such names

    levels = [np.frombuffer(one, np.uint8).reshape(_SIDE, _SIDE) for one in (dark, light)]
    if levels[0].mean() > DARKER * levels[1].mean():
        return False
    logs = [np.log1p(one.astype(np.float64)) for one in levels]
    first, second = (one - gaussian_filter(one, _LOCAL) for one in logs)
    size = np.sqrt((first**2).sum() * (second**2).sum())
    return bool(size > 0 and (first * second).sum() >= SAME_SCENE_CORRELATION * size)


class DarkHalves:
    """The dark halves among the files of some sources, by their names and by what they show.

    The files of two folders (`low/` and `high/`) are halves together, if half of those that can be compared
    or more are; files of one folder (`desk_low.jpg` and `desk_high.jpg`) are decided pair by pair. Where
    nothing can be compared, because no light image can be read, the names count.

    Args:
        names: POSIX paths below each source, by its name.
    """

    def __init__(self, names: Mapping[str, Iterable[str]]) -> None:
        self._lights = {
            (source, dark): light
            for source, some in names.items()
            for dark, light in dark_halves(some).items()
        }
        self._wanted = {*self._lights, *((source, light) for (source, _), light in self._lights.items())}
        self._thumbnails: dict[tuple[str, str], bytes] = {}

    def __bool__(self) -> bool:
        return bool(self._lights)

    def add(self, source: str, name: str, small: bytes) -> None:
        """Take the :func:`thumbnail` of a file, if it is needed."""
        if small and (source, name) in self._wanted:
            self._thumbnails[source, name] = small

    def decide(self) -> None:
        """Keep those that the thumbnails confirm; to be called once, after all were added."""
        votes: dict[tuple[str, ...], Counter[bool]] = {}
        for (source, dark), light in self._lights.items():
            small, other = self._thumbnails.get((source, dark)), self._thumbnails.get((source, light))
            if small and other:
                group = _group(source, dark, light)
                votes.setdefault(group, Counter())[is_dark_half(small, other)] += 1
        refuted = {group for group, vote in votes.items() if vote[True] < vote[False]}
        self._lights = {
            (source, dark): light
            for (source, dark), light in self._lights.items()
            if _group(source, dark, light) not in refuted
        }
        self._thumbnails.clear()

    def light_of(self, source: str, name: str) -> str | None:
        """The name of the light image whose dark half a file is; None if it is none."""
        return self._lights.get((source, name))


def _group(source: str, dark: str, light: str) -> tuple[str, ...]:
    """What is decided together."""
    folders = posixpath.dirname(dark), posixpath.dirname(light)
    return (source, *folders) if folders[0] != folders[1] else (source, dark)
