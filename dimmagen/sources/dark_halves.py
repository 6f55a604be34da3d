"""The dark halves of pairs that lie among photos: `low/desk.jpg` beside `high/desk.jpg` is no light image."""

import posixpath
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from dimmagen.images.pair_names import Side, side_of

_Key = tuple[str | tuple[str, ...], ...]


def dark_halves(names: Iterable[str]) -> dict[str, str]:
    """The files whose name says that they are the dark image of a pair, with the light image that is there.

    The two paths are equal but for the words that name the sides, in folders, in the names of the files, or
    in both (:mod:`dimmagen.images.pair_names`).

    Args:
        names: POSIX paths below a source.

    Example:
        >>> dark_halves(["Low/low1.png", "Normal/normal1.png", "desk_dark.jpg", "night/owl.jpg"])
        {'Low/low1.png': 'Normal/normal1.png'}
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
    parts = [*map(_part, folder.lower().split("/")), _side_of_file(base.lower().rpartition(".")[0])]
    sides = {side for side, _ in parts if side}
    return (sides.pop(), tuple(rest for _, rest in parts)) if len(sides) == 1 else None


def _side_of_file(stem: str) -> tuple[Side | None, str | tuple[str, ...]]:
    found = side_of(stem)
    return found if found else (None, stem)


_part = lru_cache(4096)(_side_of_file)
