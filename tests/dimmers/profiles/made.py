"""A small profile."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dimmagen.core import hashing
from dimmagen.core.errors import DimmagenError
from dimmagen.dimmers.mdn.model import MdnFiles
from dimmagen.dimmers.profile import ModelFiles
from dimmagen.dimmers.profile_json import fingerprint_of


def models(seed: int = 0) -> list[ModelFiles]:
    """Those of a random network."""
    random = np.random.default_rng(seed)
    tensors = {
        name: random.normal(0, 0.1, shape).astype(np.float32)
        for name, shape in MdnFiles.NETWORK_SHAPES.items()
    }
    half = np.full(256, 0.5, np.float32)
    return MdnFiles(tensors, half, half, False, 0.01, tau=0.7, exposure_spread=0.25).models()


def fields_of(call: Callable, kind: type[DimmagenError], match: str) -> tuple[str, dict]:
    """Code and fields of the error that a call ends with."""
    with pytest.raises(kind, match=match) as caught:
        call()
    return caught.value.code, caught.value.fields


def rewritten(folder: Path, change: Callable[[dict], object]) -> None:
    """Change a profile.json and update its hashes and fingerprint, as an attacker could."""
    path = folder / "profile.json"
    content = json.loads(path.read_text())
    change(content)
    for entry in content["models"].values():
        entry["files"] = {
            name: hashing.sha256((folder / name).read_bytes()) if (folder / name).is_file() else digest
            for name, digest in entry["files"].items()
        }
    content["fingerprint"] = fingerprint_of(content["default_model"], content["models"])
    path.write_text(json.dumps(content))
