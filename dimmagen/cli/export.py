"""`dimmagen export`: a data set in the folder layout that another enhancement model reads."""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from dimmagen.cli.command import Command, command
from dimmagen.cli.console import Console
from dimmagen.cli.humanize import shorten
from dimmagen.cli.options import Integer, LocalPath, threads_option
from dimmagen.cli.output import echo, echo_next
from dimmagen.cli.progress import Progress
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.processors import processor_count
from dimmagen.core.text import pluralize, shell_word
from dimmagen.dataset.reader import open_pairs
from dimmagen.export.checking import check_export
from dimmagen.export.layouts import LAYOUTS, Layout
from dimmagen.export.reader import Reader
from dimmagen.export.readers import READERS, find_preset, find_root, layout_lines, readers_of
from dimmagen.export.rows import EXPORTED
from dimmagen.export.sizes import parse_fit
from dimmagen.export.split import Split
from dimmagen.export.writing import ExportProgress, export_pairs


class _ExportCommand(Command):
    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Readers"):
            formatter.write_dl(
                [(name, f"{reader.title}: {reader.layout}") for name, reader in READERS.items()]
            )
        layouts, failures = LAYOUTS.usable()
        rows = [(name, layout.readers) for name, layout in layouts.items()]
        with formatter.section("Layouts"):
            formatter.write_dl([*rows, *((name, str(error)) for name, error in failures.items())])


@command(cls=_ExportCommand, former_names={"--to": "--out"})
@click.argument("dataset")
@click.option(
    "--layout",
    "layout_name",
    metavar="NAME",
    help="Code base that will read the export, or a folder layout; see the lists below.",
)
@click.option(
    "--out",
    metavar="DIR",
    type=LocalPath(path_type=Path),
    help="Folder to write, or the repository of the code base, which then gets the export where it expects "
    "it; an interrupted export is resumed.",
)
@click.option("--count", type=Integer(1), show_default="all", help="Exact number of training pairs.")
@click.option(
    "--validation",
    type=Integer(0),
    show_default="the layout's usual number, at most a tenth of the photos",
    help="Number of validation pairs; their scenes are not in the training pairs.",
)
@click.option(
    "--fit",
    metavar="SIZE",
    show_default="what the reader needs, otherwise whole images",
    help="Crop both images of a pair to their centre: WxH, such as 600x400, or multiple:N, the largest part "
    "whose sides are multiples of N. Smaller images are left out.",
)
@threads_option
@click.option(
    "--check",
    "check_layout",
    metavar="NAME",
    help="Check the folder DATASET for this reader or layout, without writing anything.",
)
def export(
    dataset: str,
    layout_name: str | None,
    out: Path | None,
    count: int | None,
    validation: int | None,
    fit: str | None,
    workers: int | None,
    check_layout: str | None,
) -> dict[str, Any]:
    """Write the data set in DATASET in the folder layout of another trainer, or check such a folder.

    \b
    Examples:
      dimmagen export out/ --layout lol-v1 --out data/LOLv1
      dimmagen export out/ --layout retinexformer --out ~/code/Retinexformer
      dimmagen export --check lol-v1 data/LOLv1

    Images that are PNG files already keep their bytes. Training and validation pairs share no scene. Running
    the same command again resumes an interrupted export.
    """
    workers = workers or processor_count()
    if check_layout is not None:
        if layout_name or out or fit or count is not None or validation is not None:
            raise UsageError(
                "--check writes nothing",
                "give it alone, as in dimmagen export --check NAME DIR",
                code="conflict",
            )
        return _check(dataset, check_layout, workers)
    if layout_name is None or out is None:
        raise UsageError(
            "--layout and --out are required",
            f"the readers are {', '.join(READERS)}; the layouts are {', '.join(LAYOUTS)}",
            code="missing-argument",
        )
    layout, reader = find_preset(layout_name)
    root, repository = find_root(reader, out)
    size = parse_fit(fit) if fit is not None else None
    with _progress_bars() as progress:
        split = export_pairs(
            open_pairs(dataset, EXPORTED),
            layout,
            root,
            count=count,
            validation=validation,
            fit=size,
            reader=reader,
            repository=repository,
            workers=workers,
            progress=progress,
        )
    lines = reader.option_lines(root, repository) if reader else layout_lines(layout, root)
    _print_counts(split, root, reader)
    _print_lines(layout, reader, repository, lines)
    echo_next(f"dimmagen export --check {layout_name} {shell_word(out)}")
    return {
        "folder": str(root),
        "layout": layout.name,
        "reader": reader.name if reader else None,
        "pairs": {"train": len(split.train), "validation": len(split.validation), "test": len(split.test)},
        "left_out": split.left_out,
        "option_lines": lines,
    }


@contextmanager
def _progress_bars() -> Iterator[ExportProgress]:
    """A bar for the scenes that are compared, if any are, and one for the pairs."""
    with Progress(console=Console(stderr=True), transient=True) as bar:
        comparing = bar.add_task("comparing scenes", visible=False)
        writing = bar.add_task("writing pairs", visible=False)

        def begin(photos: int, pairs: int) -> None:
            bar.update(comparing, total=photos, visible=photos > 0)
            bar.update(writing, total=pairs, visible=True)

        yield ExportProgress(begin, lambda: bar.advance(comparing), lambda: bar.advance(writing))


def _print_counts(split: Split, root: Path, reader: Reader | None) -> None:
    tests = f", {len(split.test)} test" if split.test else ""
    echo(f"{root}: {len(split.train)} training, {len(split.validation)} validation{tests} pairs")
    for reason, number in split.left_out.items():
        echo(f"Left out: {number} ({reason})")
    if reader and 0 < reader.epoch < len(split.train):
        echo(f"{reader.title} reads {reader.epoch} of the training pairs in every epoch.")


def _print_lines(layout: Layout, reader: Reader | None, repository: Path | None, lines: list[str]) -> None:
    """For whom the export is, and the lines that the reader's option file needs."""
    if reader and repository and reader.as_is:
        echo(f"For {reader.title}, whose options already name this folder.")
        return
    if reader is None and layout.labels.needs:
        echo(f"For {layout.readers}. Its places:")
    else:
        readers = reader.title if reader else layout.readers
        echo(f"For {readers}{', with these lines in its options:' if lines else '.'}")
    echo("\n".join(f"  {line}" for line in lines), nl=bool(lines))
    placed = reader or next((one for one in readers_of(layout.name) if one.fixed), None)
    if placed and repository is None and (placed.fixed or not lines):
        echo(_place_of(placed))
    elif not reader and not lines and (names := [one.name for one in readers_of(layout.name)]):
        echo("The lines for an option file depend on the code base; its own layout prints them:")
        option = "  --layout "
        text = textwrap.fill(", ".join(names), 79 - len(option), break_on_hyphens=False)
        echo(textwrap.indent(text, " " * len(option)).replace(" " * len(option), option, 1))


def _place_of(reader: Reader) -> str:
    """Where the files of an export belong that was not written into the repository of its reader."""
    if reader.path == ".":
        return f"Its files go into the root of the repository of {reader.title}."
    return f"{reader.title} expects this folder as {reader.path} in its repository."


def _check(path: str, name: str, workers: int) -> dict[str, Any]:
    layout, reader = find_preset(name)
    root, repository = find_root(reader, Path(path))
    check = check_export(layout, root, workers, reader, in_repository=repository is not None)
    if check.faults:
        echo("\n".join(shorten(check.faults)))
        raise DimmagenError(
            f"{root} has {pluralize(len(check.faults), 'fault')} as an export for {name}",
            "run its `dimmagen export` command again into a new folder",
            code="damaged",
            path=str(root),
            faults=check.faults,
        )
    found = ", ".join(f"{count} in {folder}" for folder, count in check.pairs.items())
    echo(f"{root} is a valid export for {name}: {found}")
    for note in check.notes:
        echo(f"But {note}")
    return {"folder": str(root), "layout": name, "pairs": check.pairs, "notes": check.notes}
