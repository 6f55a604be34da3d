"""`dimmagen reproduce`: make a data set again from its manifest and compare it."""

from collections import Counter
from dataclasses import replace
from typing import Any

import click

from dimmagen.cli.command import command
from dimmagen.cli.console import Console
from dimmagen.cli.humanize import pluralize, shorten
from dimmagen.cli.messages import end_lost_run, results_alone_on_stdout
from dimmagen.cli.options import Integer, profile_option
from dimmagen.cli.output import echo
from dimmagen.cli.photo_selection_options import photo_selection_options
from dimmagen.cli.progress import PairProgress
from dimmagen.cli.results import dataset_result
from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.processors import processor_count
from dimmagen.dataset.compare import changed_files, stages_that_differ
from dimmagen.dataset.croissant import CROISSANT
from dimmagen.dataset.generations import GENERATIONS
from dimmagen.dataset.manifest import MANIFEST, Manifest, Run, changes
from dimmagen.dataset.reader import open_pairs
from dimmagen.generate.from_manifest import dimmer_from_manifest, settings_from_manifest
from dimmagen.generate.pair import MAX_SIDES
from dimmagen.generate.regrowing import Membership, StagedLightImages, regrow
from dimmagen.generate.replay import environment_note
from dimmagen.generate.run import Execution, Executor, generate_dataset, plan_dataset
from dimmagen.sources.index_pass import ScanExecution
from dimmagen.sources.labels.index import open_labels
from dimmagen.sources.light_images import open_light_images
from dimmagen.sources.photo_selection import PhotoSelection


@command(former_names={"--shards": "--out"})
@click.argument("manifest_path", metavar="MANIFEST")
@click.option(
    "--source",
    "sources",
    multiple=True,
    required=True,
    metavar="[NAME=]PATH",
    help="Photos or MixHQ that the data set was made from, as for `dimmagen dim`. Repeatable.",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="PATH",
    help="Images whose scenes were excluded, as for `dimmagen dim`. Repeatable.",
)
@photo_selection_options
@click.option(
    "--labels",
    metavar="FORMAT=PATH",
    help="Labels of the photos, if the data set has any, as for `dimmagen dim`.",
)
@profile_option
@click.option("--out", required=True, metavar="DIR|URL", help="Folder or URL of the data set to make.")
@click.option("--workers", type=Integer(1), show_default="one per processor", help="Number of Ray workers.")
@click.option(
    "--executor",
    type=click.Choice(["ray", "serial"]),
    default="ray",
    help="Use parallel Ray workers, or only this process. The output is the same.",
)
def reproduce(
    manifest_path: str,
    sources: tuple[str, ...],
    exclude: tuple[str, ...],
    selection: PhotoSelection,
    labels: str | None,
    profile: str | None,
    out: str,
    workers: int | None,
    executor: Executor,
) -> dict[str, Any]:
    """Make a data set again from its manifest and the same photos, and compare the two.

    \b
    Example:
      dimmagen reproduce out/manifest.json --source sample --out again/

    MANIFEST is a manifest.json file, or the folder of one. The settings and the profile are those of the
    manifest. The exit code is 1 if a file differs.
    """
    manifest = Manifest.find(manifest_path)
    if "derived_from" in manifest.settings:
        raise UsageError(
            f"{manifest_path} is of a subset or a merge, which is made from data sets and not from photos",
            "make those data sets again (its settings name them), then run its command on them",
            code="usage",
            path=manifest_path,
        )
    build_dimmer = dimmer_from_manifest(manifest.settings, profile)
    settings = settings_from_manifest(manifest.settings)
    workers = workers or processor_count()
    selection = replace(selection, max_side=MAX_SIDES.get(settings.image_format))
    membership = _membership(manifest, manifest_path)
    choose = membership.choose if membership else None
    scanning = ScanExecution(workers=workers, cached=False)  # nothing is taken for granted
    lights = open_light_images(
        sources, exclude=exclude, selection=selection, execution=scanning, choose=choose
    )
    if membership:
        lights = StagedLightImages(lights, membership)
    if manifest.settings.get("labels") and not labels:
        raise UsageError(
            f"the data set of {manifest_path} has labels",
            "give the same ones by `labels`",
            code="missing-argument",
            parameter="labels",
        )
    matched = open_labels(labels, lights) if labels else None
    execution = Execution(executor, workers, on_cluster_lost=end_lost_run)
    if membership and isinstance(lights, StagedLightImages):
        with PairProgress(Console(stderr=True)) as progress, results_alone_on_stdout():
            made = regrow(
                open_pairs(_folder_of(manifest_path)),
                membership,
                lights,
                build_dimmer,
                out,
                execution,
                progress,
                matched,
            )
        return _compare(manifest, made, manifest_path, out)
    planned = plan_dataset(lights, build_dimmer, settings, matched).run
    if other := changes(manifest.run, Run(planned.settings, manifest.environment)):
        raise UsageError(
            f"--source {' '.join(sources)} is not what {manifest_path} was made from ({', '.join(other)})",
            "give the same photos, --source in the same order, and --exclude, --min-lightness, --resize, "
            "--crop, --limit, --list and --follow-links as they were used then",
            code="other-settings",
            changes=other,
        )
    with PairProgress(Console(stderr=True)) as progress, results_alone_on_stdout():
        made = generate_dataset(
            lights, build_dimmer, out, settings, execution, progress=progress, labels=matched
        )
    return _compare(manifest, made, manifest_path, out)


def _membership(manifest: Manifest, path: str) -> Membership | None:
    """Which photos belong to which generation of a data set that grew; None of one that was made at once."""
    if GENERATIONS not in manifest.settings:
        return None
    folder = _folder_of(path)
    if not storage.exists(storage.join(folder, "metadata")):
        raise UsageError(
            f"{path} is of a data set to which photos were added, and does not say which ones came when",
            "give the folder of the data set, with metadata/ and rejected/; the shards are not needed",
            code="missing-path",
            path=folder,
        )
    return Membership(open_pairs(folder))


def _folder_of(path: str) -> str:
    return path if storage.is_folder(path) else path.removesuffix(MANIFEST) or "."


def _compare(manifest: Manifest, made: Manifest, manifest_path: str, out: str) -> dict[str, Any]:
    """Say that a data set is the one of a manifest, or raise an error with what differs."""
    names = changed_files(manifest, made)
    if made.environment != manifest.environment and CROISSANT in names:
        names.remove(CROISSANT)  # it contains the fingerprint, and with it the class of the machine
    if names:
        raise DimmagenError(
            _difference_report(manifest, names, manifest_path, out),
            code="other-environment" if environment_note(manifest) else "failed",
            files=names,
        )
    echo(
        f"{out} is identical to {manifest_path}: {pluralize(made.counts.pairs, 'pair')} in "
        f"{pluralize(len(made.shards), 'shard')}."
    )
    return dataset_result(out, made, identical=True)


def _difference_report(manifest: Manifest, names: list[str], path: str, out: str) -> str:
    """What differs, by stage if the parquet files of the original are next to its manifest."""
    try:
        stages = stages_that_differ(open_pairs(_folder_of(path)), open_pairs(out))
    except DimmagenError:
        stages = Counter()
    lines = [f"{count} pairs differ first in their {stage}" for stage, count in stages.items()]
    lines += shorten(names, 10)
    listed = "".join(f"\n    {line}" for line in lines)
    return f"{out} differs from {path} in {len(names)} files:{listed}{environment_note(manifest)}"
