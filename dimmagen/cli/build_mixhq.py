"""`dimmagen build-mixhq`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import click
from rich.table import Table

from dimmagen.cli.command import command
from dimmagen.cli.console import Console
from dimmagen.cli.execution_options import address_option, worker_timeout_option, workers_option
from dimmagen.cli.humanize import pluralize
from dimmagen.cli.messages import end_lost_run, results_alone_on_stdout
from dimmagen.cli.options import Integer, rescan_option
from dimmagen.cli.output import echo
from dimmagen.cli.photo_selection_options import photo_selection_options
from dimmagen.cli.progress import Progress, Steps
from dimmagen.cli.verdicts import echo_newcomers, print_reasons
from dimmagen.core import storage
from dimmagen.core.processors import processor_count
from dimmagen.generate.execution import Executor
from dimmagen.sources import SOURCES, mixhq, parse_specs
from dimmagen.sources.candidates import Candidates
from dimmagen.sources.index_pass import ScanExecution, index_candidates
from dimmagen.sources.mixhq_generations import base_of, earlier_photos
from dimmagen.sources.mixhq_reading import MIXHQ_DEFAULT
from dimmagen.sources.newcomers import refuse_limit
from dimmagen.sources.photo_selection import PhotoSelection
from dimmagen.sources.scan import list_candidate_files
from dimmagen.sources.scan_keys import ScanSettings
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
@click.option(
    "--executor",
    type=click.Choice(["serial", "ray"]),
    show_default="ray with --address, otherwise serial",
    help="Check candidates in threads of this process, or on Ray workers. The output is the same.",
)
@workers_option("threads, or of Ray workers")
@address_option("check candidates on")
@worker_timeout_option("checked no candidate")
@rescan_option
@click.option("--dry-run", is_flag=True, help="Print the verdicts for each source, without writing anything.")
def build_mixhq(
    sources: tuple[str, ...],
    exclude: tuple[str, ...],
    out: str,
    samples_per_shard: int,
    selection: PhotoSelection,
    add: bool,
    executor: Executor | None,
    workers: int | None,
    address: str | None,
    worker_timeout: float | None,
    rescan: bool,
    dry_run: bool,
) -> dict[str, Any]:
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
    executor = executor or ("ray" if address else "serial")
    execution = ScanExecution(
        executor, workers, address, rescan, worker_timeout=worker_timeout, on_cluster_lost=end_lost_run
    )
    listing = list_candidate_files(parse_specs(sources), selection.names, selection.follow_links)
    scenes = Scenes.from_paths(exclude) if exclude else None
    inputs = mixhq.describe_inputs(listing, scenes, samples_per_shard, selection)
    if add or not dry_run:
        finished = mixhq.finished_verdict_counts(out, inputs, add)
        if finished is not None:
            console.print(_verdict_table(finished))
            print_reasons(finished)
            echo(f"{out} is complete: it was made from files of the same names and sizes.")
            return _result(out, finished)
    base = base_of(out) if add else None
    earlier = earlier_photos(out, base) if base else None
    kept = None if dry_run else mixhq.open_kept_ranges(out, rescan)
    settings = ScanSettings(scenes, selection, stored=not dry_run)
    with _progress_bar("checking candidates", len(listing.files)) as advance, results_alone_on_stdout():
        execution = replace(execution, on_status=advance.workers)
        scanned = index_candidates(listing.files, settings, execution, kept, advance)
        candidates = Candidates(earlier.new_ones(scanned) if earlier else scanned, selection.limit)
    if base and earlier:
        echo_newcomers(earlier, out)
        if not len(candidates):
            mixhq.forget_kept_ranges(out)
            echo(f"Nothing is new: {out} is as it was.")
            return _result(out, mixhq.finished_tally(out, base))
    tallies = tally((candidate.row for candidate in candidates), listing.others)
    console.print(_verdict_table(tallies))
    print_reasons(tallies)
    if dry_run:
        echo("Nothing was written.")
        return _result(out, tallies, written=False)
    with _progress_bar("writing light images", sum(one.accepted for one in tallies.values())) as advance:
        threads = workers if workers and executor == "serial" else processor_count()
        manifest = mixhq.write_mixhq(out, candidates, inputs, threads, advance, listing.others, base)
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
    return _result(out, tallies, shards=shards, bytes=size)


@contextmanager
def _progress_bar(what: str, total: int) -> Iterator[Steps]:
    """Show a progress bar on a terminal and lines elsewhere; yields a function to call after each step."""
    with Progress(console=Console(stderr=True), transient=True) as progress:
        yield Steps(progress, progress.add_task(what, total=total))


def _result(out: str, tallies: dict[str, VerdictCounts], **more: Any) -> dict[str, Any]:
    accepted = sum(one.accepted for one in tallies.values())
    sources = {name: one.to_dict() for name, one in tallies.items()}
    return {"mixhq": out, "light_images": accepted, "sources": sources, "written": True, **more}


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
