"""`dimmagen build-mixhq`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from dimmagen.cli.command import command
from dimmagen.cli.console import Console
from dimmagen.cli.humanize import pluralize
from dimmagen.cli.options import Integer
from dimmagen.cli.output import echo
from dimmagen.cli.photo_selection_options import photo_selection_options
from dimmagen.cli.verdicts import echo_newcomers, print_reasons
from dimmagen.core import storage
from dimmagen.sources import SOURCES, mixhq, parse_specs
from dimmagen.sources.candidates import Candidates
from dimmagen.sources.light_images import MIXHQ_DEFAULT
from dimmagen.sources.mixhq_generations import base_of, earlier_photos
from dimmagen.sources.newcomers import refuse_limit
from dimmagen.sources.photo_selection import PhotoSelection
from dimmagen.sources.scan import list_candidate_files, scan
from dimmagen.sources.scene_hash import Scenes
from dimmagen.sources.verdict_counts import VerdictCounts, tally


@command("build-mixhq")
@click.option(
    "--source",
    "sources",
    multiple=True,
    required=True,
    metavar="NAME=PATH",
    help="Source and the folder, zip or tar with its images. The source sets the selection rules: "
    f"{', '.join(SOURCES)}; sample takes no path. Repeatable.",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="PATH",
    help="Folder or archive of images, such as an evaluation split: candidates that show one of their scenes "
    "are rejected. Repeatable.",
)
@click.option("--out", default=MIXHQ_DEFAULT, metavar="DIR|URL", help="Folder or URL of the MixHQ to make.")
@click.option(
    "--samples-per-shard",
    type=Integer(1),
    default=mixhq.SAMPLES_PER_SHARD,
    help="Maximum number of light images per shard.",
)
@photo_selection_options
@click.option(
    "--add",
    is_flag=True,
    help="Add the photos that a finished MixHQ in --out does not have, as new shards; those that are there "
    "keep their bytes.",
)
@click.option("--workers", type=Integer(1), default=2, help="Number of threads.")
@click.option("--dry-run", is_flag=True, help="Print the verdicts for each source, without writing anything.")
def build_mixhq(
    sources: tuple[str, ...],
    exclude: tuple[str, ...],
    out: str,
    samples_per_shard: int,
    selection: PhotoSelection,
    add: bool,
    workers: int,
    dry_run: bool,
) -> None:
    """Select photos by the paper's rules and pack them as MixHQ.

    \b
    Examples:
      dimmagen build-mixhq --source sample
      dimmagen build-mixhq --source coco=unlabeled2017.zip --source clic=clic/
      dimmagen build-mixhq --source folder=photos/ --add

    Every candidate gets a verdict and a reason in the catalog. Accepted photos keep their original bytes, or
    are stored losslessly where a rule changes them. After an interruption the same command resumes.
    """
    console = Console()
    if add:
        refuse_limit(selection)
    listing = list_candidate_files(parse_specs(sources), selection.names, selection.follow_links)
    scenes = Scenes.from_paths(exclude) if exclude else None
    inputs = mixhq.describe_inputs(listing, scenes, samples_per_shard, selection)
    if add or not dry_run:
        finished = mixhq.finished_verdict_counts(out, inputs, add)
        if finished is not None:
            console.print(_verdict_table(finished))
            print_reasons(finished)
            echo(f"{out} is complete: it was made from files of the same names and sizes.")
            return
    base = base_of(out) if add else None
    earlier = earlier_photos(out, base) if base else None
    with _progress_bar("checking candidates", len(listing.files)) as advance:
        scanned = scan(listing.files, scenes, workers, advance, selection, stored=not dry_run)
        candidates = Candidates(earlier.new_ones(scanned) if earlier else scanned, selection.limit)
    if earlier:
        echo_newcomers(earlier, out)
        if not len(candidates):
            echo(f"Nothing is new: {out} is as it was.")
            return
    tallies = tally((candidate.row for candidate in candidates), listing.others)
    console.print(_verdict_table(tallies))
    print_reasons(tallies)
    if dry_run:
        echo("Nothing was written.")
        return
    with _progress_bar("writing light images", sum(one.accepted for one in tallies.values())) as advance:
        manifest = mixhq.write_mixhq(out, candidates, inputs, workers, advance, listing.others, base)
    if base:
        new = manifest["generations"][-1]
        added = f"{pluralize(new['samples'], 'light image')} in {pluralize(new['shards'], 'new shard')}"
        echo(f"Added to {out}: {added}; the other shards keep their bytes.")
    size, shards = sum(shard["bytes"] for shard in manifest["shards"]), len(manifest["shards"])
    echo(
        f"{out} is complete: {pluralize(manifest['samples'], 'light image')} in "
        f"{pluralize(shards, 'shard')}, {size / 2**20:.1f} MiB."
    )
    echo(f"The verdict on every candidate: {storage.join(out, 'catalog')} (Parquet).")
    echo(f"Next: dimmagen dim --profile lol3 --source {out} --shards out/")


@contextmanager
def _progress_bar(what: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a progress bar on a terminal and nothing elsewhere; yields a function to call after each step."""
    console = Console(stderr=True)
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)


def _verdict_table(tallies: dict[str, VerdictCounts]) -> Table:
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
