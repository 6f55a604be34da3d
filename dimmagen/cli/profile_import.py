"""`dimmagen profile import`: make a profile from a dimmer that the paper's authors published."""

from typing import Any

import click

from dimmagen.cli.command import command
from dimmagen.cli.output import echo, echo_next
from dimmagen.core.text import shell_word
from dimmagen.dimmers.profile import new_profile_folder, save_profile


@command("import")
@click.argument("folder", metavar="DIR")
@click.option("--out", required=True, metavar="NAME|DIR", help="Name of the new profile, or its folder.")
def import_profile(folder: str, out: str) -> dict[str, Any]:
    """Import a dimmer published by the paper's authors: mdn.pt, mean.npy and std.npy in DIR.

    \b
    Example:
      dimmagen profile import dimmers/3shot --out authors3
      dimmagen dim --profile authors3 --compat reference --shards out/

    No code in the files is run: weights are read as tensors only, and pickles are refused.
    """
    from dimmagen.dimmers.mdn.published import read_published

    target = new_profile_folder(out)
    models, hashes = read_published(folder)
    provenance = {"made": "imported from a published dimmer", "files": hashes, "licence": "as published"}
    saved = save_profile(target, models, "mdn", provenance)
    echo(f"Imported {saved.name} to {target} (fingerprint {saved.fingerprint[:12]})")
    echo_next(f"dimmagen dim --profile {shell_word(out)} --source PHOTOS --shards out/")
    return {"profile": saved.name, "folder": str(target), "fingerprint": saved.fingerprint}
