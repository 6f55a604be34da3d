"""`dimmagen reproduce`: a whole data set made again from its manifest, and compared."""

from collections import Counter

import click
from rich.console import Console

from dimmagen.cli.command import command
from dimmagen.cli.humanize import pluralize
from dimmagen.cli.messages import end_lost_run, results_alone_on_stdout
from dimmagen.cli.options import min_lightness_option, profile_option
from dimmagen.cli.progress import PairProgress
from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.processors import processor_count
from dimmagen.dataset.compare import changed_files, stages_that_differ
from dimmagen.dataset.croissant import CROISSANT
from dimmagen.dataset.manifest import MANIFEST, Manifest, Run, changes
from dimmagen.dataset.reader import open_pairs
from dimmagen.generate.from_manifest import dimmer_from_manifest, settings_from_manifest
from dimmagen.generate.replay import environment_note
from dimmagen.generate.run import Execution, Executor, generate_dataset, plan_dataset
from dimmagen.sources.light_images import open_light_images

_MOST_TOLD = 10


@command(former_names={"--shards": "--out"})
@click.argument("manifest_path", metavar="MANIFEST")
@click.option(
    "--source", "sources", multiple=True, required=True, help="As for `dimmagen dim`; may be repeated."
)
@click.option("--exclude", multiple=True, help="As for `dimmagen dim`.")
@min_lightness_option
@profile_option
@click.option("--out", required=True, help="Folder or URL of the data set to make.")
@click.option("--workers", type=click.IntRange(1), help="Ray actors.  [default: one a processor]")
@click.option("--executor", type=click.Choice(["ray", "serial"]), default="ray", show_default=True)
def reproduce(
    manifest_path: str,
    sources: tuple[str, ...],
    exclude: tuple[str, ...],
    min_lightness: float,
    profile: str | None,
    out: str,
    workers: int | None,
    executor: Executor,
) -> None:
    """Make the data set of MANIFEST (a manifest.json, or its folder) again, and compare the two.

    Settings and profile come from the manifest, the photos from --source. Ends with 1 when a file differs.
    Example: dimmagen reproduce theirs/manifest.json --source photos/ --out mine/
    """
    manifest = Manifest.find(manifest_path)
    if "derived_from" in manifest.settings:
        raise UsageError(
            f"{manifest_path} is of a subset or a merge: it is made of data sets, not of photos",
            "make its origins again (its settings name them), then run its command on those",
        )
    build_dimmer = dimmer_from_manifest(manifest.settings, profile)
    settings = settings_from_manifest(manifest.settings)
    workers = workers or processor_count()
    lights = open_light_images(sources, exclude=exclude, min_lightness=min_lightness, workers=workers)
    planned = plan_dataset(lights, build_dimmer, settings).run
    if other := changes(manifest.run, Run(planned.settings, manifest.environment)):
        raise UsageError(
            f"--source {' '.join(sources)} is not what {manifest_path} was made of ({', '.join(other)})",
            "give the same photos, --source in the same order, and --exclude and --min-lightness if they "
            "were chosen with them",
        )
    with PairProgress(Console(stderr=True)) as progress, results_alone_on_stdout():
        execution = Execution(executor, workers, on_cluster_lost=end_lost_run)
        made = generate_dataset(lights, build_dimmer, out, settings, execution, progress=progress)
    names = changed_files(manifest, made)
    if made.environment != manifest.environment and CROISSANT in names:
        names.remove(CROISSANT)  # it names the fingerprint, which holds the class of the machine
    if names:
        raise DimmagenError(_told(manifest, names, manifest_path, out))
    click.echo(
        f"{out} is identical to {manifest_path}: {pluralize(made.counts.pairs, 'pair')} in "
        f"{pluralize(len(made.shards), 'shard')}."
    )


def _told(manifest: Manifest, names: list[str], path: str, out: str) -> str:
    """What differs: by stage where the parquet files of the first set lie beside its manifest."""
    folder = path if storage.is_folder(path) else path.removesuffix(MANIFEST) or "."
    try:
        stages = stages_that_differ(open_pairs(folder), open_pairs(out))
    except DimmagenError:
        stages = Counter()
    lines = [f"{count} pairs differ first in their {stage}" for stage, count in stages.items()]
    lines += names[:_MOST_TOLD]
    lines += [f"... and {len(names) - _MOST_TOLD} more"] if len(names) > _MOST_TOLD else []
    told = "".join(f"\n    {line}" for line in lines)
    return f"{out} differs from {path} in {len(names)} files:{told}{environment_note(manifest)}"
