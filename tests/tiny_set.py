"""Data sets of images so small that a test may make many of them; no scan and no rule sees these images."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from dimmagen.core import hashing
from dimmagen.core.outputs import ResumeMode
from dimmagen.dataset.card import card, pair_layout_file
from dimmagen.dataset.manifest import Manifest
from dimmagen.dataset.pair_tables import pair_tables
from dimmagen.dataset.reader import PairSet, open_pairs
from dimmagen.dataset.sheet import choose_rows, pair_views
from dimmagen.dataset.statistics import DatasetSummary
from dimmagen.dataset.verify import verify_dataset
from dimmagen.generate.pair import PairSettings
from dimmagen.generate.run import Execution, GenerateProgress, generate_dataset
from dimmagen.images import codec
from dimmagen.images.sheets import contact_sheet, jpeg_bytes
from dimmagen.sources.light_image import LightImageRef
from tests.dataset_helpers import build_dimmer


@dataclass
class TinyLights:
    """Light images of 12x16 pixels or so, in files of a folder; what :class:`.LightImages` asks for."""

    listed: list[LightImageRef]
    rejects: list[dict] = field(default_factory=list)
    origin: str = "tiny"
    others: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    excluded: Mapping[str, int | str] = field(default_factory=dict)
    choices: Mapping[str, Any] = field(default_factory=dict)
    catalogued: bool = False

    def __len__(self) -> int:
        return len(self.listed)

    def __iter__(self) -> Iterator[LightImageRef]:
        return iter(self.listed)

    def refs(self, start: int = 0, stop: int | None = None) -> list[LightImageRef]:
        return self.listed[start:stop]

    def photo_sizes(self) -> Iterator[tuple[int, int]]:
        return ((ref.width, ref.height) for ref in self.listed)

    def rejected(self) -> Iterator[dict]:
        return iter(self.rejects)


def tiny_lights(folder: Path, count: int, first: int = 0, source: str = "folder") -> TinyLights:
    """Write light images, PNG and JPEG in turn, and one rejected candidate for them all."""
    folder.mkdir(parents=True, exist_ok=True)
    refs = []
    for number in range(first, first + count):
        extension = "jpg" if number % 2 else "png"
        pixels = np.random.default_rng(number).integers(40, 256, (12 + number, 16, 3), np.uint8)
        data = (codec.encode_jpeg if number % 2 else codec.encode_png)(pixels)
        path, sha256 = folder / f"{number}.{extension}", hashing.sha256(data)
        path.write_bytes(data)
        locator = {"kind": "file", "path": str(path), "sha256": sha256, "stored": False, "frame": ""}
        key, height = f"{source}-{sha256[:16]}", 12 + number
        refs.append(
            LightImageRef(
                key, source, path.name, sha256, "verbatim", extension, 16, height, json.dumps(locator)
            )
        )
    return TinyLights(refs, [rejected_row("small.png", source)])


def rejected_row(name: str, source: str = "folder", frame: str = "", sha256: str = "2" * 64) -> dict:
    """A candidate that was rejected because of its size."""
    texts = {"format": "PNG", "mode": "RGB", "rule": "size", "reason": "8x8"}
    numbers = {"bytes": 100, "width": 8, "height": 8}
    return {"source": source, "name": name, "frame": frame, "key": "", "sha256": sha256, **texts, **numbers}


def make_tiny(
    lights: TinyLights,
    out: Path,
    progress: GenerateProgress | None = None,
    resume: ResumeMode = "if-possible",
    **settings,
) -> Manifest:
    """Make a data set of them with the `linear` profile, serially, 3 pairs a shard."""
    settings = PairSettings(**{"samples_per_shard": 3, **settings})
    return generate_dataset(lights, build_dimmer, str(out), settings, Execution("serial"), resume, progress)


def tiny_set(out: Path, count: int = 4, **settings) -> PairSet:
    """A finished data set of such images."""
    make_tiny(tiny_lights(out.with_name(f"{out.name}-lights"), count), out, **settings)
    return open_pairs(out)


def memory_url() -> str:
    """The URL of a folder in this process's memory that is not there yet."""
    return f"memory://{uuid4().hex}"


def with_settings(pairs: PairSet, **changes: Any) -> PairSet:
    """The same pairs under a manifest with other settings; of None there is none."""
    settings = {**pairs.manifest.settings, **changes}
    settings = {name: value for name, value in settings.items() if value is not None}
    return replace(pairs, manifest=pairs.manifest.model_copy(update={"settings": settings}))


class Noted:
    """A progress that notes what it receives; one of an earlier version, without `workers`.

    Args:
        stop_after: number of shards after which it stops the run, as a kill would: nothing is cleaned up.
    """

    def __init__(self, stop_after: int = 10**9) -> None:
        self.totals: list[tuple[int, ...]] = []
        self.made, self.shards, self.stop_after = 0, 0, stop_after

    def begin(self, *totals: int) -> None:
        self.totals.append(totals)

    def pairs(self, count: int) -> None:
        self.made += count

    def shard(self) -> None:
        self.shards += 1
        if self.shards == self.stop_after:
            raise KeyboardInterrupt


def assert_described(out: Path, extensions: list[str]) -> Manifest:
    """The files beside the shards are those of its pairs, and the manifest names what it should."""
    pairs = open_pairs(out)
    manifest, numbers = pairs.manifest, DatasetSummary()
    assert verify_dataset(str(out)).faults == []
    shown = choose_rows(numbers.adding(pair_tables(str(out), manifest)), manifest.settings["variants"], 6)
    assert (out / "README.md").read_text() == card(manifest, extensions, numbers.result(manifest))
    sheet = jpeg_bytes(contact_sheet(pair_views(pairs, shown), width=256))
    assert (out / "sheet.jpg").read_bytes() == sheet
    assert (out / ".huggingface.yaml").read_bytes() == pair_layout_file(manifest)
    for entry in manifest.files:
        assert hashing.sha256((out / entry.name).read_bytes()) == entry.sha256
    return manifest


def files(out: Path) -> list[str]:
    """The names of all files of a data set, sorted, as paths in it."""
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
