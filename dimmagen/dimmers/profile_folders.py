"""Where saved profiles are, and their names; imported in a moment, for completion in a shell."""

import os
from collections.abc import Iterable
from pathlib import Path

BUNDLED = Path(__file__).parent / "bundled"
VERSION_MARK = "@"  # `lol3@1` is the first version of the bundled profile `lol3`


def user_profiles_folder() -> Path:
    """The folder of the user's named profiles: DIMMAGEN_PROFILES, or a folder in XDG's data folder."""
    if folder := os.environ.get("DIMMAGEN_PROFILES"):
        return Path(folder)
    # Where no home is known, as for a container's user without a name, `~` is a folder that is not there.
    data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return Path(data) / "dimmagen" / "profiles"


def saved_profile_names() -> list[str]:
    """Names of the current bundled profiles and of the user's profiles, sorted."""
    folders = [
        file.parent.name for root in (BUNDLED, user_profiles_folder()) for file in root.glob("*/profile.json")
    ]
    # A hidden folder is one that is being saved, `lol3@1` an earlier version of a bundled profile.
    return sorted({name for name in folders if is_name(name) and VERSION_MARK not in name})


def folder_of_model(folder: Path, files: Iterable[str]) -> Path:
    """The folder of a profile's model, whose files are named.

    An earlier version of a bundled profile holds only the models that are not those of the current one, whose
    SHA-256 its `profile.json` has as well: former fits of the camera model have the MDN of today.
    """
    current = folder.with_name(folder.name.partition(VERSION_MARK)[0])
    is_earlier = folder.parent == BUNDLED and folder != current
    return current if is_earlier and not any((folder / file).is_file() for file in files) else folder


def is_name(text: str) -> bool:
    """Whether a text is a name, not a path: one part, and not hidden."""
    return bool(text) and Path(text).name == text and not text.startswith(".")
