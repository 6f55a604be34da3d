"""Data sets whose manifests say something else, and places of pairs in data sets."""

from dataclasses import replace


def with_manifest(pairs, **changes):
    """The same pairs under a manifest that says something else."""
    settings = changes.pop("settings", {})
    changes = {"settings": {**pairs.manifest.settings, **settings}, **changes}
    return replace(pairs, manifest=pairs.manifest.model_copy(update=changes))


def find(pairs, key):
    """The index of the pair with a key."""
    return pairs.table["key"].to_pylist().index(key)
