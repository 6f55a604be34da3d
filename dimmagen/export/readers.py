"""The code bases that read exports, of which presets, checks and documentation are made.

The name of one is accepted wherever a layout is, and then the sizes that it needs are asked for and checked
as well. The table is in :mod:`.code_bases`.
"""

from collections.abc import Mapping
from pathlib import Path

from dimmagen.core.registry import unknown_name
from dimmagen.export.code_bases import ALL
from dimmagen.export.layouts import LAYOUTS, Layout
from dimmagen.export.reader import Reader, lines_of_export

READERS: Mapping[str, Reader] = {reader.name: reader for reader in ALL}
"""Every reader by the name of its preset, in the order of the documentation."""


def find_preset(name: str) -> tuple[Layout, Reader | None]:
    """The layout of a name that a user gives, and the reader if it is the name of one.

    Raises:
        UnknownNameError: there is neither a reader nor a layout of that name.
        DimmagenError: a layout of a plug-in has the name of a reader, or of another layout.
    """
    if name in LAYOUTS and (layout := LAYOUTS[name]) and name not in READERS:
        return layout, None
    if name in READERS:
        return LAYOUTS[READERS[name].layout], READERS[name]
    raise unknown_name("layout", name, dict.fromkeys([*LAYOUTS, *READERS]))


def layout_lines(layout: Layout, root: Path) -> list[str]:
    """The lines for an option file, for an export that is for a layout and not for one of its readers.

    They are those of the layout, or of its readers if all of them have the same ones.

    Args:
        layout: of the export.
        root: of the export.

    Returns:
        The lines; none if its readers differ.
    """
    if layout.options:
        return lines_of_export(layout.options, root, root.absolute().as_posix())
    options = {tuple(one.option_lines(root, None)) for one in readers_of(layout.name) if one.options}
    return list(options.pop()) if len(options) == 1 else []


def readers_of(layout: str) -> list[Reader]:
    """The readers of a layout, in the order of the table."""
    return [reader for reader in ALL if reader.layout == layout]


def find_root(reader: Reader | None, out: Path) -> tuple[Path, Path | None]:
    """Where an export goes for the folder that a user gives.

    Args:
        reader: for whom the export is.
        out: a new or empty folder, an export, or the repository of the reader.

    Returns:
        The root of the export, and the repository if `out` is the reader's.
    """
    if reader and reader.is_repository(out):
        return out / reader.path, out
    return out, None


def shown_sizes(reader: Reader) -> str:
    """Words for the sizes that a reader needs, such as `validation: exactly 600x400`."""
    if reader.train == reader.validation:
        return str(reader.train)
    parts = [
        f"{name}: {rule}" for name, rule in (("training", reader.train), ("validation", reader.validation))
    ]
    return "; ".join(part for part in parts if not part.endswith("any size")) or "any size"
