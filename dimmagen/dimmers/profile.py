"""Profiles: what one camera's darkness is, as a folder that can be named, shipped, checked and compared.

A folder holds `profile.json` and tensors in safetensors files, nothing that can run code. The fingerprint is
the hash of the models' files and settings: two profiles with the same fingerprint make the same pictures.
"""

import hashlib
import importlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.dimmers import closed_form
from dimmagen.dimmers.base import DimmerModel

SCHEMA = 1
BUNDLED = Path(__file__).parent / "bundled"
COMPATS = ("default", "reference")
# How a kind of dark model is read from a profile's folder: `load(folder, settings) -> DimmerModel`.
LOADERS = {
    "camera": "dimmagen.dimmers.camera.model:load",
    "mdn": "dimmagen.dimmers.mdn.model:load",
    "deterministic": "dimmagen.dimmers.mdn.model:load_deterministic",
}
# Kinds that can also do exactly as the paper's authors' code does.
REFERENCE_LOADERS = {"mdn": "dimmagen.dimmers.mdn.reference:load"}


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """One dark model on its way into a profile: tensors by file name, and settings for its loader."""

    kind: str
    files: Mapping[str, Mapping[str, np.ndarray]]
    settings: Mapping[str, str | int | float | bool]


@dataclass(frozen=True)
class Profile:
    """A profile that was found and checked; the models are read when they are asked for.

    Attributes:
        name: as it was asked for, or the folder's name.
        folder: where it lies; None for closed-form ones.
        fingerprint: SHA-256 over the models' settings and files, hex.
        default_model: the kind that is used unless another is asked for.
        models: by kind: {"files": {name: sha256}, "settings": {...}}.
        provenance: from what it was made: pairs, command, seed, versions, licence.
    """

    name: str
    folder: Path | None
    fingerprint: str
    default_model: str
    models: dict[str, dict]
    provenance: dict = field(default_factory=dict)

    def model(self, kind: str | None = None, compat: str = "default") -> DimmerModel:
        """The dark model of that kind; in `reference` compat the authors' MDN transform.

        Raises:
            UsageError: the profile has no such model, or the model no such compat.
        """
        if compat not in COMPATS:
            raise UsageError(f"unknown compat {compat}", f"known are {', '.join(COMPATS)}")
        if kind is None:
            kind = self.default_model if compat == "default" else "mdn"
        if kind not in self.models:
            raise UsageError(f"profile {self.name} has no model {kind}", f"it has {', '.join(self.models)}")
        loaders = LOADERS if compat == "default" else REFERENCE_LOADERS
        if self.folder is None and compat == "default":
            return closed_form.closed_form(kind)
        if kind not in loaders or self.folder is None:
            raise UsageError(f"there is no reference behaviour for model {kind}", "use --model mdn")
        module, function = loaders[kind].split(":")
        settings = dict(self.models[kind]["settings"])
        return getattr(importlib.import_module(module), function)(self.folder, settings)


def user_profiles_folder() -> Path:
    """The folder of the user's named profiles: DIMMAGEN_PROFILES, else in XDG's data folder."""
    if folder := os.environ.get("DIMMAGEN_PROFILES"):
        return Path(folder)
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "dimmagen" / "profiles"


def profile_names() -> list[str]:
    """Names that :func:`open_profile` knows: bundled, the user's own, and the closed-form ones."""
    places = [
        place.parent.name
        for root in (BUNDLED, user_profiles_folder())
        for place in root.glob("*/profile.json")
    ]
    named = {name for name in places if _is_name(name)}  # not one that is being saved just now
    return [*sorted(named), *closed_form.MODELS]


def open_profile(name_or_path: str | Path) -> Profile:
    """Find a profile and check it.

    Args:
        name_or_path: a name of :func:`profile_names`, or a folder with a `profile.json`.

    Raises:
        UsageError: there is no such profile; the message lists the known names.
        DimmagenError: it is damaged, was changed since it was saved, or holds something unsafe.
    """
    text = str(name_or_path)
    if text in closed_form.MODELS:
        models = {text: {"files": {}, "settings": closed_form.parameters(text)}}
        return Profile(text, None, fingerprint_of(text, models), text, models, {"made": "closed form"})
    for folder in (BUNDLED / text, user_profiles_folder() / text):
        if _is_name(text) and os.path.isfile(folder / "profile.json"):  # False for a name of any length
            return _read(folder, text)
    path = Path(name_or_path)
    if os.path.isdir(path):
        return _read(path, path.resolve().name)
    known = ", ".join(profile_names())
    raise UsageError(f"there is no profile {text}", f"known are {known}; or give a profile's folder")


def portable_name(name_or_path: str, profile: Profile | None = None) -> str:
    """A profile's name as it is, its folder absolute: workers may have another working directory.

    Args:
        name_or_path: of the profile.
        profile: what :func:`open_profile` gave for it; without it the profile is opened here.

    Raises:
        UsageError, DimmagenError: as :func:`open_profile`.
    """
    folder = (profile or open_profile(name_or_path)).folder
    named_by_path = folder is not None and Path(name_or_path).resolve() == folder.resolve()
    return str(Path(name_or_path).resolve()) if named_by_path else name_or_path


def new_profile_folder(name_or_path: str | Path, *, may_exist: bool = False) -> Path:
    """Where a new profile goes: a name to the user's own profiles, a path as it is.

    Raises:
        UsageError: the name is taken by a bundled or closed-form profile, or the place exists (and may not).
    """
    text = str(name_or_path)
    if _is_name(text) and (text in closed_form.MODELS or (BUNDLED / text).is_dir()):
        raise UsageError(f"{text} is the name of a profile that ships with dimmagen", "choose another name")
    folder = user_profiles_folder() / text if _is_name(text) else Path(text)
    if folder.exists() and not may_exist:
        raise UsageError(f"{folder} exists already", "choose another name, or remove it first")
    return folder


def save_profile(
    folder: Path,
    models: Sequence[ModelFiles],
    default_model: str,
    provenance: Mapping,
    *,
    replace: bool = False,
) -> Profile:
    """Write a profile; the folder appears whole or not at all.

    Args:
        folder: must not exist, unless `replace`.
        models: the dark models; two of them may share a file.
        default_model: one of their kinds.
        provenance: JSON-able: from what it was made.
        replace: take the place of an existing profile.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
    try:
        for model in models:
            for file, tensors in model.files.items():
                contiguous = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
                save_file(contiguous, unfinished / file)
                (unfinished / file).chmod(0o644)
        entries = {
            model.kind: {
                "files": {file: _sha256(unfinished / file) for file in sorted(model.files)},
                "settings": dict(model.settings),
            }
            for model in models
        }
        content = {
            "schema": SCHEMA,
            "name": folder.name,
            "fingerprint": fingerprint_of(default_model, entries),
            "default_model": default_model,
            "models": entries,
            "provenance": dict(provenance),
        }
        (unfinished / "profile.json").write_bytes(json.dumps(content, indent=1).encode() + b"\n")
        unfinished.chmod(0o755)
        if replace and folder.exists():
            shutil.rmtree(folder)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return _read(folder, folder.name)


def read_tensors(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Read a safetensors file that must hold exactly these tensors, float32 and finite.

    Raises:
        DimmagenError: it is no safetensors file (a pickle is never loaded), or a tensor is missing,
            unexpected, of another shape or type, or holds NaN or infinity.
    """
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise DimmagenError(
            f"{path} is no safetensors file ({error})", "fit or import the profile anew"
        ) from None
    check_tensors(path, tensors, shapes)
    return tensors


def check_tensors(
    path: Path, tensors: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Raise a DimmagenError unless the tensors have these names and shapes and are finite float32."""
    todo = "it is damaged or of another kind: fit or import it anew"
    if tensors.keys() != shapes.keys():
        odd = sorted(tensors.keys() ^ shapes.keys())
        raise DimmagenError(f"{path} has missing or unexpected tensors: {', '.join(odd)}", todo)
    for name, shape in shapes.items():
        array = tensors[name]
        if array.shape != shape or array.dtype != np.float32:
            found = f"{array.dtype} {array.shape}"
            raise DimmagenError(f"{path}: {name} is {found}, not float32 {shape}", todo)
        if not np.isfinite(array).all():
            raise DimmagenError(f"{path}: {name} holds NaN or infinity", todo)


def check_settings(
    folder: Path, settings: Mapping[str, object], ranges: Mapping[str, tuple[float, float]]
) -> None:
    """Raise a DimmagenError unless the settings are these numbers, of their range's type and inside it."""
    for name in sorted(settings.keys() | ranges.keys()):
        low, high = ranges.get(name, (0, 0))
        value = settings.get(name)
        kinds = (int, float) if isinstance(low, float) else (type(low),)
        if name not in ranges or type(value) not in kinds or not low <= value <= high:  # type: ignore[operator]
            raise DimmagenError(
                f"{folder / 'profile.json'}: {name} is {value!r}, not a number from {low} to {high}",
                "fit or import the profile anew",
            )


def fingerprint_of(default_model: str, models: Mapping[str, Mapping]) -> str:
    """SHA-256, hex, of all that decides a profile's pictures: file hashes, settings, the default model."""
    content = {"default_model": default_model, "models": models}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _read(folder: Path, name: str) -> Profile:
    todo = "fit or import it anew"
    try:
        content = storage.read_json(folder / "profile.json")
        default_model, models = content["default_model"], content["models"]
        known = all(kind in LOADERS for kind in models) and default_model in models
        files = {file: sha256 for entry in models.values() for file, sha256 in entry["files"].items()}
        _ = [entry["settings"].items() for entry in models.values()]
        schema, stored = content["schema"], content["fingerprint"]
    except FileNotFoundError:
        raise UsageError(
            f"{folder} is no profile: it has no profile.json", "give a profile's folder"
        ) from None
    except KeyError as error:
        raise DimmagenError(f"{folder / 'profile.json'} is damaged (it holds no {error})", todo) from None
    except (ValueError, TypeError, AttributeError) as error:
        raise DimmagenError(f"{folder / 'profile.json'} is damaged ({error})", todo) from None
    if schema != SCHEMA or not known:
        raise DimmagenError(f"{folder} was made by another version of dimmagen (schema {schema})", todo)
    _refuse_unsafe(folder, files)
    for file, sha256 in files.items():
        if not (folder / file).is_file() or _sha256(folder / file) != sha256:
            raise DimmagenError(f"{folder / file} is missing or not what was saved", todo)
    if fingerprint_of(default_model, models) != stored:
        raise DimmagenError(f"{folder / 'profile.json'} was changed since it was saved", todo)
    return Profile(name, folder, stored, default_model, models, content.get("provenance", {}))


def _refuse_unsafe(folder: Path, files: Mapping[str, str]) -> None:
    """Only safetensors inside the folder are ever read; anything else there has no business in a profile."""
    named = set(files) | {place.name for place in folder.iterdir()} - {"profile.json"}
    odd = sorted(name for name in named if Path(name).name != name or not name.endswith(".safetensors"))
    if odd:
        raise DimmagenError(
            f"profile {folder} holds {', '.join(odd)}: only profile.json and .safetensors files are safe",
            "remove it if you put it there, else do not use this profile",
        )


def _is_name(text: str) -> bool:
    """A name, not a path: one part, and not hidden."""
    return bool(text) and Path(text).name == text and not text.startswith(".")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
