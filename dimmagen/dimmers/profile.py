"""Profiles: the dimmer models of one camera, as a folder that can be named, shared, checked and compared.

A folder holds `profile.json` and tensors in safetensors files, nothing that can run code. The fingerprint is
the hash of the models' files and settings: two profiles with the same fingerprint make the same images.
"""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from dimmagen.core import hashing, storage
from dimmagen.core.errors import UnknownNameError, UsageError
from dimmagen.core.file_names import portable
from dimmagen.core.registry import did_you_mean, unknown_name
from dimmagen.dimmers.base import DIMMERS, DimmerModel
from dimmagen.dimmers.profile_folders import (
    BUNDLED,
    VERSION_MARK,
    folder_of_model,
    is_name,
    saved_profile_names,
    user_profiles_folder,
)
from dimmagen.dimmers.profile_json import NAME, SCHEMA, SHEET, fingerprint_of, read_profile_json

COMPATS = ("default", "reference")


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """One dimmer model as :func:`save_profile` stores it.

    Attributes:
        kind: name of its entry in :data:`DIMMERS`.
        files: tensors by file name and tensor name.
        settings: for :meth:`DimmerKind.load`.
    """

    kind: str
    files: Mapping[str, Mapping[str, np.ndarray]]
    settings: Mapping[str, str | int | float | bool]


@dataclass(frozen=True)
class Profile:
    """A profile that was found and checked; a model is loaded on request.

    Attributes:
        name: as requested; of a folder, the one that it was saved with.
        folder: where it is stored; None for formulas.
        fingerprint: SHA-256 over the models' settings and files, hex.
        default_model: the kind that is used unless another is requested.
        models: by kind: {"files": {name: sha256}, "settings": {...}}.
        provenance: how it was made: pairs, command, seed, versions, licence.
    """

    name: str
    folder: Path | None
    fingerprint: str
    default_model: str
    models: dict[str, dict]
    provenance: dict = field(default_factory=dict)

    def model(self, kind: str | None = None, compat: str = "default") -> DimmerModel:
        """Load a model.

        Args:
            kind: of the model; default the profile's, or `mdn` for `compat="reference"`.
            compat: `default`, or `reference` for the paper authors' transform with their MDN.

        Raises:
            UsageError: the profile has no such model, or the model does not support the compat.
            DimmagenError: a file of the model is damaged.
        """
        if compat not in COMPATS:
            raise unknown_name("compat", compat, COMPATS)
        if kind is None:
            kind = self.default_model if compat == "default" else "mdn"
        if kind not in self.models:
            raise UnknownNameError(
                f"profile {self.name} has no model {kind!r}",
                f"{did_you_mean(kind, self.models)}it has {', '.join(self.models)}",
                kind="model",
                name=kind,
            )
        found, entry = DIMMERS[kind], self.models[kind]
        if compat not in found.compats:
            raise UsageError(
                f"the model {kind} has no {compat} behaviour",
                'use `model="mdn"`',
                code="conflict",
                parameter="compat",
                value=compat,
            )
        folder = self.folder and folder_of_model(self.folder, entry["files"])
        return found.load(folder, dict(entry["settings"]), compat)


def profile_names() -> list[str]:
    """Names of the current bundled profiles, the user's profiles, and formulas."""
    storage.restore_folders(user_profiles_folder())
    return [*saved_profile_names(), *formulas()]


def is_formula(name: str) -> bool:
    """Whether a name is that of a formula: a kind of dimmer without pairs, and the profile of that name."""
    return name in DIMMERS and not DIMMERS[name].fitted


def formulas() -> list[str]:
    """Names of the kinds of dimmer that need no pairs and can be used, the built-in ones first."""
    return [name for name, kind in DIMMERS.usable()[0].items() if not kind.fitted]


def open_profile(name_or_path: str | Path, fingerprint: str | None = None) -> Profile:
    """Find and check a profile.

    Args:
        name_or_path: a name of :func:`profile_names`, an earlier version of a bundled profile such as
            `lol3@1`, or a folder with a `profile.json`.
        fingerprint: of the version of a bundled profile that is wanted, as a data set records it; it has the
            profile's name without a version. Where no version has it, the current one is opened.

    Raises:
        UsageError: there is no such profile; the message lists the known names.
        DimmagenError: the profile is damaged, was changed after it was saved, or contains an unsafe file.
    """
    text = str(name_or_path)
    if is_formula(text):
        models = {text: {"files": {}, "settings": DIMMERS[text].parameters()}}
        return Profile(text, None, fingerprint_of(text, models), text, models, {"made": "closed form"})
    for folder in (BUNDLED / text, user_profiles_folder() / text):
        if is_name(text) and folder.parent != BUNDLED:
            storage.restore_folder(folder)
        if is_name(text) and os.path.isfile(folder / "profile.json"):  # False for a name of any length
            current = _read(folder, text)
            if fingerprint not in (None, current.fingerprint) and folder.parent == BUNDLED:
                earlier = [_read(version, text) for version in sorted(BUNDLED.glob(f"{text}{VERSION_MARK}*"))]
                return next((one for one in earlier if one.fingerprint == fingerprint), current)
            return current
    path = storage.only_local(name_or_path)
    storage.restore_folder(path)
    if os.path.isdir(path):
        return _read(path, None)
    raise unknown_name("profile", text, [*profile_names(), "or the folder of a profile"])


def portable_name(name_or_path: str, profile: Profile | None = None) -> str:
    """A profile's name unchanged, or its folder as an absolute path.

    Workers may have another working directory.

    Args:
        name_or_path: of the profile.
        profile: result of :func:`open_profile`; by default, the profile is opened.

    Raises:
        UsageError, DimmagenError: as :func:`open_profile`.
    """
    folder = (profile or open_profile(name_or_path)).folder
    named_by_path = folder is not None and Path(name_or_path).resolve() == folder.resolve()
    return str(Path(name_or_path).resolve()) if named_by_path else name_or_path


def new_profile_folder(name_or_path: str | Path, *, may_exist: bool = False) -> Path:
    """The folder in which to save a new profile.

    Args:
        name_or_path: a name, for a folder among the user's profiles, or a path.
        may_exist: accept a folder that exists.

    Raises:
        UsageError: the name is that of a bundled profile or a formula, or the folder exists.
    """
    text = str(name_or_path)
    if is_name(text) and (is_formula(text) or (BUNDLED / text).is_dir()):
        raise UsageError(
            f"{text} is the name of a profile that ships with dimmagen",
            "choose another name",
            code="name-taken",
            name=text,
        )
    folder = user_profiles_folder() / text if is_name(text) else storage.only_local(text)
    if folder.parts[:1] == ("~",):
        raise UsageError(
            "there is no home folder for your profiles",
            "set DIMMAGEN_PROFILES to a folder for them, or give a path",
            code="missing-path",
        )
    storage.restore_folder(folder)
    if folder.exists() and not may_exist:
        raise UsageError(
            f"{folder} exists already",
            "choose another name, or remove it first",
            code="name-taken",
            path=str(folder),
        )
    return folder


def save_profile(
    folder: Path,
    models: Sequence[ModelFiles],
    default_model: str,
    provenance: Mapping,
    *,
    sheet: bytes = b"",
    replace: bool = False,
) -> Profile:
    """Write a profile; the folder appears complete or not at all.

    Args:
        folder: must not exist, unless `replace`.
        models: the dimmer models; two of them may share a file.
        default_model: one of their kinds.
        provenance: how the profile was made; values that JSON can represent.
        sheet: a PNG that shows the profile to people, which its fingerprint does not cover.
        replace: replace an existing profile. At every moment the old or the new one is there: whoever opens,
            lists or saves the profile after a kill in between gets it.

    Raises:
        DimmagenError: the disk is full, or cannot be written to.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with storage.unfinished_folder(folder) as unfinished:
        entries = {model.kind: _saved_model(unfinished, model) for model in models}
        content = {
            "schema": SCHEMA,
            "name": folder.name,
            "fingerprint": fingerprint_of(default_model, entries),
            "default_model": default_model,
            "models": entries,
            "provenance": dict(provenance),
        }
        storage.atomic_write(unfinished / NAME, json.dumps(content, indent=1).encode() + b"\n")
        if sheet:
            storage.atomic_write(unfinished / SHEET, sheet)
        _make_readable(unfinished, 0o755)
        if replace and folder.exists():
            storage.replace_folder(unfinished, folder)
        else:
            unfinished.rename(folder)
    storage.sync_folder(folder.parent)
    return _read(folder, folder.name)


def _saved_model(folder: Path, model: ModelFiles) -> dict[str, dict]:
    """Write the files of a model; its entry in `profile.json`."""
    for file, tensors in model.files.items():
        contiguous = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
        storage.atomic_write(folder / file, save(contiguous))
        _make_readable(folder / file, 0o644)
    files = {file: hashing.sha256((folder / file).read_bytes()) for file in sorted(model.files)}
    return {"files": files, "settings": dict(model.settings)}


def _make_readable(path: Path, mode: int) -> None:
    """Have others read it, where a disk has such permissions (exFAT, SMB and some FUSE mounts have none)."""
    with suppress(OSError):
        path.chmod(mode)


def _read(folder: Path, name: str | None) -> Profile:
    """Read and check a profile; without a name, it is the one that it was saved with.

    A folder that is moved or renamed keeps that name, and with it the bytes of what is made with it.
    """
    found = read_profile_json(folder)
    name = name if name is not None else found.name or portable(folder.resolve().name)
    return Profile(name, folder, found.fingerprint, found.default_model, found.models, found.provenance)
