"""`dimmagen profile list`: the available profiles."""

import logging
from typing import Any

from rich.table import Column, Table

from dimmagen.cli.command import command
from dimmagen.cli.console import Console
from dimmagen.cli.output import echo
from dimmagen.core.errors import DimmagenError
from dimmagen.core.text import pluralize
from dimmagen.dimmers.base import DIMMERS
from dimmagen.dimmers.profile import open_profile, profile_names

_MOST_NAMES = 3  # of pairs, so that a row is one line of 80 columns; `profile show` names more


@command("list")
def list_profiles() -> dict[str, Any]:
    """List the available profiles: bundled ones, your own, and formulas that need no pairs.

    \b
    Example:
      dimmagen profile list

    A profile of your own that cannot be read is left out, and so is a plug-in that cannot be loaded; the
    reason is shown.
    """
    models_column = Column("models (default first)", no_wrap=True)
    table = Table("profile", models_column, "made from", "fingerprint")
    listed = []
    for name in profile_names():
        try:
            found = open_profile(name)
        except DimmagenError as error:  # one that cannot be used hides no other
            _leave_out(name, error)
            continue
        models = [found.default_model, *(kind for kind in found.models if kind != found.default_model)]
        origin = _origin(found.provenance)
        table.add_row(name, ", ".join(models), origin, found.fingerprint[:12])
        listed.append({"name": name, "models": models, "made_from": origin, "fingerprint": found.fingerprint})
    for kind, failure in DIMMERS.usable()[1].items():
        _leave_out(kind, failure)
    Console().print(table)
    return {"profiles": listed}


def _leave_out(name: str, error: DimmagenError) -> None:
    echo(f"Left out: {name}: {error}", err=True, level=logging.WARNING)


def _origin(provenance: dict) -> str:
    names = [pair["name"] for pair in provenance.get("pairs", [])]
    if not names:
        return provenance.get("made", "")
    shown = names if len(names) <= _MOST_NAMES else [*names[: _MOST_NAMES - 1], "..."]
    return f"{pluralize(len(names), 'pair')}: {', '.join(shown)}"
