"""`dimmagen plan`: what a `dimmagen dim` run would take, before it is started."""

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click
from rich.table import Table

from dimmagen.cli.command import command
from dimmagen.cli.console import Console
from dimmagen.cli.dim import dim
from dimmagen.cli.dimmer_options import with_dimmer
from dimmagen.cli.humanize import duration, money, size
from dimmagen.cli.light_format import light_format_notes
from dimmagen.cli.options import Integer, Number, OutputPath, json_option, write_json
from dimmagen.cli.output import echo
from dimmagen.cli.photo_selection_options import photo_selection_options
from dimmagen.cli.progress import steps_bar
from dimmagen.core.processors import processor_count
from dimmagen.generate.estimate.estimate import Interval, RunEstimate
from dimmagen.generate.estimate.from_sample import estimate_run
from dimmagen.generate.estimate.load_balancing import MAX_IDLE
from dimmagen.generate.estimate.sample import sample_light_images
from dimmagen.generate.execution import ChosenExecutor
from dimmagen.generate.pair import BuildDimmer, PairSettings
from dimmagen.generate.run_plan import check_pair_settings
from dimmagen.sources.photo_selection import PhotoSelection

# Parameters of `dim` that a plan needs; the options are those of `dim` itself.
_SHARED = {
    *("profile", "sources", "exclude", "variants", "seed", "gamma", "brightness", "ladder"),
    *("group_by", "temperature", "model", "without", "compat"),
    *("samples_per_shard", "image_format", "light_format", "workers", "executor"),
}


class Count(click.ParamType):
    """A positive integer that may be written as 100e6."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> int:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not (1 <= number <= 1e15 and number == int(number)):
            self.fail(f"{value!r} is not a whole number from 1 to 1e15, such as 100e6", param, context)
        return int(number)


@command(former_names={"--probe": "--calibration-pairs"})
@click.option(
    "--pairs",
    type=Count(),
    show_default="those of the given photos",
    help="Number of pairs to estimate for, such as 100e6, as if there were enough photos.",
)
@click.option(
    "--shards",
    "--out",
    "out",
    metavar="DIR|URL",
    type=OutputPath(),
    help="Accepted so that a `dimmagen dim` command can be repeated as `plan`; nothing is written there.",
)
@photo_selection_options
@click.option("--calibration-pairs", type=Integer(1), default=24, help="Number of pairs to make and measure.")
@click.option(
    "--price-per-core-hour",
    type=Number(0),
    help="Price of one worker for one hour, in any currency; adds the cost of computing.",
)
@click.option(
    "--price-per-gb-month",
    type=Number(0),
    help="Price of storing 10^9 bytes for one month, in any currency; adds the cost of storage.",
)
@json_option("the estimate")
@with_dimmer
def plan(
    build_dimmer: BuildDimmer,
    sources: tuple[str, ...],
    exclude: tuple[str, ...],
    selection: PhotoSelection,
    workers: int | None,
    executor: ChosenExecutor,
    out: str | None,  # not used: nothing is written
    pairs: int | None,
    calibration_pairs: int,
    price_per_core_hour: float | None,
    price_per_gb_month: float | None,
    json_file: str | None,
    **settings,
) -> dict[str, Any]:
    """Estimate the time, disk, memory and cost of a `dimmagen dim` run with these options.

    \b
    Examples:
      dimmagen plan --profile lol3 --source sample
      dimmagen plan --profile lol3 --source photos/ --workers 64 --pairs 1e6

    Some pairs are made in memory, measured and discarded. The estimates, with their intervals, are for
    machines like this one under the same load as now.
    """
    pair_settings = PairSettings(**settings)
    check_pair_settings(pair_settings)
    with steps_bar("scanning photos") as steps:
        refs, photos = sample_light_images(
            sources, exclude, processor_count(), pair_settings.seed, steps.begin, steps, selection
        )
    with steps_bar("making pairs to measure") as steps:
        estimate, conversion = estimate_run(
            refs,
            photos,
            build_dimmer,
            pair_settings,
            "ray" if executor == "auto" and workers else executor,
            workers,
            pairs=pairs,
            calibration_pairs=calibration_pairs,
            on_start=steps.begin,
            on_pair=steps,
        )
    cost = estimate.cost(price_per_core_hour, price_per_gb_month)
    figures = estimate.to_dict() | {
        "light_images": asdict(conversion),
        "cost": {name: asdict(value) for name, value in cost.items()},
    }
    if json_file:
        write_json(json_file, figures, make_folder=False)
    _print(estimate, cost)
    for line in light_format_notes(conversion, pair_settings.variants):
        echo(line)
    return figures


plan.params = [option for option in dim.params if option.name in _SHARED] + plan.params


def _print(estimate: RunEstimate, cost: dict[str, Interval]) -> None:
    table = Table(show_header=False, box=None, pad_edge=False)
    for row in _rows(estimate, cost):
        table.add_row(*row)
    console = Console(highlight=False)
    console.print(table)
    if advice := _advice(estimate):
        console.print(advice, soft_wrap=True)
    console.print(
        f"Estimated from {len(estimate.calibration.pairs)} pairs made on one core of this machine; ranges "
        "are 90 % intervals. Nothing was written.",
        soft_wrap=True,
    )


def _rows(estimate: RunEstimate, cost: dict[str, Interval]) -> Iterator[tuple[str, str, str]]:
    photos, balance, workers = estimate.photos, estimate.load_balance, estimate.workers
    smallest, largest = estimate.shard_samples
    each = f"{smallest}" if smallest == largest else f"{smallest} or {largest}"
    about = "about " if photos.estimated else ""
    yield "pairs", f"{estimate.pairs:,}", f"{about}{photos.count:,} photos x {estimate.settings.variants}"
    mean, largest_photo = photos.pixels / photos.count / 1e6, photos.most_pixels / 1e6
    yield "pixels per photo", f"{mean:.2f} Mpix", f"largest {largest_photo:.2f} Mpix"
    stages = (f"{name} {1000 * value.expected:.1f}" for name, value in estimate.stage_seconds.items())
    yield "time per pair", duration(estimate.pair_seconds), "ms: " + ", ".join(stages)
    shard = size(estimate.tar_bytes.expected / estimate.shards)
    yield "shards", f"{estimate.shards:,}", f"{each} pairs, {shard} each"
    records, lists = size(estimate.metadata_bytes), size(estimate.listing_bytes)
    yield "size", size(estimate.total_bytes), f"parquet {records}, lists of shards {lists}"
    yield "scanning photos", duration(photos.seconds), "only once with a MixHQ"
    yield "start to first pair", duration(estimate.start_seconds), ""
    yield (
        "making pairs",
        duration(estimate.making_seconds),
        f"on {workers:,} cores" if workers > 1 else "on one core",
    )
    at_once = estimate.variants_per_job
    job = f"{at_once} variants of the photos of a shard" if at_once > 1 else "one shard"
    yield "time per job", duration(estimate.job_seconds), f"{job}; at most this is lost with a worker"
    idle = f"{balance.idle_workers:,} of {workers:,} workers idle in the last ({balance.idle_share:.1%})"
    yield "rounds", f"{balance.rounds:,}", idle
    memory = f"{size(estimate.worker_bytes * workers)} in all, {estimate.bytes_per_pixel:.0f} bytes per pixel"
    yield "memory per worker", size(estimate.worker_bytes), memory
    yield "written per second", size(estimate.bytes_per_second), "required of the disk or network"
    kinds = estimate.requests.items()
    requests = (f"{count:,} {name if count != 1 else name.removesuffix('s')}" for name, count in kinds)
    yield "on an object store", "", ", ".join(requests)
    for name, price in cost.items():
        yield f"cost: {name.replace('_', ' ')}", money(price), "at the given prices"


def _advice(estimate: RunEstimate) -> str:
    balance = estimate.load_balance
    if balance.idle_share < MAX_IDLE:
        return ""
    if better := estimate.better_samples_per_shard:
        return (
            f"With --samples-per-shard {better}, workers are idle for less than {MAX_IDLE:.0%} of the time."
        )
    return f"There is not enough work for {estimate.workers} workers: use fewer."
