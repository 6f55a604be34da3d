"""`dimmagen profile list`: the available profiles."""

import logging
from typing import Any

from rich.table import Table

from dimmagen.cli.command import command
from dimmagen.cli.console import Console
from dimmagen.cli.output import echo
from dimmagen.core.errors import DimmagenError
from dimmagen.core.text import pluralize
from dimmagen.dimmers.profile import open_profile, profile_names


@command("list")
def list_profiles() -> dict[str, Any]:
    """List the available profiles: bundled ones, your own, and formulas that need no pairs.

    \b
    Example:
      dimmagen profile list

    A profile of your own that cannot be read is left out, and the reason is shown.
    """
    table = Table("profile", "models (default first)", "made from", "fingerprint")
    listed = []
    for name in profile_names():
        try:
            found = open_profile(name)
        except DimmagenError as error:  # one that cannot be used hides no other
            echo(f"Left out: {name}: {error}", err=True, level=logging.WARNING)
            continue
        models = [found.default_model, *(kind for kind in found.models if kind != found.default_model)]
        table.add_row(name, ", ".join(models), _origin(found.provenance), found.fingerprint[:12])
        made_from = _origin(found.provenance)
        listed.append(
            {"name": name, "models": models, "made_from": made_from, "fingerprint": found.fingerprint}
        )
    Console().print(table)
    return {"profiles": listed}


def _origin(provenance: dict) -> str:
    names = [pair["name"] for pair in provenance.get("pairs", [])]
    if not names:
        return provenance.get("made", "")
    return f"{pluralize(len(names), 'pair')}: {', '.join(names[:8])}{' ...' if len(names) > 8 else ''}"
