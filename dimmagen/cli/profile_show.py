"""`dimmagen profile show`: how good a profile is, what it was made from, and its curves."""

import math
from collections.abc import Iterator
from typing import Any

import click
from rich.table import Table

from dimmagen.cli.command import command
from dimmagen.cli.console import Console
from dimmagen.cli.output import echo
from dimmagen.cli.profile_view import WIDTH, check_lines, curve_lines
from dimmagen.core.text import one_line, pluralize
from dimmagen.dimmers.pair_facts import PairFacts
from dimmagen.dimmers.profile import Profile, is_formula, open_profile
from dimmagen.dimmers.profile_json import SHEET
from dimmagen.evaluation.profile_check import ProfileCheck

_MOST_NAMES = 8
_FILES = {"jpeg": ", JPEG", "decoded": ", decoded from JPEG", "mixed": ", some of them JPEG"}


@command("show")
@click.argument("name_or_path", metavar="NAME|DIR")
def show(name_or_path: str) -> dict[str, Any]:
    """Show how good a profile is, what it was made from, and its response and noise.

    \b
    Examples:
      dimmagen profile show lol3
      dimmagen profile show lol3 --json

    The verdict is that of the fit, measured on held-out pairs. The plots show what the default model makes of
    each light level. --json prints models, settings, file hashes and origin.
    """
    found = open_profile(name_or_path)
    if check := ProfileCheck.of_profile(found):
        echo("\n".join(check_lines(check)) + "\n")
    facts = Table(show_header=False, box=None, pad_edge=False, width=WIDTH)
    facts.add_column(no_wrap=True)
    facts.add_column(ratio=1)  # so that the first one is as wide as its names
    for name, value in _facts(found):
        facts.add_row(name, one_line(value))
    console = Console(width=WIDTH, highlight=False)
    console.print(facts)
    echo("")
    echo("\n".join(curve_lines(found.model())))
    return _content(found)


def _content(found: Profile) -> dict[str, Any]:
    return {
        "name": found.name,
        "folder": str(found.folder) if found.folder else None,
        "fingerprint": found.fingerprint,
        "default_model": found.default_model,
        "models": found.models,
        "provenance": found.provenance,
    }


def _facts(found: Profile) -> Iterator[tuple[str, str]]:
    yield "profile", found.name
    yield "made", _origin(found.provenance)
    others = [kind for kind in found.models if kind != found.default_model]
    yield "models", ", ".join([f"{found.default_model} (default)", *others])
    if facts := PairFacts.of_profile(found):
        width, height = facts.sizes[0]
        files = _FILES.get(facts.files, "")
        camera = f", {', '.join(facts.cameras)}" if facts.cameras else ""
        yield "images", f"{width}x{height}{files}{camera}"
        yield "dark ones", f"lightness {facts.dark[0]:.3f} to {facts.dark[-1]:.3f} (1 is white)"
    model = found.model()
    low, high = model.gamma_range
    yield "gamma", f"{low:g} to {high:g}" + ("" if is_formula(found.name) else "; 1 is as dark as the pairs")
    if model.exposure_spread:
        yield "exposure", f"scenes differ by a factor of {math.exp(model.exposure_spread):.2f}"
    if any(model.balance_spread):
        factor = math.exp(model.balance_spread[0])
        yield (
            "white balance",
            f"images differ by a factor of {factor:.2f} in red and blue, more than scenes",
        )
    if model.noise_spread:
        yield "noise", f"scenes differ by a factor of {math.exp(model.noise_spread):.2f}"
    if notes := found.provenance.get("notes"):
        yield "notes", "; ".join(map(str, notes))
    yield "fingerprint", found.fingerprint[:12]
    if found.folder:
        yield "folder", str(found.folder)
        if (found.folder / SHEET).is_file():
            yield "sheet", f"{SHEET} in this folder"


def _origin(provenance: dict) -> str:
    names = [str(pair["name"]) for pair in provenance.get("pairs", [])]
    if not names:
        return str(provenance.get("made", ""))
    more = " ..." if len(names) > _MOST_NAMES else ""
    return f"fitted to {pluralize(len(names), 'pair')}: {', '.join(names[:_MOST_NAMES])}{more}"
