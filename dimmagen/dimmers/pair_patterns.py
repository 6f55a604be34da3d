"""Finding the files of dark/light pairs by two patterns of file names."""

import glob
import os
import re
from collections.abc import Hashable, Iterator
from pathlib import Path

from dimmagen.core.errors import UsageError
from dimmagen.core.system_files import is_system_name
from dimmagen.dimmers.pair_matching import FoundPairs, matched_files, named_pairs, not_read
from dimmagen.images.codec import IMAGE_EXTENSIONS
from dimmagen.sources.other_formats import counted_others

_ARROW = "->"
_FIELD = re.compile(r"\\\{([A-Za-z_][A-Za-z_0-9]*)\\\}")


def pairs_of_pattern(pattern: str) -> FoundPairs:
    """The pairs of two file name patterns, `DARK -> LIGHT`.

    `{field}` stands for a part of a name that both sides have, `*` for any other part; several dark images
    may have one light image.

    Raises:
        UsageError: the pattern is not of this form, matches nothing, or leaves an image without a partner.
    """
    dark_pattern, light_pattern = (os.path.expanduser(side.strip()) for side in pattern.split(_ARROW, 1))
    light_fields = _fields(light_pattern)
    if not light_fields or not light_fields <= _fields(dark_pattern):
        raise UsageError(
            f"{pattern} does not say which files belong together",
            "write the part that both names have as a field in braces, such as "
            "'short/{scene}_*.png -> long/{scene}_*.png'",
            code="wrong-format",
            pattern=pattern,
        )
    order = sorted(light_fields)

    def keyed(text: str) -> dict[Path, Hashable]:
        found = dict(_globbed(text))
        names.extend(path.name for path in found)
        images = [path for path in found if path.suffix.lower() in IMAGE_EXTENSIONS]
        if not images:
            others = counted_others(path.name for path in found)
            raise UsageError(
                f"no image matches {text}{f', but {others}' if others else ''}",
                f"convert them to one of {', '.join(IMAGE_EXTENSIONS)}" if others else "correct the pattern",
                code="missing-path",
                pattern=pattern,
            )
        return {path: tuple(found[path][name] for name in order) for path in images}

    names: list[str] = []
    lights, darks = keyed(light_pattern), keyed(dark_pattern)
    # `{scene}/*.jpg -> all/{scene}.jpg` has the light images on both sides.
    darks = {path: key for path, key in darks.items() if path not in lights}
    if not darks:
        raise UsageError(
            f"no image matches {dark_pattern} and not {light_pattern}",
            "correct the pattern",
            code="missing-path",
            pattern=pattern,
        )
    pairs = named_pairs(matched_files(pattern, darks, lights, many=True), Path())
    return FoundPairs(pairs, not_read(names))


def is_pattern(path: str) -> bool:
    """Whether the place of pairs is given as a pattern of :func:`pairs_of_pattern`."""
    return _ARROW in path and not os.path.exists(path)


def _fields(pattern: str) -> set[str]:
    return set(_FIELD.findall(re.escape(pattern)))


def _globbed(pattern: str) -> Iterator[tuple[Path, dict[str, str]]]:
    """The files that match one side of a pattern, with the values of its fields."""
    text = pattern.replace(os.sep, "/")
    seen: set[str] = set()

    def group(match: re.Match) -> str:
        name = match[1]
        if name in seen:
            return f"(?P={name})"
        seen.add(name)
        return f"(?P<{name}>[^/]+?)"

    expression = _FIELD.sub(group, re.escape(text)).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
    wildcards = re.sub(r"\{[A-Za-z_][A-Za-z_0-9]*\}", "*", text).replace("[", "[[]")
    for name in sorted(glob.glob(wildcards)):
        path = Path(name)
        match = re.fullmatch(expression, name.replace(os.sep, "/"))
        if match and not path.is_dir() and not is_system_name(path.name):
            yield path, match.groupdict()
