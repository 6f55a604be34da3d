"""`dimmagen export`: a data set in the folder layout that another enhancement model reads."""

from pathlib import Path

import click
from rich.progress import Progress as Bar

from dimmagen.cli.command import Command, command
from dimmagen.cli.console import Console
from dimmagen.cli.humanize import pluralize, shorten
from dimmagen.cli.options import Integer, threads_option
from dimmagen.cli.output import echo
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.processors import processor_count
from dimmagen.dataset.reader import open_pairs
from dimmagen.export.checking import check_export
from dimmagen.export.layouts import LAYOUTS
from dimmagen.export.writing import ExportProgress, export_pairs


class _ExportCommand(Command):
    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Layouts"):
            formatter.write_dl([(name, layout.readers) for name, layout in LAYOUTS.items()])


@command(cls=_ExportCommand, former_names={"--to": "--out"})
@click.argument("dataset")
@click.option("--layout", "layout_name", metavar="LAYOUT", help="Layout of the folder; see the list below.")
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder to write; an interrupted export in it is resumed.",
)
@click.option("--count", type=Integer(1), show_default="all", help="Exact number of training pairs.")
@click.option(
    "--validation",
    type=Integer(0),
    show_default="the layout's usual number, at most a tenth of the photos",
    help="Number of validation pairs; their scenes are not in the training pairs.",
)
@threads_option
@click.option(
    "--check",
    "check_layout",
    metavar="LAYOUT",
    help="Check the folder DATASET, which has this layout, without writing anything.",
)
def export(
    dataset: str,
    layout_name: str | None,
    out: Path | None,
    count: int | None,
    validation: int | None,
    workers: int | None,
    check_layout: str | None,
) -> None:
    """Write the data set in DATASET in the folder layout of another trainer, or check such a folder.

    \b
    Examples:
      dimmagen export out/ --layout lol-v1 --out data/LOLv1
      dimmagen export --check lol-v1 data/LOLv1

    Images that are PNG files already keep their bytes. Training and validation pairs share no scene. Running
    the same command again resumes an interrupted export.
    """
    workers = workers or processor_count()
    if check_layout is not None:
        if layout_name or out or count or validation:
            raise UsageError(
                "--check writes nothing",
                "give it alone, as in dimmagen export --check LAYOUT DIR",
                code="conflict",
            )
        _check(dataset, check_layout, workers)
        return
    if layout_name is None or out is None:
        raise UsageError(
            "--layout and --out are required",
            f"the layouts are {', '.join(LAYOUTS)}",
            code="missing-argument",
        )
    layout = LAYOUTS[layout_name]
    console = Console(stderr=True)
    with Bar(console=console, transient=True, disable=not console.is_terminal) as bar:
        comparing = bar.add_task("comparing scenes", visible=False)
        writing = bar.add_task("writing pairs", visible=False)

        def begin(photos: int, pairs: int) -> None:
            bar.update(comparing, total=photos, visible=photos > 0)
            bar.update(writing, total=pairs, visible=True)

        progress = ExportProgress(begin, lambda: bar.advance(comparing), lambda: bar.advance(writing))
        split = export_pairs(
            open_pairs(dataset),
            layout,
            out,
            count=count,
            validation=validation,
            workers=workers,
            progress=progress,
        )
    echo(f"{out}: {len(split.train)} training and {len(split.validation)} validation pairs")
    for reason, number in split.left_out.items():
        echo(f"Left out: {number} ({reason})")
    echo(f"For {layout.readers}.\nNext: dimmagen export --check {layout.name} {out}")


def _check(path: str, name: str, workers: int) -> None:
    check = check_export(LAYOUTS[name], Path(path), workers)
    if check.faults:
        echo("\n".join(shorten(check.faults)))
        raise DimmagenError(
            f"{path} has {pluralize(len(check.faults), 'fault')} as a {name} folder",
            "run its `dimmagen export` command again into a new folder",
            code="damaged",
            path=path,
        )
    found = ", ".join(f"{count} in {folder}" for folder, count in check.pairs.items())
    echo(f"{path} is a valid {name} folder: {found}")
