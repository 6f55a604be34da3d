"""Reading lists of dark/light pairs: CSV files with commas, semicolons, tabs or spaces, with or without
a header."""

import csv
import json
import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from dimmagen.core import storage
from dimmagen.core.errors import UsageError
from dimmagen.core.text import decoded
from dimmagen.dimmers.pair_matching import FoundPairs, PairPaths, listed, name_pairs
from dimmagen.images.pair_names import (
    EVALUATION_NAMES,
    PAIR_NAMES,
    TRAINING_NAMES,
    evaluation_beside_training,
    side_of,
)

_DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab"}
_SPACE = " "  # where a list has none of these
_SPLIT_COLUMNS = frozenset(("split", "subset", "partition"))
_NAME_COLUMNS = frozenset(("name", "names", "id", "key", "pair", "scene"))
_PATH_WORDS = frozenset(("path", "file", "filename", "image", "img", "photo", "name"))
_EXCEL_HINT = re.compile(r"sep=(.)")


@dataclass(frozen=True, slots=True)
class _Columns:
    """Which columns of a list are which; `name` and `split` are -1 where there is none."""

    dark: int
    light: int
    name: int = -1
    split: int = -1


Row = tuple[int, list[str]]
"""The number of a line, and its cells."""


def pairs_of_list(path: Path) -> FoundPairs:
    """The pairs of a CSV file, in its order; relative paths are relative to the file.

    If a column names the splits, of which some are for training, the pairs for evaluation are left out.

    Raises:
        UsageError: the file is not such a list, an image is missing, or a name occurs twice.
    """
    rows, columns = _table(path)
    rows, note = _without_evaluation(path, rows, columns)
    named: dict[str, PairPaths] = {}
    files: list[PairPaths] = []
    for number, row in rows:
        needed = max(columns.dark, columns.light, columns.name)
        if len(row) <= needed:
            raise _wrong(path, f"line {number} has {len(row)} columns", number)
        dark, light = (_file(path, row[column], number) for column in (columns.dark, columns.light))
        if (dark, light) in files:
            raise UsageError(
                f"{path} line {number}: the pair {dark.name}, {light.name} is there already",
                "remove one of the two lines",
                code="name-taken",
                name=light.stem,
                line=number,
            )
        files.append((dark, light))
        if columns.name < 0:
            continue
        name = row[columns.name]
        if not name or name in named:
            what = f"there is already a pair named {name}" if name else "the pair has no name"
            raise UsageError(
                f"{path} line {number}: {what}",
                "give every pair a name of its own",
                code="name-taken",
                name=name,
                line=number,
            )
        named[name] = (dark, light)
    if not files:
        raise UsageError(
            f"{path} holds no pairs", "give two columns, dark and light", code="missing-path", path=str(path)
        )
    return FoundPairs(named or name_pairs(files, path.parent), note)


def _without_evaluation(path: Path, rows: list[Row], columns: _Columns) -> tuple[list[Row], str]:
    """The rows of training splits where there are some of both, and what is to be said of it."""
    splits = _splits(rows, columns)
    left = evaluation_beside_training(splits)
    if not left:
        return rows, ""
    kept = [row for row, split in zip(rows, splits, strict=True) if split not in left]
    return kept, f"the pairs are those of {path} for training, and not those of the split {listed(left)}"


def _splits(rows: list[Row], columns: _Columns) -> list[str]:
    """The split of each row, by the column of that name or else by one that holds nothing but names of splits
    (`phase`, `set`, ...); empty where there is none.
    """

    def cells(column: int) -> list[str]:
        return [row[column] if 0 <= column < len(row) else "" for _, row in rows]

    if columns.split >= 0:
        return cells(columns.split)
    others = {*range(max((len(row) for _, row in rows), default=0))} - {
        columns.dark,
        columns.light,
        columns.name,
    }
    found = (cells(column) for column in sorted(others))
    named = (of for of in found if all(cell.lower() in EVALUATION_NAMES | TRAINING_NAMES for cell in of))
    return next(named, [""] * len(rows))


def _table(path: Path) -> tuple[list[Row], _Columns]:
    """The rows below the header, and the columns, with the delimiter that makes sense of the file."""
    try:
        text = decoded(storage.read(path))
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path} is not UTF-8 text ({error.reason})",
            "save it as CSV in UTF-8",
            code="wrong-format",
            path=str(path),
        ) from None
    if _is_json(text):
        raise _wrong(path, "is JSON, and not CSV")
    hint = _EXCEL_HINT.match(text)
    if hint:
        text = "\n" + text.partition("\n")[2]  # the number of each line is kept
    delimiters = [hint[1]] if hint else [one for one in _DELIMITERS if one in text] or [_SPACE]
    readings = {}
    for delimiter in delimiters:
        rows = _rows(path, text, delimiter)
        if columns := _columns(rows):
            readings[delimiter] = (rows, columns)
    if len(readings) > 1:
        raise UsageError(
            f"{path} can be read with {' and with '.join(_DELIMITERS[one] for one in readings)} between its "
            "columns",
            "put paths that contain one of them in double quotes",
            code="ambiguous",
            path=str(path),
        )
    if not readings:
        raise _unreadable(path, text, delimiters)
    rows, columns = next(iter(readings.values()))
    return (rows[1:] if _header(rows[0][1]) else rows), columns


def _is_json(text: str) -> bool:
    """Whether the text is JSON, or JSON on each line, and not a list of paths that begin with a bracket."""
    text = text.lstrip()
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return False
    return text.startswith(("[", "{")) and text[end : end + 1] in ("", "\r", "\n")


def _rows(path: Path, text: str, delimiter: str) -> list[Row]:
    try:
        lines = map(str.strip, text.splitlines()) if delimiter == _SPACE else text.splitlines()
        reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        raise _wrong(path, f"is not a CSV file ({error})") from None
    return [(number, row) for number, row in rows if any(row)]


def _columns(rows: list[Row]) -> _Columns | None:
    """The columns by the header or, without one, of a list of two columns; None if there is neither."""
    if not rows:
        return None
    if header := _header(rows[0][1]):
        return header
    cells = rows[0][1]
    is_pair = len(cells) == 2 and all(_is_path(cell) for cell in cells)
    return _Columns(0, 1) if is_pair else None


def _header(cells: list[str]) -> _Columns | None:
    """The columns that a header names; None if the cells are not a header."""
    sides: dict[str, list[int]] = {"dark": [], "light": [], "name": [], "split": []}
    for index, cell in enumerate(cells):
        if _is_path(cell):
            return None
        found = side_of(cell)
        if found and {*found[1]} <= _PATH_WORDS:
            sides[found[0]].append(index)
        elif cell.lower() in _NAME_COLUMNS:
            sides["name"].append(index)
        elif cell.lower() in _SPLIT_COLUMNS:
            sides["split"].append(index)
    if len(sides["dark"]) != 1 or len(sides["light"]) != 1 or len(sides["name"]) > 1:
        return None
    others = ((*sides[one], -1)[0] for one in ("name", "split"))
    return _Columns(sides["dark"][0], sides["light"][0], *others)


def _is_path(cell: str) -> bool:
    """Whether a cell is the path of a file, rather than a column's name."""
    return bool(re.search(r"[/\\]|\.\w{2,5}$", cell))


def _file(listing: Path, cell: str, number: int) -> Path:
    image = listing.parent / os.path.expanduser(cell)
    if not image.is_file() and "\\" in cell:  # written on Windows
        image = listing.parent / cell.replace("\\", "/")
    if not image.is_file():  # accents that another system wrote in another way
        forms = (listing.parent / unicodedata.normalize(form, cell) for form in ("NFC", "NFD"))
        image = next((path for path in forms if path.is_file()), image)
    if not image.is_file():
        raise UsageError(
            f"{listing} line {number}: there is no file {image}",
            "correct the path",
            code="missing-path",
            path=str(image),
            line=number,
        )
    return image


def _unreadable(path: Path, text: str, delimiters: list[str]) -> UsageError:
    rows = _rows(path, text, max(delimiters, key=text.count, default=","))
    if not rows:
        return UsageError(
            f"{path} holds no pairs", "give two columns, dark and light", code="missing-path", path=str(path)
        )
    number, row = rows[0]
    if any(map(_is_path, row)) or len(row) < 2:
        return _wrong(path, f"line {number} has {len(row)} columns and no header", number)
    return _wrong(path, f"line {number} has the columns {', '.join(row)}", number)


def _wrong(path: Path, what: str, line: int = 0) -> UsageError:
    names = ", ".join(f"{row.dark[0]} and {row.light[0]}" for row in PAIR_NAMES)
    fields = {"line": line} if line else {}
    return UsageError(
        f"{path} {what}",
        "give two columns, dark and light, or a header with one dark and one light name "
        f"({names}) and, if you like, name",
        code="wrong-format",
        path=str(path),
        **fields,
    )
