"""`dimmagen build-mixhq`."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import click
from rich.table import Table

from dimmagen.cli.command import command
from dimmagen.cli.console import Console
from dimmagen.cli.execution_options import address_option, worker_timeout_option, workers_option
from dimmagen.cli.headings import EXECUTION, PHOTOS, headed_option
from dimmagen.cli.messages import end_lost_run, results_alone_on_stdout
from dimmagen.cli.options import Integer, OutputPath, rescan_option
from dimmagen.cli.output import echo, echo_next
from dimmagen.cli.photo_selection_options import photo_selection_options
from dimmagen.cli.progress import steps_bar
from dimmagen.cli.verdicts import echo_newcomers, print_reasons
from dimmagen.core import storage
from dimmagen.core.executors.base import Executor
from dimmagen.core.text import pluralize, shell_word
from dimmagen.sources import SOURCES
from dimmagen.sources.index_pass import ScanExecution
from dimmagen.sources.mixhq import SAMPLES_PER_SHARD
from dimmagen.sources.mixhq_building import open_build
from dimmagen.sources.mixhq_reading import MIXHQ_DEFAULT
from dimmagen.sources.mixhq_verdicts import finished_tally
from dimmagen.sources.photo_selection import PhotoSelection
from dimmagen.sources.verdict_counts import VerdictCounts


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
@headed_option(
    "--exclude",
    multiple=True,
    metavar="PATH",
    help="Folder or archive of images, such as an evaluation split: candidates that show one of their scenes "
    "are rejected. Repeatable.",
    heading=PHOTOS,
)
@click.option(
    "--out",
    default=MIXHQ_DEFAULT,
    metavar="DIR|URL",
    type=OutputPath(),
    help="Folder or URL of the MixHQ to make.",
)
@click.option(
    "--samples-per-shard",
    type=Integer(1),
    default=SAMPLES_PER_SHARD,
    help="Maximum number of light images per shard.",
)
@photo_selection_options
@click.option(
    "--add",
    is_flag=True,
    help="Add the photos that a finished MixHQ in --out does not have yet, as new shards; existing shards "
    "keep their bytes.",
)
@headed_option(
    "--executor",
    type=click.Choice(["serial", "ray"]),
    show_default="ray with --address, otherwise serial",
    help="Check candidates in threads of this process, or on Ray workers. The output is the same.",
    heading=EXECUTION,
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
    executor = executor or ("ray" if address else "serial")
    execution = ScanExecution(
        executor, workers, address, rescan, worker_timeout=worker_timeout, on_cluster_lost=end_lost_run
    )
    build = open_build(
        out,
        sources,
        exclude=exclude,
        selection=selection,
        samples_per_shard=samples_per_shard,
        add=add,
        dry_run=dry_run,
    )
    if build.finished is not None:
        _print_counts(build.finished)
        echo(f"{out} is complete already: it was made from files of the same names and sizes.")
        return _result(out, build.finished)
    with steps_bar("checking candidates", len(build.listing.files)) as advance, results_alone_on_stdout():
        candidates = build.check(replace(execution, on_status=advance.workers), advance)
    if build.base and build.earlier:
        echo_newcomers(build.earlier, out)
        if build.has_nothing_new(candidates):
            echo(f"Nothing to add: {out} is unchanged.")
            return _result(out, finished_tally(out, build.base))
    counts = build.counts(candidates)
    _print_counts(counts)
    if dry_run:
        echo("Nothing was written.")
        return _result(out, counts, written=False)
    with steps_bar("writing light images", sum(one.accepted for one in counts.values())) as advance:
        manifest = build.write(candidates, execution, advance)
    size = sum(shard["bytes"] for shard in manifest["shards"])
    _print_summary(out, manifest, size, adds=build.base is not None)
    return _result(out, counts, shards=len(manifest["shards"]), bytes=size)


def _print_counts(counts: dict[str, VerdictCounts]) -> None:
    Console().print(_verdict_table(counts))
    print_reasons(counts)


def _print_summary(out: str, manifest: Mapping[str, Any], size: int, adds: bool) -> None:
    """What is in a finished MixHQ of `size` bytes, and the next command."""
    if adds:
        new = manifest["generations"][-1]
        added = f"{pluralize(new['samples'], 'light image')} in {pluralize(new['shards'], 'new shard')}"
        echo(f"Added to {out}: {added}; the other shards keep their bytes.")
    echo(
        f"{out} is complete: {pluralize(manifest['samples'], 'light image')} in "
        f"{pluralize(len(manifest['shards']), 'shard')}, {size / 1e6:.1f} MB.\n"
        f"The verdict on every candidate: {storage.join(out, 'catalog')} (Parquet)."
    )
    add = " --add" if adds else ""
    echo_next(f"dimmagen dim --profile lol3 --source {shell_word(out)} --shards out/{add}")


def _result(out: str, counts: dict[str, VerdictCounts], **more: Any) -> dict[str, Any]:
    accepted = sum(one.accepted for one in counts.values())
    sources = {name: one.to_dict() for name, one in counts.items()}
    return {"mixhq": out, "light_images": accepted, "sources": sources, "written": True, **more}


def _verdict_table(counts: dict[str, VerdictCounts]) -> Table:
    table = Table(title="Verdicts", title_justify="left")
    table.add_column("source")
    for column in ("seen", "accepted", "rejected"):
        table.add_column(column, justify="right")
    table.add_column("rejected by")
    for name, one in counts.items():
        reasons = ", ".join(f"{rule} {count}" for rule, count in one.rejected.most_common())
        table.add_row(name, str(one.seen), str(one.accepted), str(one.rejected.total()), reasons)
    table.add_section()
    everything = counts.values()
    seen, accepted = sum(one.seen for one in everything), sum(one.accepted for one in everything)
    table.add_row("all", str(seen), str(accepted), str(seen - accepted), "")
    return table
