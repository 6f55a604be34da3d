"""Which dark and light images belong together by their names, and the names of the pairs."""

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dimmagen.core.errors import UsageError
from dimmagen.images.pair_names import sid_scene, side_of_word, words
from dimmagen.sources.other_formats import counted_others

PairPaths = tuple[Path, Path]
"""The dark file and the light file."""

_MAX_LISTED = 12  # names in a message


@dataclass(frozen=True, slots=True)
class FoundPairs:
    """The files of some pairs.

    Attributes:
        files: by the name of the pair, in order.
        note: one sentence on what of the given folder was taken, if not all of it; may be empty.
    """

    files: dict[str, PairPaths]
    note: str = ""


@dataclass(frozen=True, slots=True)
class MatchingRule:
    """How the file names of the two sides belong together.

    Attributes:
        title: for docs/pairs.md.
        dark, light: the key of a file, from its path below its side's folder without the extension; None if
            the rule does not fit the name. Files of equal keys are a pair.
        many: several dark images may have one light image.
    """

    title: str
    dark: Callable[[PurePosixPath], Hashable | None]
    light: Callable[[PurePosixPath], Hashable | None]
    many: bool = False


def without_first(path: PurePosixPath) -> Hashable | None:
    first, *rest = words(path.name) or ("",)
    return (path.parent, *rest) if side_of_word(first) else None


def without_last(path: PurePosixPath) -> Hashable | None:
    *rest, last = words(path.name) or ("",)
    return (path.parent, *rest) if side_of_word(last) else None


def _whole_name(path: PurePosixPath) -> Hashable | None:
    return (path.parent, *words(path.name))


def _sid_scene(path: PurePosixPath) -> Hashable | None:
    scene = sid_scene(path.name)
    return (path.parent, scene) if scene else None


def _folder(path: PurePosixPath) -> Hashable | None:
    return path.parent if path.parent.name else None


MATCHING_RULES = (
    MatchingRule("the same name: `low/1.png`, `high/1.png`", lambda path: path, lambda path: path),
    MatchingRule(
        "the same name after the side's: `low00001.png`, `normal00001.png`", without_first, without_first
    ),
    MatchingRule(
        "the same name before the side's: `desk_low.jpg`, `desk_high.jpg`", without_last, without_last
    ),
    MatchingRule(
        "the light image's name and the dark side's: `low/desk_low.jpg`, `high/desk.jpg`",
        without_last,
        _whole_name,
    ),
    MatchingRule(
        "the dark image's name and the light side's: `input/desk.jpg`, `gt/desk_gt.jpg`",
        _whole_name,
        without_last,
    ),
    MatchingRule(
        "SID's scene: `short/00001_00_0.1s.png`, `short/00001_00_0.04s.png`, `long/00001_00_10s.png`",
        _sid_scene,
        _sid_scene,
        many=True,
    ),
    MatchingRule(
        "SMID's folder of a scene: `short/0001/*.png`, the only image of `long/0001/`",
        _folder,
        _folder,
        many=True,
    ),
    MatchingRule(
        "a folder of dark images, named as the light one: `short/0001/*.png`, `long/0001.png`",
        _folder,
        lambda path: path,
        many=True,
    ),
)
"""All of them are tried; exactly one way of pairing must leave no image alone."""


def rules_table() -> str:
    """The rules as a Markdown list, for docs/pairs.md."""
    return "\n".join(f"- {rule.title}" for rule in MATCHING_RULES)


def natural(name: str) -> list[tuple[int, str]]:
    """Sort key of the natural order, in which 9 comes before 10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name) if part]


def name_pairs(files: Sequence[PairPaths], root: Path) -> dict[str, PairPaths]:
    """Names for pairs: their light file's without extension, if all differ; or else their dark file's.

    Where these are not unique either, it is the dark file's path below `root`.
    """
    for name_of in (
        lambda pair: pair[1].stem,
        lambda pair: pair[0].stem,
        lambda pair: _below(pair[0], root).with_suffix("").as_posix(),
    ):
        named = {name_of(pair): pair for pair in files}
        if len(named) == len(files):
            return named
    return {str(pair[0]): pair for pair in files}


def _below(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path


def named_pairs(files: Iterable[PairPaths], root: Path) -> dict[str, PairPaths]:
    named = name_pairs(list(files), root)
    return {name: named[name] for name in sorted(named, key=natural)}


def matched_files(
    where: str, darks: dict[Path, Hashable], lights: dict[Path, Hashable], many: bool = False
) -> list[PairPaths]:
    """The pairs of equal keys.

    Raises:
        UsageError: an image has no partner, or two that would do; `fields["count"]` says how many.
    """
    dark_counts, light_counts = Counter(darks.values()), Counter(lights.values())
    twice = [path for path, key in lights.items() if key is not None and light_counts[key] > 1]
    twice += [path for path, key in darks.items() if key is not None and dark_counts[key] > 1 and not many]
    alone = [path for path, key in darks.items() if key is None or key not in light_counts]
    alone += [path for path, key in lights.items() if key is None or key not in dark_counts]
    if alone or twice:
        what = "images without a partner" if alone else "several images for one place in a pair"
        raise UsageError(
            f"{where} has {what}: {listed(sorted((path.name for path in alone or twice), key=natural))}",
            "name the two images of a pair alike, or list the pairs in a CSV file (docs/pairs.md)",
            code="unsuitable-pairs",
            path=where,
            count=len(alone) + len(twice),
        )
    light_of = {key: path for path, key in lights.items()}
    return [(path, light_of[key]) for path, key in darks.items()]


def not_read(names: Iterable[str]) -> str:
    """A note on images that are not read, such as RAW files next to a camera's JPEGs; empty without any."""
    others = counted_others(names)
    return f"left out, as such files are not read: {others}" if others else ""


def listed(names: Iterable[str]) -> str:
    """The first names, and the number of the others."""
    known = list(names)
    more = f" and {len(known) - _MAX_LISTED} more" if len(known) > _MAX_LISTED else ""
    return ", ".join(known[:_MAX_LISTED]) + more
