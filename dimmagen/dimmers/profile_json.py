"""`profile.json`, which names all other files of a profile: what it must hold, and must not name."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dimmagen.core import hashing, storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.git_lfs import refuse_pointer
from dimmagen.core.text import one_line
from dimmagen.dimmers.base import DIMMERS
from dimmagen.dimmers.profile_folders import folder_of_model, is_name

SCHEMA = 2  # since 2 the camera model has black offsets, skew and tails of chroma
READABLE_SCHEMAS = (1, 2)
NAME = "profile.json"
SHEET = "profile.png"  # how good the profile is, for people; it is never read
_TEXTS = ("README.md", "LICENSE", "LICENSE.md", "LICENSE.txt")  # of whoever shares a profile; never read
_MAX_FILE = 2**26  # bytes; those of the models have a few kilobytes
_TODO = "fit or import it again"


@dataclass(frozen=True, slots=True)
class StoredProfile:
    """What a `profile.json` says, checked against the files of its folder.

    Attributes:
        name: that it was saved with; empty if it has none that can be used.
        fingerprint, default_model, models, provenance: as of a :class:`.Profile`.
    """

    name: str
    fingerprint: str
    default_model: str
    models: dict[str, dict]
    provenance: dict


def fingerprint_of(default_model: str, models: Mapping[str, Mapping]) -> str:
    """SHA-256 of everything that determines a profile's images, hex.

    Args:
        default_model: kind of the default model.
        models: hashes of the files and settings, by kind; see :attr:`Profile.models`.
    """
    content = {"default_model": default_model, "models": models}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashing.sha256(text.encode())


def read_profile_json(folder: Path) -> StoredProfile:
    """Read and check a profile.

    Raises:
        UsageError: the folder holds no profile.
        DimmagenError: it is damaged, was changed, has unsafe files, or is of a kind that is not known here.
    """
    path = folder / NAME
    try:
        content = storage.read_json(path)
        found = _parsed(content)
        files = {file: sha256 for entry in found.models.values() for file, sha256 in entry["files"].items()}
        _ = [entry["settings"].items() for entry in found.models.values()]
        schema, has_default = content["schema"], found.default_model in found.models
    except FileNotFoundError:
        raise UsageError(
            f"{folder} is not a profile: it has no {NAME}",
            "give the folder of a profile",
            code="missing-path",
            path=str(folder),
        ) from None
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        fault = f"{error} is missing" if isinstance(error, KeyError) else f"{error}"
        raise DimmagenError(f"{path} is damaged ({fault})", _TODO, code="damaged", path=str(path)) from None
    if schema not in READABLE_SCHEMAS or not has_default:
        raise DimmagenError(
            f"{folder} was made by another version of dimmagen (schema {schema})",
            _TODO,
            code="wrong-format",
            path=str(folder),
        )
    _refuse_unknown(folder, found.models)
    _refuse_unsafe(folder, files)
    _refuse_changed(folder, found.models)
    if fingerprint_of(found.default_model, found.models) != found.fingerprint:
        raise DimmagenError(f"{path} was changed after it was saved", _TODO, code="damaged", path=str(path))
    return found


def _parsed(content: Mapping[str, Any]) -> StoredProfile:
    """Raises KeyError if something is missing."""
    name = content.get("name")
    if not isinstance(name, str) or not is_name(name) or one_line(name) != name:
        name = ""
    return StoredProfile(
        name,
        content["fingerprint"],
        content["default_model"],
        content["models"],
        content.get("provenance", {}),
    )


def _refuse_unknown(folder: Path, models: Mapping[str, Mapping]) -> None:
    if unknown := [str(kind) for kind in models if kind not in DIMMERS]:
        raise DimmagenError(
            f"{folder} has a model of the kind {unknown[0]}, which is not installed here",
            "install the package that provides this kind of dimmer, or a later version of dimmagen",
            code="wrong-format",
            path=str(folder),
        )


def _refuse_unsafe(folder: Path, files: Mapping[str, str]) -> None:
    """Refuse a profile with files that its models may not have, or that are outside its folder.

    The sheet and the texts of a hub are not files of a model: they are not read, so what they hold does not
    matter.
    """
    named = set(files) | {*storage.list_names(folder)} - {NAME, SHEET, *_TEXTS}
    odd = sorted(name for name in named if Path(name).name != name or not name.endswith(".safetensors"))
    if odd:
        raise DimmagenError(
            f"profile {folder} holds {', '.join(odd)}: only profile.json, {SHEET} and .safetensors "
            "files are safe",
            "remove it if you put it there, otherwise do not use this profile",
            code="unsafe",
            path=str(folder),
        )


def _refuse_changed(folder: Path, models: Mapping[str, Mapping]) -> None:
    """Refuse a profile whose files do not have their SHA-256."""
    wanted = {
        folder_of_model(folder, entry["files"]) / file: sha256
        for entry in models.values()
        for file, sha256 in entry["files"].items()
    }
    for path, sha256 in wanted.items():
        is_whole = path.is_file() and path.stat().st_size <= _MAX_FILE
        if not is_whole or hashing.sha256(path.read_bytes()) != sha256:
            refuse_pointer(str(path))
            raise DimmagenError(
                f"{path} is missing or not what was saved", _TODO, code="damaged", path=str(path)
            )
