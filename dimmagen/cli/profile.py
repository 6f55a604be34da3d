"""`dimmagen profile`: fit, list, show, import and evaluate camera profiles."""

import json

import click
from rich.console import Console
from rich.table import Table

from dimmagen.cli.command import LazyGroup, command
from dimmagen.dimmers.profile import new_profile_folder, open_profile, profile_names, save_profile

_COMMANDS = {
    "list": ("dimmagen.cli.profile:list_profiles", "Name the profiles that are at hand."),
    "show": ("dimmagen.cli.profile:show", "Say what a profile holds and from what it was made."),
    "fit": ("dimmagen.cli.profile_fit:fit", "Make a profile from a few dark/light pairs of a camera."),
    "import": ("dimmagen.cli.profile:import_profile", "Make a profile of a published dimmer."),
    "evaluate": ("dimmagen.cli.profile_evaluate:profile_evaluate", "Measure how true profiles are."),
}


@click.group(cls=LazyGroup, commands_at=_COMMANDS)
def profile() -> None:
    """Fit, list, show, import and evaluate camera profiles."""


@command("list")
def list_profiles() -> None:
    """Name the profiles that are at hand: bundled ones, your own, and formulas that need no pairs."""
    table = Table("profile", "models (default first)", "made from", "fingerprint")
    for name in profile_names():
        found = open_profile(name)
        models = [found.default_model, *(kind for kind in found.models if kind != found.default_model)]
        table.add_row(name, ", ".join(models), _origin(found.provenance), found.fingerprint[:12])
    Console().print(table)


@command("show")
@click.argument("name_or_path")
def show(name_or_path: str) -> None:
    """Print a profile as JSON: models, settings, file hashes, and from what it was made."""
    found = open_profile(name_or_path)
    content = {
        "name": found.name,
        "folder": str(found.folder) if found.folder else None,
        "fingerprint": found.fingerprint,
        "default_model": found.default_model,
        "models": found.models,
        "provenance": found.provenance,
    }
    click.echo(json.dumps(content, indent=2))


@command("import")
@click.argument("folder", metavar="PATH")
@click.option("--out", required=True, metavar="NAME|PATH", help="Name of the new profile, or its folder.")
def import_profile(folder: str, out: str) -> None:
    """Make a profile of a dimmer published by the paper's authors: mdn.pt, mean.npy and std.npy in PATH.

    Nothing in the files is run: weights are read as tensors only, pickles are refused.

    \b
    dimmagen profile import dimmers/3shot --out authors3
    dimmagen dim --profile authors3 --compat reference --shards out/
    """
    from dimmagen.dimmers.mdn.published import read_published

    place = new_profile_folder(out)
    models, hashes = read_published(folder)
    provenance = {"made": "imported from a published dimmer", "files": hashes, "licence": "as published"}
    saved = save_profile(place, models, "mdn", provenance)
    click.echo(f"Imported {saved.name} to {place} (fingerprint {saved.fingerprint[:12]})")
    click.echo(f"Next: dimmagen dim --profile {out} --source PHOTOS --shards out/")


def _origin(provenance: dict) -> str:
    names = [pair["name"] for pair in provenance.get("pairs", [])]
    if not names:
        return provenance.get("made", "")
    return f"{len(names)} pairs: {', '.join(names[:8])}{' ...' if len(names) > 8 else ''}"
