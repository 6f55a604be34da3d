"""Finding the files of dark/light pairs in folders, in any of the layouts that people have them in.

Nothing is guessed: where two layouts fit, or an image has no partner, the call is refused with what was
found.
"""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NoReturn

from dimmagen.core.errors import UsageError
from dimmagen.core.system_files import is_system_name, is_system_path
from dimmagen.core.text import pluralize
from dimmagen.dimmers.pair_matching import (
    MATCHING_RULES,
    FoundPairs,
    PairPaths,
    listed,
    matched_files,
    named_pairs,
    not_read,
    without_first,
    without_last,
)
from dimmagen.images.codec import IMAGE_EXTENSIONS
from dimmagen.images.pair_names import (
    EVALUATION_NAMES,
    TRAINING_NAMES,
    Side,
    evaluation_beside_training,
    is_evaluation,
    is_sid_evaluation,
    is_training,
    known_pair_names,
    side_of,
    side_of_word,
    words,
)

_DEPTH = 4  # of folders above the sides: LOL-v2/Real_captured/Train/Low has two
_LEADING_ZEROS = re.compile(r"(?<![\d.])0+(?=\d)")

# Of two folders in a pattern that a message shows: the dark one first, as far as their names tell.
_ORDER: dict[Side | None, int] = {"dark": 0, None: 1, "light": 2}

_Form = Callable[[str], str]
"""What is compared of a name."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where pairs may be: the folders of the two sides, or one folder for both.

    Attributes:
        dark, light: folders; equal for pairs side by side in one folder.
        below: the path of the place from the folder that was given, with the other words of its names.
    """

    dark: Path
    light: Path
    below: str

    @property
    def kin(self) -> tuple[Path, str, str]:
        """Equal for the splits of one data set: folders side by side, each with the same two folders."""
        return self.dark.parent.parent, self.dark.name.lower(), self.light.name.lower()

    @property
    def text(self) -> str:
        parent = f"{self.dark.parent}{os.sep}"
        return (
            f"{self.dark}" if self.dark == self.light else f"{parent}{{{self.dark.name},{self.light.name}}}"
        )


def pairs_of_folder(folder: Path) -> FoundPairs:
    """The pairs of a folder, which may be a data set with splits: its training split is taken.

    Raises:
        UsageError: there are no pairs, there are several sets of them, or an image has no partner.
    """
    places = list(_places(folder, folder, _DEPTH)) or list(_places(folder, folder, _DEPTH, _of_one_split))
    if not places:
        raise _nothing_found(folder)
    chosen = _for_training(places)
    if not chosen:
        raise UsageError(
            f"{folder} holds only an evaluation split: {listed(place.text for place in places)}",
            "give that folder itself to use them",
            code="missing-path",
            path=str(folder),
        )
    if len(chosen) > 1:
        raise UsageError(
            f"{folder} can be read as several sets of pairs: {listed(place.text for place in chosen)}",
            "give the folder that holds one of them, or for several a CSV file or a pattern such as "
            f"'{folder}/{{scene}}/dark.* -> {folder}/{{scene}}/light.*' (docs/pairs.md)",
            code="ambiguous",
            path=str(folder),
        )
    files = _pairs_of_place(chosen[0])
    training, left = _without_evaluation(files, chosen[0])
    notes = _note(folder, chosen[0], places, left), _beside(chosen[0], places), not_read(_names(chosen[0]))
    return FoundPairs(training, "; ".join(filter(None, notes)))


def _for_training(places: Sequence[_Place]) -> list[_Place]:
    """The places outside of evaluation splits; only that of the training split, if there is one."""
    others = [place for place in places if not is_evaluation(place.below)]
    training = [place for place in others if is_training(place.below)]
    if len(training) != 1:
        return others
    return training + [place for place in others if place.kin != training[0].kin]


def _without_evaluation(files: dict[str, PairPaths], place: _Place) -> tuple[dict[str, PairPaths], list[str]]:
    """The pairs of the training split where the sides have folders of both (`low/train/`, `low/test/`), or
    the names of SID, whose first digit is the split.

    Returns:
        The pairs, and the names of the folders, or the patterns of the files, that are left out.
    """
    below = {name: light.relative_to(place.light).parts[:-1] for name, (_, light) in files.items()}
    split = {name: folders[0] if folders else "" for name, folders in below.items()}
    left = evaluation_beside_training(split.values())
    kept = [pair for name, pair in files.items() if split[name] not in left]
    training = [pair for pair in kept if not is_sid_evaluation(pair[1].stem)]
    if training and len(training) < len(kept):
        left += sorted({f"{light.stem[0]}*" for _, light in kept if is_sid_evaluation(light.stem)})
        kept = training
    return (named_pairs(kept, place.dark) if left else files), left


def _note(folder: Path, place: _Place, places: Sequence[_Place], left: Sequence[str]) -> str:
    if len(places) == 1 and not left and folder in (place.dark, place.dark.parent):
        return ""
    others = [other.text for other in places if other is not place]
    left_out = listed([*others, *(f"{place.text}{os.sep}{name}" for name in left)])
    others_told = f", the training split, and not those of {left_out}" if left_out else ""
    return f"the pairs are those of {place.text}{others_told}"


def _beside(place: _Place, places: Sequence[_Place]) -> str:
    """A note on folders of images next to the two that are used, such as those of FiveK's other experts."""
    if place.dark == place.light:
        return ""
    sides = [path for one in places for path in (one.dark, one.light)]
    inner = (path for path in _listing(place.dark.parent) if path.is_dir())
    others = [path for path in inner if not any(side.is_relative_to(path) for side in sides)]
    names = [f"{path.name}/" for path in others if any(map(_is_image, _files(path)))]
    return f"left out, as their names say no side: {listed(names)}" if names else ""


def _places(
    folder: Path, given: Path, depth: int, of_one_set: Callable[[tuple[str, ...]], tuple[str, ...]] = tuple
) -> Iterator[_Place]:
    """All places in a folder where pairs may be.

    Args:
        folder: to search.
        given: the folder that the user gave.
        depth: of folders to search below it.
        of_one_set: from the words of a folder's name without its side, those that its partner has as well.
    """
    below = folder.relative_to(given).as_posix()
    inner = [path for path in _listing(folder) if path.is_dir()]
    used: set[Path] = set()
    for rest, found_sides in _sides(inner, of_one_set).items():
        for dark in found_sides["dark"]:
            for light in found_sides["light"]:
                used |= {dark, light}
                yield _Place(dark, light, " ".join((below, *rest)))
    if _side_by_side(folder):
        yield _Place(folder, folder, below)
    if depth:
        for path in inner:
            if path not in used:
                yield from _places(path, given, depth - 1, of_one_set)


def _sides(
    folders: Sequence[Path], of_one_set: Callable[[tuple[str, ...]], tuple[str, ...]]
) -> dict[tuple[str, ...], dict[Side, list[Path]]]:
    """The folders of both sides by the words that they have in common."""
    sides: dict[tuple[str, ...], dict[Side, list[Path]]] = {}
    for path in folders:
        if found := side_of(path.name):
            sides.setdefault(of_one_set(found[1]), {"dark": [], "light": []})[found[0]].append(path)
    return sides


def _of_one_split(rest: tuple[str, ...]) -> tuple[str, ...]:
    """The words for splits: `low_blur` and `high_sharp` are one set, `low_train` and `high_test` are not."""
    return tuple(word for word in rest if word in EVALUATION_NAMES | TRAINING_NAMES)


def _listing(folder: Path) -> list[Path]:
    try:
        return sorted(
            (path for path in folder.iterdir() if not is_system_name(path.name)), key=lambda p: p.name
        )
    except PermissionError as error:
        _cannot_list(error)


def _cannot_list(error: OSError) -> NoReturn:
    raise UsageError(
        f"{error.filename} cannot be read ({error.strerror})",
        "correct its permissions, or give a folder inside it",
        code="missing-path",
        path=str(error.filename),
    ) from None


def _files(side: Path) -> Iterator[Path]:
    """All files below a folder, also behind links to folders; each folder once."""
    visited = set()
    for folder, folders, files in os.walk(side, onerror=_cannot_list, followlinks=True):
        real = os.path.realpath(folder)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        folders.sort()
        yield from (Path(folder, name) for name in files)


def _names(place: _Place) -> Iterator[str]:
    """The files of a place, below its sides."""
    if place.dark == place.light:
        yield from (path.name for path in _listing(place.dark) if not path.is_dir())
        return
    for side in (place.dark, place.light):
        below = (path.relative_to(side).as_posix() for path in _files(side))
        yield from (name for name in below if not is_system_path(name))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_EXTENSIONS


def _side_by_side(folder: Path) -> list[dict[Side, dict[Path, Hashable]]]:
    """The images of a folder that holds both sides with their keys, in every way that its names suggest."""
    images = [path for path in _listing(folder) if _is_image(path) and not path.is_dir()]
    readings: list[dict[Side, dict[Path, Hashable]]] = []
    for position, key_of in ((-1, without_last), (0, without_first)):
        sides: dict[Side, dict[Path, Hashable]] = {"dark": {}, "light": {}}
        for path in images:
            parts = words(path.stem)
            if parts and (side := side_of_word(parts[position])):
                sides[side][path] = key_of(PurePosixPath(path.stem))
        if {*sides["dark"].values()} & {*sides["light"].values()}:
            alone = [path for path in images if path not in sides["dark"] and path not in sides["light"]]
            readings.append({"dark": sides["dark"] | dict.fromkeys(alone), "light": sides["light"]})
    return readings


def _pairs_of_place(place: _Place) -> dict[str, PairPaths]:
    complete, fewest = _complete(place, lambda name: name)
    for form in (_of_any_system, _without_zeros):
        if not complete:
            complete, _ = _complete(place, form)
    if len(complete) > 1:
        raise UsageError(
            f"the images of {place.text} can be paired by their names in several ways",
            "list the pairs in a CSV file",
            code="ambiguous",
            path=place.text,
        )
    if not complete:
        assert fewest is not None
        raise fewest
    return named_pairs(complete[0], place.dark)


def _of_any_system(name: str) -> str:
    """A name without what two systems write differently: case and accents."""
    return unicodedata.normalize("NFC", name).casefold()


def _without_zeros(name: str) -> str:
    """The same, with numbers as numbers: `0009` is `9`."""
    return _LEADING_ZEROS.sub("", _of_any_system(name))


def _complete(place: _Place, form: _Form) -> tuple[list[list[PairPaths]], UsageError | None]:
    """Every way of pairing that leaves no image alone, and the error of the best one that does."""
    complete: list[list[PairPaths]] = []
    fewest: UsageError | None = None
    for darks, lights, many in _readings(place, form):
        try:
            found = sorted(matched_files(place.text, darks, lights, many))
        except UsageError as error:
            if fewest is None or error.fields["count"] < fewest.fields["count"]:
                fewest = error
            continue
        if found not in complete:
            complete.append(found)
    return complete, fewest


def _readings(
    place: _Place, form: _Form
) -> Iterator[tuple[dict[Path, Hashable], dict[Path, Hashable], bool]]:
    """The keys of dark and light images, and whether darks may share a light, by every rule that may fit."""
    if place.dark == place.light:
        for sides in _side_by_side(place.dark):
            yield sides["dark"], sides["light"], False
        return
    darks, lights = (
        {path: PurePosixPath(form(str(below))) for path, below in _images(side).items()}
        for side in (place.dark, place.light)
    )
    for rule in MATCHING_RULES:
        yield (
            {path: rule.dark(below) for path, below in darks.items()},
            {path: rule.light(below) for path, below in lights.items()},
            rule.many,
        )


def _images(side: Path) -> dict[Path, PurePosixPath]:
    """The images below a side's folder, with their paths below it without extension.

    Raises:
        UsageError: there are none.
    """
    found, others = {}, Counter[str]()
    for path in sorted(_files(side)):
        below = path.relative_to(side).as_posix()
        if is_system_path(below):
            continue
        if _is_image(path):
            found[path] = PurePosixPath(below).with_suffix("")
        else:
            others[path.suffix.lower() or path.name] += 1
    if not found:
        what = (
            ", but " + ", ".join(f"{count} {kind}" for kind, count in others.most_common(3)) if others else ""
        )
        raise UsageError(
            f"{side} holds no images{what}",
            f"supported are {', '.join(IMAGE_EXTENSIONS)}",
            code="missing-path",
            path=str(side),
        )
    return found


def _nothing_found(folder: Path) -> UsageError:
    inner = [path for path in _listing(folder) if path.is_dir()]
    inner.sort(key=lambda path: _ORDER[(side_of(path.name) or (None,))[0]])
    images = sum(_is_image(path) for path in _listing(folder))
    found = [f"the folders {listed(f'{path.name}/' for path in inner)}"] if inner else []
    found += [pluralize(images, "image")] if images else []
    dark, light = (str(path) for path in inner) if len(inner) == 2 else ("DARK", "LIGHT")
    return UsageError(
        f"{folder} holds no pairs by its names; it has {' and '.join(found) or 'no images'}",
        f"name the sides by a pattern, '{dark}/{{name}}.* -> {light}/{{name}}.*' (the dark one first), "
        f"or rename them: {known_pair_names()}; files may be named desk_low.jpg and desk_high.jpg, or listed "
        "in a CSV file with the columns dark and light (docs/pairs.md)",
        code="missing-path",
        path=str(folder),
        folders=[path.name for path in inner],
    )
