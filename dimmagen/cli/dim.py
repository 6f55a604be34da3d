"""`dimmagen dim`: photos in, dark/light pairs out."""

from typing import Any

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from dimmagen.cli.messages import end_lost_run, results_alone_on_stdout
from dimmagen.cli.pair_progress import PairProgress
from dimmagen.cli.pluralize import pluralize
from dimmagen.cli.ranges import Number, Range, Rungs
from dimmagen.cli.recipe_option import recipe_option
from dimmagen.core.errors import UsageError
from dimmagen.core.processors import processor_count
from dimmagen.dataset.manifest import Manifest
from dimmagen.dimmers.dimmer import DimmerBuilder
from dimmagen.generate.pair import BuildDimmer, PairSettings
from dimmagen.generate.resume import ResumeMode
from dimmagen.generate.run import Execution, Executor, Plan, make_dataset, plan_dataset
from dimmagen.sources.light_images import LightImages, open_light_images


@click.command()
@click.option("--profile", required=True, help="Name (see `dimmagen profile list`) or folder of a profile.")
@click.option(
    "--source",
    "sources",
    multiple=True,
    help="A MixHQ, a folder, an archive, a glob, or NAME=PATH (coco=..., clic=...); may be repeated. "
    "Default: the MixHQ in mixhq/.",
)
@click.option(
    "--exclude", multiple=True, help="Folder of pictures whose scenes must not be used (lol sources)."
)
@click.option("--shards", "out", required=True, help="Folder or URL of the data set to make.")
@click.option("--variants", default=1, show_default=True, help="Dark pictures per photo.")
@click.option("--seed", default=0, show_default=True, help="Of all draws.")
@click.option(
    "--gamma", type=Range(positive=True), help="Range of the brightness draw.  [default: the profile's]"
)
@click.option(
    "--ladder",
    type=Rungs(),
    default=(),
    help="Each variant at each of these gammas, with the same noise, such as 0.3,1,2.",
)
@click.option("--group-by", type=click.Choice(["clip"]), help="Frames of a clip share gamma and exposure.")
@click.option("--temperature", type=Number(0), help="Scale of the noise.  [default: the profile's]")
@click.option("--model", help="Kind of dark model: camera, mdn, deterministic ...  [default: the profile's]")
@click.option(
    "--without",
    multiple=True,
    metavar="PART",
    help="Leave a part of the camera model out, for ablations: response, balance, intensity, correlation, "
    "tails, spatial, jpeg; may be repeated.",
)
@click.option("--compat", type=click.Choice(["default", "reference"]), default="default", show_default=True)
@click.option("--samples-per-shard", default=500, show_default=True, help="Upper limit.")
@click.option("--image-format", type=click.Choice(["png", "webp"]), default="png", show_default=True)
@click.option("--workers", type=click.IntRange(1), help="Ray actors.  [default: one a processor]")
@click.option("--executor", type=click.Choice(["ray", "serial"]), default="ray", show_default=True)
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="That dims; a worker takes one GPU. The pixels are the same.",
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    help="Beside a GPU, that read and encode.  [default: the processors, shared among the GPUs]",
)
@click.option("--address", help="Of a Ray cluster to join.  [default: Ray on this machine, for this run]")
@click.option(
    "--resume",
    type=click.Choice(["if-possible", "always", "never"]),
    default="if-possible",
    show_default=True,
    help="Go on with the run that is in the folder; `never` discards it.",
)
@recipe_option
@click.option("--dry-run", is_flag=True, help="Say what would be made, and write nothing.")
def dim(
    profile: str,
    sources: tuple[str, ...],
    exclude: tuple[str, ...],
    out: str,
    gamma: tuple[float, float] | None,
    ladder: tuple[float, ...],
    group_by: str | None,
    temperature: float | None,
    model: str | None,
    without: tuple[str, ...],
    compat: str,
    workers: int | None,
    executor: Executor,
    device: str,
    threads: int | None,
    address: str | None,
    resume: ResumeMode,
    dry_run: bool,
    **settings,
) -> None:
    """Make dark/light pairs of photos, as WebDataset shards with a manifest.

    Equal photos, profile and settings give equal bytes, on any number of workers and after any stop.
    Example: dimmagen dim --profile lol3 --source photos/ --shards out/ --variants 4
    """
    console = Console(stderr=True)
    if address and executor == "serial":
        raise UsageError("--address is for the ray executor", "leave one of the two options away")
    settings["variants"] *= len(ladder) or 1
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
    pair_settings = PairSettings(**settings)
    processors = processor_count()
    execution = Execution(
        executor, workers or (None if address else processors), address, on_cluster_lost=end_lost_run
    )
    if device == "cuda":
        execution = _on_gpus(executor, workers, threads, address)
    elif threads:
        raise UsageError("--threads are those beside a GPU", "give --workers, or --device cuda")
    lights = _open_lights(console, sources, exclude, workers or processors)
    if dry_run:
        _print_plan(plan_dataset(lights, build_dimmer, pair_settings), lights, out)
        return
    with PairProgress(console) as progress, results_alone_on_stdout():
        manifest = make_dataset(lights, build_dimmer, out, pair_settings, execution, resume, progress)
    _print_summary(manifest, out, progress)


def dimmer_builder(
    profile: str, gamma: tuple[float, float] | None, ladder: tuple[float, ...], **options: Any
) -> BuildDimmer:
    """What builds the dimmer that the options of `dim` ask for.

    It is built once here: a wrong profile or model is told before the photos are looked at.

    Args:
        profile: name or folder.
        gamma, ladder: at most one of the two.
        options: as for :meth:`Dimmer.from_profile`.

    Raises:
        UsageError: both gamma and ladder, or as :meth:`Dimmer.from_profile`.
    """
    if gamma and ladder:
        raise UsageError("--ladder names the gammas that --gamma would draw", "leave one of the two away")
    return DimmerBuilder(profile, gamma_range=gamma, ladder=ladder, **options)


def _on_gpus(executor: Executor, workers: int | None, threads: int | None, address: str | None) -> Execution:
    """One worker a GPU; those of this machine share its processors."""
    import torch

    here = torch.cuda.device_count()
    if not here and not address:
        raise UsageError("torch sees no GPU here", "leave --device away, or install a torch built for CUDA")
    workers = workers or (None if address else here)
    sharing = 1 if executor == "serial" else max(1, here)
    threads = threads or max(1, processor_count() // sharing)
    return Execution(executor, workers, address, "cuda", threads, end_lost_run)


def _open_lights(
    console: Console, sources: tuple[str, ...], exclude: tuple[str, ...], workers: int
) -> LightImages:
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("looking at the photos", total=None)
        lights = open_light_images(
            sources,
            exclude=exclude,
            workers=workers,
            on_start=lambda files: bar.update(task, total=files),
            on_file=lambda: bar.advance(task),
        )
    count, chosen = len(lights), "" if sources else " (the default place: no --source was given)"
    console.print(
        f"{pluralize(count, 'photo')} from {lights.origin}{chosen}", highlight=False, soft_wrap=True
    )
    return lights


def _print_plan(plan: Plan, lights: LightImages, out: str) -> None:
    table = Table(title=f"{out} would hold", title_justify="left", show_header=False)
    table.add_row("pairs", str(plan.pairs))
    table.add_row("shards", str(len(plan.shards)))
    table.add_row("rejected candidates", str(sum(1 for _ in lights.rejected())))
    for name, value in plan.run.settings.items():
        table.add_row(name.replace("_", " "), str(value))
    table.add_row("fingerprint", plan.run.fingerprint)
    Console().print(table)
    click.echo("Nothing was written.")


def _print_summary(manifest: Manifest, out: str, progress: PairProgress) -> None:
    counts, size = manifest.counts, sum(shard.bytes for shard in manifest.shards)
    new = counts.pairs - progress.done_before
    made = f"{new} made now, {new / progress.seconds:.1f} pairs/s" if new else "all were there already"
    click.echo(
        f"{out} is complete: {pluralize(counts.pairs, 'pair')} of {pluralize(counts.lights, 'photo')} in "
        f"{pluralize(counts.shards, 'shard')}, {size / 1e6:.0f} MB ({made}).\n"
        f"Next: dimmagen verify {out}\n"
        f"      dimmagen inspect {out} --sheet sheet.png"
    )
