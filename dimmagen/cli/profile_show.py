"""`dimmagen profile show`: a profile as JSON."""

import json
from typing import Any

import click

from dimmagen.cli.command import command
from dimmagen.cli.output import echo
from dimmagen.dimmers.profile import open_profile


@command("show")
@click.argument("name_or_path", metavar="NAME|DIR")
def show(name_or_path: str) -> dict[str, Any]:
    """Show the contents of a profile as JSON: models, settings, file hashes, and what it was made from.

    \b
    Example:
      dimmagen profile show lol3
    """
    found = open_profile(name_or_path)
    content = {
        "name": found.name,
        "folder": str(found.folder) if found.folder else None,
        "fingerprint": found.fingerprint,
        "default_model": found.default_model,
        "models": found.models,
        "provenance": found.provenance,
    }
    echo(json.dumps(content, indent=2))
    return content
