"""`dimmagen verify`: is a finished data set what its manifest says?"""

import math

import click
from rich.console import Console
from rich.progress import Progress

from dimmagen.cli.command import command
from dimmagen.cli.humanize import pluralize
from dimmagen.cli.options import profile_option, source_option
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.dataset.verify import verify_dataset

_MOST_TOLD = 20


class _Percent(click.ParamType):
    name = "PERCENT"

    def convert(self, value, param, context) -> float:
        try:
            share = float(str(value).removesuffix("%"))
        except ValueError:
            share = math.nan
        if not 0 < share <= 100:
            self.fail(f"{value!r} is not a share such as 1% or 100%", param, context)
        return share


@command()
@click.argument("dataset")
@click.option(
    "--reproduce", "percent", type=_Percent(), help="Make that share of the pairs anew and compare."
)
@source_option
@profile_option
def verify(dataset: str, percent: float | None, sources: tuple[str, ...], profile: str | None) -> None:
    """Check every file, hash, count, sidecar and picture of the data set in DATASET.

    With --reproduce 1% it also replays one pair in a hundred (see `dimmagen replay`), with --source from the
    photos. Ends with 1 on any fault and names the file and the sample.
    """
    if percent is None and (sources or profile):
        raise UsageError(
            "--source and --profile are for --reproduce", "add --reproduce 100%, or leave them away"
        )
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("checking pairs", total=None)
        result = verify_dataset(
            dataset,
            on_start=lambda pairs: bar.update(task, total=pairs),
            on_shard=lambda pairs: bar.advance(task, pairs),
        )
    counts = result.manifest.counts
    _end_on_faults(
        dataset,
        [str(fault) for fault in result.faults],
        "run its `dimmagen dim` command again: damaged shards are made anew, or copy the set again",
    )
    click.echo(
        f"{dataset} is sound: {pluralize(counts.pairs, 'pair')} in {pluralize(counts.shards, 'shard')}; "
        f"every hash, sidecar and picture fits the manifest.\nRoot hash {result.manifest.root_hash}"
    )
    if percent is not None:
        _reproduce(console, dataset, percent, sources, profile)


def _reproduce(
    console: Console, dataset: str, percent: float, sources: tuple[str, ...], profile: str | None
) -> None:
    # Imported when used: a plain verify does not wait for the dark models.
    from dimmagen.dataset.reader import open_pairs
    from dimmagen.generate.replay import chosen_pairs, environment_note, replayer

    pairs = open_pairs(dataset)
    rows = chosen_pairs(pairs, math.ceil(len(pairs) * percent / 100))
    replay = replayer(pairs, sources, profile)
    results = []
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        for row in bar.track(rows, description="replaying pairs"):
            results.append(replay(row))
    other = [result for result in results if not result.identical]
    lines = [f"{result.key}: its {result.stage} differ ({result.detail})" for result in other]
    _end_on_faults(
        dataset, lines, f"the pairs above cannot be made again here{environment_note(pairs.manifest)}"
    )
    click.echo(f"{len(rows)} of {len(pairs)} pairs were made anew and are identical.")


def _end_on_faults(dataset: str, faults: list[str], todo: str) -> None:
    if not faults:
        return
    for fault in faults[:_MOST_TOLD]:
        click.echo(fault)
    if len(faults) > _MOST_TOLD:
        click.echo(f"... and {len(faults) - _MOST_TOLD} more")
    raise DimmagenError(f"{dataset} has {len(faults)} {'fault' if len(faults) == 1 else 'faults'}", todo)
