"""`dimmagen build-mixhq`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from dimmagen.cli.command import command
from dimmagen.sources import SOURCES, mixhq, parse_specs
from dimmagen.sources.candidates import Candidates
from dimmagen.sources.light_images import MIXHQ_DEFAULT
from dimmagen.sources.scan import list_candidate_files, scan
from dimmagen.sources.scene_hash import Scenes


@command("build-mixhq")
@click.option(
    "--source",
    "sources",
    multiple=True,
    required=True,
    metavar="NAME=PATH",
    help=f"A folder, zip or tar of pictures and whose rules they follow: {', '.join(SOURCES)}. Repeatable. "
    "`sample` needs no path.",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="PATH",
    help="Leave out every picture that shows a scene of those in PATH (an evaluation split). Repeatable.",
)
@click.option(
    "--out", default=MIXHQ_DEFAULT, show_default=True, metavar="FOLDER", help="Where to make MixHQ."
)
@click.option(
    "--samples-per-shard",
    type=click.IntRange(min=1),
    default=mixhq.SAMPLES_PER_SHARD,
    show_default=True,
    help="At most so many lights in a shard.",
)
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True, help="Threads.")
@click.option("--dry-run", is_flag=True, help="Print the verdicts on each source and write nothing.")
def build_mixhq(
    sources: tuple[str, ...],
    exclude: tuple[str, ...],
    out: str,
    samples_per_shard: int,
    workers: int,
    dry_run: bool,
) -> None:
    """Select photos by the paper's rules and pack them as MixHQ.

    Every candidate gets a verdict and a reason in the catalog; accepted photos keep their original bytes, or
    are stored losslessly where a rule changes them. The same command goes on after an interruption.

    \b
    dimmagen build-mixhq --source coco=unlabeled2017.zip --source clic=clic/ --out mixhq/
    """
    console = Console()
    candidates = list_candidate_files(parse_specs(sources))
    scenes = Scenes.from_paths(exclude) if exclude else None
    inputs = mixhq.describe_inputs(candidates, scenes, samples_per_shard)
    if not dry_run:
        finished = mixhq.finished_verdict_counts(out, inputs)
        if finished is not None:
            console.print(_verdict_table(finished))
            click.echo(f"{out} is complete: it was made of files of the same names and sizes.")
            return
    with _progress_bar("judging", len(candidates)) as advance:
        judged = Candidates(scan(candidates, scenes, workers, advance, stored=not dry_run))
    tallies = mixhq.tally(one.row for one in judged)
    console.print(_verdict_table(tallies))
    if dry_run:
        click.echo("Nothing was written.")
        return
    with _progress_bar("packing", sum(one.accepted for one in tallies.values())) as advance:
        manifest = mixhq.write_mixhq(out, judged, inputs, workers, advance)
    size, shards = sum(shard["bytes"] for shard in manifest["shards"]), len(manifest["shards"])
    plural = "s" if shards > 1 else ""
    click.echo(f"{manifest['samples']} lights in {shards} shard{plural}, {size / 2**20:.1f} MiB, in {out}")
    click.echo(f"Next: dimmagen dim --profile lol3 --source {out} --shards out/")


@contextmanager
def _progress_bar(what: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar on a terminal, silence elsewhere; yields a function to be called once a step."""
    console = Console(stderr=True)
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)


def _verdict_table(tallies: dict[str, mixhq.VerdictCounts]) -> Table:
    table = Table(title="Verdicts", title_justify="left")
    table.add_column("source")
    for column in ("seen", "accepted", "rejected"):
        table.add_column(column, justify="right")
    table.add_column("rejected by")
    for name, one in tallies.items():
        reasons = ", ".join(f"{rule} {count}" for rule, count in one.rejected.most_common())
        table.add_row(name, str(one.seen), str(one.accepted), str(one.rejected.total()), reasons)
    table.add_section()
    everything = tallies.values()
    seen, accepted = sum(one.seen for one in everything), sum(one.accepted for one in everything)
    table.add_row("all", str(seen), str(accepted), str(seen - accepted), "")
    return table
