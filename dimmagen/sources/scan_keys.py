"""What decides the verdict on a file: the file, the settings of the index pass, and the code that reads it.

A verdict that was kept is used again only under an equal key. So the key has all of it: another version of a
library, another rule, or another exclusion makes another key, and the file is read again.
"""

import hashlib
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from dimmagen.core import storage
from dimmagen.core.environment import environment, package_version
from dimmagen.core.file_names import portable
from dimmagen.images.versions import library_versions, step_versions
from dimmagen.sources import SOURCES, SourceSpec
from dimmagen.sources.archives import Entry
from dimmagen.sources.photo_selection import PhotoSelection
from dimmagen.sources.scan import Candidate, look_at
from dimmagen.sources.scene_hash import SceneHashes

KEY_BYTES = 16
_ROOMS = ("core", "images", "sources")  # whose code a verdict can depend on
_LIBRARIES = ("imagehash", "scipy", "zlib-ng")  # besides those of every image
_STEPS = ("icc", "avif", "heif")
_ALL = PhotoSelection()


@dataclass(frozen=True, slots=True)
class ScanSettings:
    """What the verdicts of one index pass depend on, besides the files.

    Attributes:
        scenes: excluded ones, or None.
        selection: the user's choices.
        stored: whether rows have the size and SHA-256 of the light image's file.
    """

    scenes: SceneHashes | None = None
    selection: PhotoSelection = _ALL
    stored: bool = True

    def look_at(self, file: tuple[SourceSpec, Entry]) -> list[Candidate]:
        """See :func:`dimmagen.sources.scan.look_at`."""
        return look_at(self.scenes, self.selection, self.stored, file)

    def describe(self) -> dict[str, Any]:
        """Values for JSON; what only chooses among the files is left out."""
        selection = replace(self.selection, limit=None, names=None, follow_links=False)
        scenes = self.scenes.describe() if self.scenes else None
        return {"selection": asdict(selection), "scenes": scenes, "stored": self.stored}


def scan_versions() -> dict[str, str]:
    """The code and the libraries of this machine that verdicts depend on, by name."""
    here = environment()
    return {
        **library_versions(),
        **step_versions(_STEPS),
        **{name: package_version(name) for name in _LIBRARIES},
        "python": here["versions"]["python"],
        "machine": here["machine"],
        "processor features": " ".join(here["processor_features"]),
        "variables of numba": json.dumps(here.get("numba", {}), sort_keys=True),
        "dimmagen": f"{here['versions']['dimmagen']}, code {_code_digest()[:12]}",
    }


@cache
def _code_digest() -> str:
    """SHA-256 of the code that reads and judges images, so that no change of it can be forgotten."""
    root, digest = Path(__file__).parents[1], hashlib.sha256()
    for path in sorted(path for room in _ROOMS for path in (root / room).rglob("*.py")):
        digest.update(f"{path.relative_to(root).as_posix()}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def _source_version(name: str) -> str | None:
    """The code of a source; None for one that a script registered, of which nothing is known."""
    module = type(SOURCES[name]).__module__
    if module.startswith("dimmagen."):
        return ""
    if (plugin := SOURCES.plugin(name)) is None:
        return None
    file = getattr(sys.modules.get(module), "__file__", None)
    digest = hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ""
    return f"{plugin.distribution} {plugin.version} {digest}"


class FileKeys:
    """The keys of files under some settings, on this machine.

    Args:
        settings: of the pass.
        sources: names of all sources of the files.
    """

    def __init__(self, settings: ScanSettings, sources: Iterable[str]) -> None:
        shared = json.dumps([settings.describe(), scan_versions()], sort_keys=True)
        versions = {name: _source_version(name) for name in sources}
        self._starts = {
            name: hashlib.sha256(json.dumps([shared, name, version]).encode())
            for name, version in versions.items()
            if version is not None
        }

    def __call__(self, file: tuple[SourceSpec, Entry]) -> bytes:
        """The key of a file; empty if nothing says whether its bytes are still the same."""
        spec, entry = file
        if not entry.stamp or spec.name not in self._starts:
            return b""
        digest = self._starts[spec.name].copy()
        place = portable(storage.last_part(spec.path))  # sources judge by it
        values = [place, entry.name, entry.size, entry.locator, entry.refusal, entry.stamp]
        digest.update(json.dumps(values, sort_keys=True).encode())
        return digest.digest()[:KEY_BYTES]


def range_name(keys: Iterable[bytes]) -> str:
    """The name of a range of files, hex; empty if one of them has no key."""
    digest = hashlib.sha256()
    for key in keys:
        if not key:
            return ""
        digest.update(key)
    return digest.hexdigest()[:32]
