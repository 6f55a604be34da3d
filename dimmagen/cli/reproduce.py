"""`dimmagen reproduce`: make a data set again from its manifest and compare it."""

from typing import Any

import click

from dimmagen.cli.command import command
from dimmagen.cli.console import Console
from dimmagen.cli.execution_options import execution_options
from dimmagen.cli.headings import PHOTOS, headed_option
from dimmagen.cli.humanize import shorten
from dimmagen.cli.messages import results_alone_on_stdout
from dimmagen.cli.options import new_dataset_option, profile_option
from dimmagen.cli.output import echo
from dimmagen.cli.photo_selection_options import photo_selection_options
from dimmagen.cli.progress import PairProgress
from dimmagen.cli.results import dataset_result
from dimmagen.core.errors import DimmagenError
from dimmagen.core.text import pluralize
from dimmagen.generate.execution import Execution
from dimmagen.generate.replay import environment_note
from dimmagen.generate.reproducing import Difference, difference_from, open_reproduction
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
@headed_option(
    "--exclude",
    multiple=True,
    metavar="PATH",
    help="Images whose scenes were excluded, as for `dimmagen dim`. Repeatable.",
    heading=PHOTOS,
)
@photo_selection_options
@headed_option(
    "--labels",
    metavar="FORMAT=PATH",
    help="Labels of the photos, if the data set has any, as for `dimmagen dim`.",
    heading=PHOTOS,
)
@profile_option
@new_dataset_option
@execution_options
def reproduce(
    manifest_path: str,
    sources: tuple[str, ...],
    exclude: tuple[str, ...],
    selection: PhotoSelection,
    labels: str | None,
    profile: str | None,
    out: str,
    execution: Execution,
) -> dict[str, Any]:
    """Make a data set again from its manifest and the same photos, and compare the two.

    \b
    Example:
      dimmagen reproduce out/manifest.json --source sample --out again/

    MANIFEST is a manifest.json file, or the folder of one. The settings, the profile and the choices among
    photos (--limit, --min-lightness, --resize, --crop, --follow-links) are those of the manifest; where it
    names a --list or --exclude, give the same files. The exit code is 1 if a file differs.
    """
    original = open_reproduction(
        manifest_path,
        sources,
        exclude=exclude,
        selection=selection,
        labels=labels,
        profile=profile,
        scanning=execution.of_index_pass(),
        out=out,
    )
    with PairProgress(Console(stderr=True)) as progress, results_alone_on_stdout():
        made = original.make(out, execution, progress)
    difference = difference_from(original.manifest, manifest_path, made, out)
    if difference.files:
        note = environment_note(original.manifest)
        raise DimmagenError(
            f"{out} differs from {manifest_path} in {pluralize(len(difference.files), 'file')}:"
            f"{_listed(difference)}{note}",
            code="other-environment" if note else "failed",
            files=difference.files,
        )
    new = made.counts.pairs - progress.done_before
    before = "" if not progress.done_before else f" ({new or 'none'} made now, the others were there)"
    echo(
        f"{out} is identical to {manifest_path}: {pluralize(made.counts.pairs, 'pair')} in "
        f"{pluralize(len(made.shards), 'shard')}{before}."
    )
    return dataset_result(out, made, identical=True)


def _listed(difference: Difference) -> str:
    lines = [f"{count} pairs differ first in their {stage}" for stage, count in difference.stages.items()]
    return "".join(f"\n    {line}" for line in [*lines, *shorten(difference.files, 10)])
