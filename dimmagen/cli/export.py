"""`dimmagen export`: a data set as the folders that other enhancement models read."""

from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress as Bar

from dimmagen.cli.command import command
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.processors import processor_count
from dimmagen.dataset.reader import open_pairs
from dimmagen.export.checking import check_export
from dimmagen.export.layouts import LAYOUTS
from dimmagen.export.writing import ExportProgress, export_pairs

_MOST_TOLD = 20


@command(
    former_names={"--to": "--out"},
    epilog="Layouts:\n\n\b\n" + "\n".join(f"{name:<15} {layout.readers}" for name, layout in LAYOUTS.items()),
)
@click.argument("dataset")
@click.option("--layout", "layout_name", metavar="LAYOUT", help="Whose folders to make; see below.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to make, or to go on with.")
@click.option("--count", type=click.IntRange(1), help="Exactly so many training pairs.  [default: all]")
@click.option(
    "--validation",
    type=click.IntRange(0),
    help="Validation pairs, of scenes that are not trained on.  [default: as the layout is used to]",
)
@click.option("--workers", type=click.IntRange(1), help="Threads.  [default: one a processor]")
@click.option(
    "--check",
    "check_layout",
    metavar="LAYOUT",
    help="Check DATASET, a folder that was exported in this layout, and write nothing.",
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
    """Write the data set in DATASET for another trainer, or check such a folder with --check.

    Pictures keep their bytes where they are PNG already; training and validation share no scene. Stopped, it
    goes on with the same command. Example: dimmagen export out/ --layout lol-v1 --out data/LOLv1 --count 485
    """
    workers = workers or processor_count()
    if check_layout is not None:
        if layout_name or out or count or validation:
            raise UsageError("--check writes nothing", "give it alone: dimmagen export --check LAYOUT DIR")
        _check(dataset, check_layout, workers)
        return
    if layout_name is None or out is None:
        raise UsageError("--layout and --out are needed", f"layouts are {', '.join(LAYOUTS)}")
    layout = LAYOUTS[layout_name]
    console = Console(stderr=True)
    with Bar(console=console, transient=True, disable=not console.is_terminal) as bar:
        looking = bar.add_task("telling scenes apart", visible=False)
        writing = bar.add_task("writing pairs", visible=False)

        def begin(photos: int, pairs: int) -> None:
            bar.update(looking, total=photos, visible=photos > 0)
            bar.update(writing, total=pairs, visible=True)

        progress = ExportProgress(begin, lambda: bar.advance(looking), lambda: bar.advance(writing))
        split = export_pairs(
            open_pairs(dataset),
            layout,
            out,
            count=count,
            validation=validation,
            workers=workers,
            progress=progress,
        )
    click.echo(f"{out}: {len(split.train)} training and {len(split.validation)} validation pairs")
    for reason, number in split.left_out.items():
        click.echo(f"left out: {number} ({reason})")
    click.echo(f"For {layout.readers}.\nNext: dimmagen export --check {layout.name} {out}")


def _check(path: str, name: str, workers: int) -> None:
    check = check_export(LAYOUTS[name], Path(path), workers)
    for fault in check.faults[:_MOST_TOLD]:
        click.echo(fault)
    if len(check.faults) > _MOST_TOLD:
        click.echo(f"... and {len(check.faults) - _MOST_TOLD} more")
    if check.faults:
        number = len(check.faults)
        raise DimmagenError(
            f"{path} has {number} {'fault' if number == 1 else 'faults'} as a {name} folder",
            "run its `dimmagen export` command again into a new folder",
        )
    found = ", ".join(f"{count} in {folder}" for folder, count in check.pairs.items())
    click.echo(f"{path} is a sound {name} folder: {found}")
