"""`dimmagen plan`: what a `dim` would take, before it begins."""

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from dimmagen.cli.command import command
from dimmagen.cli.dim import dim
from dimmagen.cli.humanize import duration, money, size
from dimmagen.cli.options import Number
from dimmagen.core.errors import UsageError
from dimmagen.core.processors import processor_count
from dimmagen.generate.estimate.calibration import calibrate, choose
from dimmagen.generate.estimate.estimate import Interval, RunEstimate
from dimmagen.generate.estimate.load_balancing import MAX_IDLE
from dimmagen.generate.estimate.sample import sample_light_images
from dimmagen.generate.pair import PairSettings, dimmer_builder
from dimmagen.generate.run import Executor, check_settings

# What `dim` and a plan both ask for; the options are those of `dim` itself.
_SHARED = {
    *("profile", "sources", "exclude", "variants", "seed", "gamma", "ladder", "group_by", "temperature"),
    *("model", "without", "compat", "samples_per_shard", "image_format", "workers", "executor"),
}


class Count(click.ParamType):
    """A whole number that may be written as 100e6."""

    name = "number"

    def convert(self, value, param, context) -> int:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not (1 <= number <= 1e15 and number == int(number)):
            self.fail(f"{value!r} is no whole number from 1 to 1e15, such as 100e6", param, context)
        return int(number)


@command(former_names={"--probe": "--calibration-pairs"})
@click.option(
    "--pairs", type=Count(), help="As if there were photos for so many pairs.  [default: as many as are]"
)
@click.option(
    "--calibration-pairs", type=click.IntRange(1), default=24, show_default=True, help="Pairs to measure."
)
@click.option("--price-per-core-hour", type=Number(0), help="Of one worker; adds the cost.")
@click.option("--price-per-gb-month", type=Number(0), help="Of 10^9 bytes kept; adds the cost.")
@click.option(
    "--json", "json_file", metavar="FILE", help="Write the figures, for programs; - prints them alone."
)
def plan(
    profile: str,
    sources: tuple[str, ...],
    exclude: tuple[str, ...],
    gamma: tuple[float, float] | None,
    ladder: tuple[float, ...],
    group_by: str | None,
    temperature: float | None,
    model: str | None,
    without: tuple[str, ...],
    compat: str,
    workers: int | None,
    executor: Executor,
    pairs: int | None,
    calibration_pairs: int,
    price_per_core_hour: float | None,
    price_per_gb_month: float | None,
    json_file: str | None,
    **settings,
) -> None:
    """Say how long a `dimmagen dim` with these options takes, how much it writes and what it needs.

    Some pairs are made in memory and measured, and thrown away. A forecast with its interval, for machines
    like this one, as busy as it is now.
    Example: dimmagen plan --profile lol3 --source photos/ --variants 4 --workers 64 --pairs 1e6
    """
    settings["variants"] *= len(ladder) or 1
    pair_settings = PairSettings(**settings)
    check_settings(pair_settings)
    build_dimmer = dimmer_builder(
        profile,
        gamma,
        ladder,
        group_by=group_by or "",
        temperature=temperature,
        model=model,
        without=without,
        compat=compat,
    )
    processors = processor_count()
    with _bar("looking at the photos") as (begin, advance):
        refs, photos = sample_light_images(sources, exclude, processors, pair_settings.seed, begin, advance)
    chosen = choose(refs, pair_settings.variants, calibration_pairs, pair_settings.seed)
    with _bar("making pairs to measure") as (begin, advance):
        begin(len(chosen))
        measured = calibrate(chosen, build_dimmer, pair_settings, advance)
    if pairs is not None:
        photos = photos.scaled_to(-(-pairs // pair_settings.variants))
    workers = 1 if executor == "serial" else workers or processors
    forecast = RunEstimate(photos, pair_settings, executor, workers, measured)
    cost = forecast.cost(price_per_core_hour, price_per_gb_month)
    if json_file:
        figures = forecast.to_dict() | {"cost": {name: asdict(value) for name, value in cost.items()}}
        text = json.dumps(figures, indent=1) + "\n"
        if json_file == "-":
            click.echo(text, nl=False)
            return
        try:
            Path(json_file).write_bytes(text.encode())
        except OSError as error:
            raise UsageError(f"{json_file} cannot be written ({error.strerror})", "check --json") from error
    _print(forecast, cost)


plan.params = [option for option in dim.params if option.name in _SHARED] + plan.params


@contextmanager
def _bar(what: str) -> Iterator[tuple[Callable[[int], None], Callable[[], None]]]:
    """A bar on a terminal, silence elsewhere; yields what sets the total and what is called once a step."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda total: bar.update(task, total=total), lambda: bar.advance(task)


def _print(forecast: RunEstimate, cost: dict[str, Interval]) -> None:
    table = Table(show_header=False, box=None, pad_edge=False)
    for row in _rows(forecast, cost):
        table.add_row(*row)
    console = Console(highlight=False)
    console.print(table)
    if advice := _advice(forecast):
        console.print(advice, soft_wrap=True)
    console.print(
        f"A forecast from {len(forecast.calibration.pairs)} pairs made on one core of this machine, with the "
        "range that 9 of 10 such probes give; nothing was written.",
        soft_wrap=True,
    )


def _rows(forecast: RunEstimate, cost: dict[str, Interval]) -> Iterator[tuple[str, str, str]]:
    photos, schedule, workers = forecast.photos, forecast.schedule, forecast.workers
    smallest, largest = forecast.shard_samples
    each = f"{smallest}" if smallest == largest else f"{smallest} or {largest}"
    about = "about " if photos.estimated else ""
    yield "pairs", f"{forecast.pairs:,}", f"{about}{photos.count:,} photos x {forecast.settings.variants}"
    mean, most = photos.pixels / photos.count / 1e6, photos.most_pixels / 1e6
    yield "a photo", f"{mean:.2f} Mpix", f"the largest {most:.2f}"
    stages = (f"{name} {1000 * value.expected:.1f}" for name, value in forecast.stage_seconds.items())
    yield "a pair", duration(forecast.pair_seconds), "ms: " + ", ".join(stages)
    shard = size(forecast.tar_bytes.expected / forecast.shards)
    yield "shards", f"{forecast.shards:,}", f"{each} pairs, {shard} each"
    records, lists = size(forecast.metadata_bytes), size(forecast.listing_bytes)
    yield "size", size(forecast.total_bytes), f"parquet {records}, lists of shards {lists}"
    yield "looking at the photos", duration(photos.seconds), "only once with a MixHQ"
    yield "start to first pair", duration(forecast.start_seconds), ""
    yield (
        "making",
        duration(forecast.making_seconds),
        f"on {workers:,} cores" if workers > 1 else "on one core",
    )
    at_once = forecast.variants_per_job
    together = f"{at_once} variants of a shard's photos; " if at_once > 1 else "a shard; "
    yield "a job", duration(forecast.job_seconds), f"{together}what a kill costs a worker at most"
    idle = f"{schedule.idle_workers:,} of {workers:,} workers idle in the last: {schedule.idle_share:.1%}"
    yield "rounds", f"{schedule.rounds:,}", idle
    memory = f"{size(forecast.worker_bytes * workers)} in all, {forecast.bytes_per_pixel:.0f} bytes a pixel"
    yield "memory of a worker", size(forecast.worker_bytes), memory
    yield "written a second", size(forecast.bytes_per_second), "what disk or network must take"
    requests = (f"{count:,} {name}" for name, count in forecast.requests.items())
    yield "on an object store", "", ", ".join(requests)
    for name, price in cost.items():
        yield f"cost: {name.replace('_', ' ')}", money(price), "at the prices given"


def _advice(forecast: RunEstimate) -> str:
    schedule = forecast.schedule
    if schedule.idle_share < MAX_IDLE:
        return ""
    if better := forecast.better_samples_per_shard:
        return f"--samples-per-shard {better} leaves less than {MAX_IDLE:.0%} idle."
    return f"There is too little to do for {forecast.workers} workers: give fewer."
