"""`dimmagen profile fit`: a profile from a few dark/light pairs."""

from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from dimmagen.cli.command import command
from dimmagen.cli.options import split_names
from dimmagen.core.errors import UsageError
from dimmagen.dimmers.fit import KINDS, fit_models, is_fit_of
from dimmagen.dimmers.profile import new_profile_folder, open_profile, save_profile
from dimmagen.dimmers.real_pairs import (
    RealPair,
    check_pairs,
    load_pairs,
    refuse_unsuitable_pairs,
    split_held_out,
)


@command("fit")
@click.option(
    "--pairs", required=True, metavar="PATH", help="Folder with low/ and high/, or a CSV of dark,light."
)
@click.option("--names", help="Only these pairs, by file name without extension: 2,5,6.")
@click.option("--hold-out", help="Not these pairs.")
@click.option("--out", required=True, metavar="NAME|PATH", help="Name of the new profile, or its folder.")
@click.option("--seed", default=0, show_default=True, help="The same seed gives the same profile.")
@click.option(
    "--model",
    type=click.Choice(KINDS),
    default=KINDS[0],
    show_default=True,
    help="The profile's default; it holds all of them.",
)
def fit(pairs: str, names: str | None, hold_out: str | None, out: str, seed: int, model: str) -> None:
    """Make a profile from a few dark/light pairs of a camera, in about a minute.

    Three pairs from a tripod are enough: the same scene lit well and badly, or exposed long and short.
    Pairs that don't fit together are named. A profile that is there, of the same pairs, is not made again.

    \b
    dimmagen profile fit --pairs my-phone/ --out my-phone
    dimmagen dim --profile my-phone --source photos/ --shards out/
    """
    place = new_profile_folder(out, may_exist=True)
    found = load_pairs(pairs, split_names(names))
    found, _ = split_held_out(found, split_names(hold_out) or ())
    if place.exists():
        _refuse_other(place, found, seed, model)
        click.echo(f"{place} is there already, fitted to these {len(found)} pairs.")
        return
    findings = check_pairs(found)
    refuse_unsuitable_pairs(findings)
    for finding in findings:
        click.echo(f"Note: {finding}", err=True)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("Fitting", total=1.0)
        result = fit_models(
            found, seed, lambda stage, done: progress.update(task, description=stage, completed=done)
        )
    provenance = {**result.provenance, "notes": [str(finding) for finding in findings]}
    saved = save_profile(place, result.models, model, provenance)
    click.echo(
        f"Fitted {saved.name} to {len(found)} pairs in {result.seconds:.0f} s; the network reaches "
        f"{result.held_out_nats:.2f} nats a pixel on {result.held_out} (less is better)"
    )
    click.echo(f"Saved to {place} (fingerprint {saved.fingerprint[:12]})")
    click.echo(f"Next: dimmagen dim --profile {out} --source PHOTOS --shards out/")


def _refuse_other(place: Path, pairs: Sequence[RealPair], seed: int, model: str) -> None:
    advice = "choose another --out, or remove it first"
    if not (place / "profile.json").is_file():
        raise UsageError(f"{place} exists already, and is no profile", advice)
    if not is_fit_of(open_profile(place.resolve()), pairs, seed, model):
        raise UsageError(
            f"{place} exists already, and is not a fit of these pairs with this seed and model", advice
        )
