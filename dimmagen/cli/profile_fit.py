"""`dimmagen profile fit`: fit a profile to a few dark/light pairs."""

from collections.abc import Sequence
from typing import Any

import click

from dimmagen.cli.command import command
from dimmagen.cli.console import Console
from dimmagen.cli.options import names_option, pairs_option, split_names
from dimmagen.cli.output import echo, echo_next, settings
from dimmagen.cli.profile_view import check_lines
from dimmagen.cli.progress import Progress
from dimmagen.core.text import pluralize, shell_word
from dimmagen.dimmers.fit import KINDS, FittedProfile, refuse_other_fit
from dimmagen.dimmers.pair_facts import former_jpegs
from dimmagen.dimmers.pair_problems import PairProblem, check_pairs_for_fit
from dimmagen.dimmers.profile import new_profile_folder
from dimmagen.dimmers.profile_json import SHEET
from dimmagen.dimmers.real_pairs import RealPair, load_pairs, split_held_out
from dimmagen.evaluation.checked_fit import fit_and_check
from dimmagen.evaluation.profile_check import NOT_CHECKED


@command("fit")
@pairs_option
@names_option
@click.option(
    "--hold-out",
    "--drop",
    metavar="NAME,...",
    show_default="none",
    help="Do not use these pairs, by file name without extension.",
)
@click.option(
    "--keep",
    metavar="NAME,...",
    show_default="none",
    help="Accept these pairs although their two images do not seem to show the same scene.",
)
@click.option("--out", required=True, metavar="NAME|DIR", help="Name of the new profile, or its folder.")
@click.option("--seed", default=0, help="Random seed; the same seed gives the same profile.")
@click.option(
    "--model",
    type=click.Choice(KINDS),
    default=KINDS[0],
    help="Default dimmer model of the profile, which holds all of them.",
)
def fit(
    pairs: str,
    names: str | None,
    hold_out: str | None,
    keep: str | None,
    out: str,
    seed: int,
    model: str,
) -> dict[str, Any]:
    """Fit a profile to a few dark/light pairs of a camera, and say how good it is, in about a minute.

    \b
    Example:
      dimmagen profile fit --pairs my-phone/ --out my-phone
      dimmagen dim --profile my-phone --source photos/ --shards out/

    Three pairs from a tripod are enough: the same scene well lit and dark, or with a long and a short
    exposure. Pairs that do not fit together are reported by name. If the profile exists already and was
    fitted to the same pairs, it is kept. The verdict is measured by cross-validation over the pairs;
    profile.png in the profile's folder illustrates it.
    """
    folder = new_profile_folder(out, may_exist=True)
    used, _ = split_held_out(load_pairs(pairs, split_names(names)), split_names(hold_out) or ())
    if folder.exists():
        refuse_other_fit(folder, used, seed, model)
        echo(f"{folder} exists already and was fitted to these pairs ({len(used)}).")
        return {"profile": str(folder), "pairs": len(used), "fitted": False}
    problems = check_pairs_for_fit(used, split_names(keep) or ())
    _print_notes(problems, used)
    console = Console(stderr=True)
    with Progress(console=console) as progress:
        task = progress.add_task("fitting", total=1.0, unit="%")
        result = fit_and_check(
            used, seed, lambda stage, done: progress.update(task, description=stage, completed=done)
        )
    saved = result.save(folder, model, problems)
    echo(f"Fitted {saved.name} to {pluralize(len(used), 'pair')}.\n")
    echo("\n".join(check_lines(result.check)))
    if model != KINDS[0] or settings().verbose:
        _print_likelihood(result.fitted, model)
    echo(f"\nSaved to {folder} (fingerprint {saved.fingerprint[:12]}), with {SHEET}.")
    echo_next(f"dimmagen dim --profile {shell_word(out)} --source PHOTOS --shards out/")
    return {
        "profile": str(folder),
        "pairs": len(used),
        "fitted": True,
        "seconds": result.fitted.seconds,
        "held_out": result.fitted.held_out,
        "held_out_nats": result.fitted.held_out_nats,
        "fingerprint": saved.fingerprint,
        "verdict": result.check.verdict if result.check else NOT_CHECKED,
        "check": result.check.model_dump() if result.check else None,
    }


def _print_notes(problems: Sequence[PairProblem], pairs: Sequence[RealPair]) -> None:
    """What makes a fit to these pairs worse than it could be, and what it takes them for."""
    for problem in problems:
        echo(f"Note: {problem}", err=True)
    if note := former_jpegs(pairs):
        echo(f"Note: {note}", err=True)
    if len(pairs) == 1:
        echo(
            "Note: one pair cannot show how exposure, white balance and noise level differ between scenes. "
            "Dark images draw them around those of this pair, as they differ for other cameras.",
            err=True,
        )


def _print_likelihood(fitted: FittedProfile, model: str) -> None:
    """How well the network of the mdn model describes pixels that it was not fitted to."""
    which = "" if model == KINDS[0] else f" The default of this profile is {model}."
    echo(
        f"\nThe verdict is on the camera model.{which}\n"
        f"The network has {fitted.held_out_nats:.2f} nats per pixel on {fitted.held_out}\n"
        "(negative log-likelihood; lower is better)."
    )
