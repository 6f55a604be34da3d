"""`dimmagen dim`: photos in, dark/light pairs out."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import click
from rich.table import Table

from dimmagen.cli.command import command
from dimmagen.cli.console import Console
from dimmagen.cli.dimmer_options import dimmer_options
from dimmagen.cli.execution_options import execution_options
from dimmagen.cli.headings import FILES, PHOTOS, headed_option
from dimmagen.cli.light_format import light_format_notes
from dimmagen.cli.messages import results_alone_on_stdout
from dimmagen.cli.options import OutputPath, rescan_option
from dimmagen.cli.output import echo, echo_next
from dimmagen.cli.photo_selection_options import photo_selection_options
from dimmagen.cli.progress import PairProgress, steps_bar
from dimmagen.cli.results import dataset_result
from dimmagen.cli.verdicts import echo_newcomers, print_reasons
from dimmagen.core import storage
from dimmagen.core.outputs import ResumeMode
from dimmagen.core.text import pluralize, shell_word
from dimmagen.dataset.manifest import Manifest
from dimmagen.generate.execution import Execution
from dimmagen.generate.growing import begin_addition, has_nothing_new, refuse_other_scenes
from dimmagen.generate.light_format import LIGHT_FORMATS, measure_conversion
from dimmagen.generate.pair import MAX_SIDES, BuildDimmer, PairSettings
from dimmagen.generate.run import generate_dataset, refuse_early
from dimmagen.generate.run_plan import Plan, check_pair_settings, plan_dataset
from dimmagen.sources.catalog import CatalogRow
from dimmagen.sources.index_pass import ScanExecution
from dimmagen.sources.labels.index import LabelCounts, open_labels, parse_labels
from dimmagen.sources.light_images import LightImages, open_light_images
from dimmagen.sources.newcomers import Earlier
from dimmagen.sources.photo_selection import PhotoSelection
from dimmagen.sources.verdict_counts import VerdictCounts, tally


@command()
@click.option(
    "--profile",
    required=True,
    metavar="NAME|DIR",
    help="Camera profile: a name (see `dimmagen profile list`) or a folder.",
)
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="[NAME=]PATH",
    show_default="the MixHQ in mixhq/",
    help="Photos: a MixHQ, or a folder, archive, glob or URL. With NAME= (coco, clic, ...) the selection "
    "rules of that source apply. Repeatable.",
)
@headed_option(
    "--exclude",
    multiple=True,
    metavar="PATH",
    help="Folder or archive of images, such as an evaluation split: photos that show one of their scenes are "
    "not used. Repeatable.",
    heading=PHOTOS,
)
@photo_selection_options
@headed_option(
    "--labels",
    metavar="FORMAT=PATH",
    help="Labels of the photos, to be stored with every pair: coco=FILE.json, or yolo=DIR, voc=DIR, "
    "masks=DIR or json=DIR with one file per photo.",
    heading=PHOTOS,
)
@click.option(
    "--shards",
    "--out",
    "out",
    required=True,
    metavar="DIR|URL",
    type=OutputPath(),
    help="Folder or URL of the data set to make.",
)
@dimmer_options
@headed_option(
    "--samples-per-shard",
    default=500,
    help="Maximum number of pairs per shard.",
    heading=FILES,
)
@headed_option(
    "--image-format",
    type=click.Choice(["png", "webp"]),
    default="png",
    help="File format of the dark images; both are lossless.",
    heading=FILES,
)
@headed_option(
    "--light-format",
    type=click.Choice(LIGHT_FORMATS),
    default="auto",
    help="File format of the light images: `same` keeps the files, `png` converts them without loss, `jpg` "
    "converts all but JPEG files with loss. `auto` is `same` if all files have one format, and `png` "
    "otherwise, because Hugging Face's WebDataset builder and Ray Data need a single format.",
    heading=FILES,
)
@execution_options
@rescan_option
@click.option(
    "--resume",
    type=click.Choice(["if-possible", "always", "never"]),
    default="if-possible",
    help="Whether to continue the run in the folder: `always` requires one, `never` discards it.",
)
@click.option(
    "--add",
    is_flag=True,
    help="Add the photos that a finished data set does not have yet, as new shards; existing shards keep "
    "their bytes. The settings must be the same.",
)
@click.option("--dry-run", is_flag=True, help="Print what would be made, without writing anything.")
def dim(
    build_dimmer: BuildDimmer,
    sources: tuple[str, ...],
    exclude: tuple[str, ...],
    selection: PhotoSelection,
    labels: str | None,
    out: str,
    execution: Execution,
    rescan: bool,
    resume: ResumeMode,
    add: bool,
    dry_run: bool,
    **settings,
) -> dict[str, Any]:
    """Make dark/light pairs from photos, as WebDataset shards with a manifest.

    \b
    Examples:
      dimmagen dim --profile lol3 --source sample --shards out/
      dimmagen dim --profile lol3 --source photos/ --shards out/ --variants 4

    The same photos, profile and settings give the same bytes, with any number of workers and after any
    interruption. Running the same command again resumes an interrupted run.
    """
    console = Console(stderr=True)
    pair_settings = PairSettings(**settings)
    if labels:
        parse_labels(labels)  # before photos are scanned
    selection = replace(selection, max_side=MAX_SIDES.get(pair_settings.image_format))
    base, earlier = None, None
    if add:
        base, earlier = begin_addition(out, selection, resume, build_dimmer, pair_settings)
    elif dry_run:
        check_pair_settings(pair_settings)
    else:
        refuse_early(out, pair_settings, resume)
    scanning = execution.of_index_pass(rescan)
    check_excluded = partial(refuse_other_scenes, base)
    lights = _open_lights(console, sources, exclude, selection, scanning, earlier, check_excluded)
    if base and earlier:
        echo_newcomers(earlier, out)
        if has_nothing_new(lights, base):
            echo(f"Nothing to add: {out} is unchanged.")
            return dataset_result(out, base.manifest, made=0, seconds=0.0)
    matched = open_labels(labels, lights) if labels else None
    if matched:
        _print_matches(console, matched.counts)
    if dry_run:
        plan = plan_dataset(lights, build_dimmer, pair_settings, matched, base)
        _print_plan(plan, lights, out)
        return _planned(plan, out)

    def on_plan(plan: Plan) -> None:
        for line in _light_format_notes(plan, lights):
            console.print(line, highlight=False, soft_wrap=True)

    with PairProgress(console) as progress, results_alone_on_stdout():
        manifest = generate_dataset(
            lights, build_dimmer, out, pair_settings, execution, resume, progress, on_plan, matched, base
        )
    _print_rejected(lights, manifest.counts.lights_by_source, out)
    _print_summary(manifest, out, progress)
    made = manifest.counts.pairs - progress.done_before
    return dataset_result(out, manifest, made=made, seconds=progress.seconds)


def _open_lights(
    console: Console,
    sources: tuple[str, ...],
    exclude: tuple[str, ...],
    selection: PhotoSelection,
    scanning: ScanExecution,
    earlier: Earlier | None,
    check_excluded: Callable[[Mapping[str, int | str]], None],
) -> LightImages:
    with steps_bar("scanning photos") as steps, results_alone_on_stdout():
        lights = open_light_images(
            sources,
            exclude=exclude,
            selection=selection,
            execution=replace(scanning, on_status=steps.workers),
            on_start=steps.begin,
            on_file=steps,
            choose=earlier.new_ones if earlier else None,
            check_excluded=check_excluded,
        )
    note = "" if sources else " (the default, because no --source is given)"
    new = "new " if earlier else ""
    console.print(
        f"{pluralize(len(lights), new + 'photo')} from {lights.origin}{note}", highlight=False, soft_wrap=True
    )
    return lights


def _print_matches(console: Console, counts: LabelCounts) -> None:
    lines = [f"labels for {counts.images - counts.without} of {pluralize(counts.images, 'photo')}"]
    if counts.without:
        lines.append(f"{pluralize(counts.without, 'photo')} without labels, such as {counts.example}")
    if counts.unused:
        unused = pluralize(counts.unused, "label")
        lines.append(f"{unused} without a photo in this run, such as {counts.unused_example}")
    if counts.left_out:
        lines.append(f"{pluralize(counts.left_out, 'object')} left out: outside their light image")
    console.print("\n".join(lines), highlight=False, soft_wrap=True, markup=False)


def _light_format_notes(plan: Plan, lights: LightImages) -> list[str]:
    if not len(lights):  # photos are added, and all are rejected
        return []
    conversion = measure_conversion(lights, plan.photos.by_extension, plan.light_format)
    return light_format_notes(conversion, plan.settings.variants)


def _planned(plan: Plan, out: str) -> dict[str, Any]:
    """What a run would make, for programs."""
    return {
        "dataset": out,
        "pairs": plan.pairs,
        "light_images": plan.photos.count,
        "light_images_by_source": plan.photos.by_source,
        "shards": len(plan.shards),
        "settings": plan.run.settings,
        "fingerprint": plan.run.fingerprint,
        "written": False,
    }


def _print_plan(plan: Plan, lights: LightImages, out: str) -> None:
    table = Table(title=f"{out} would contain", title_justify="left", show_header=False)
    table.add_row("pairs", str(plan.pairs))
    table.add_row("shards", str(len(plan.shards)))
    table.add_row("rejected candidates", str(sum(1 for _ in lights.rejected())))
    for name, value in plan.run.settings.items():
        shown = value
        if name == "labels":
            shown = f"{value['format']}, {pluralize(len(value['categories']), 'category', 'categories')}"
        table.add_row(name.replace("_", " "), str(shown))
    table.add_row("fingerprint", plan.run.fingerprint)
    Console().print(table)
    for line in _light_format_notes(plan, lights):
        echo(line)
    print_reasons(_verdicts(lights, plan.photos.by_source), not lights.catalogued)
    echo("Nothing was written.")


def _verdicts(lights: LightImages, accepted: Mapping[str, int]) -> dict[str, VerdictCounts]:
    counts = tally((CatalogRow(**row) for row in lights.rejected()), lights.others)
    for name, one in counts.items():
        one.accepted = accepted.get(name, 0)
        one.seen += one.accepted
    return counts


def _print_rejected(lights: LightImages, accepted: Mapping[str, int], out: str) -> None:
    """The reasons for what is left out, and where all of them are; those in a catalog were shown before."""
    counts = _verdicts(lights, accepted)
    print_reasons(counts, with_examples=not lights.catalogued)
    if any(one.rejected for one in counts.values()):
        echo(f"Every rejected candidate with its reason: {storage.join(out, 'rejected')} (Parquet).")


def _print_summary(manifest: Manifest, out: str, progress: PairProgress) -> None:
    counts, size = manifest.counts, sum(shard.bytes for shard in manifest.shards)
    new = counts.pairs - progress.done_before
    made = f"{new} made now, {progress.pairs_per_second:.1f} pairs/s" if new else "all existed already"
    echo(
        f"{out} is complete: {pluralize(counts.pairs, 'pair')} of {pluralize(counts.lights, 'photo')} in "
        f"{pluralize(counts.shards, 'shard')}, {size / 1e6:.1f} MB ({made})."
    )
    word = shell_word(out)
    echo_next(f"dimmagen verify {word}", f"dimmagen inspect {word} --sheet sheet.png")
