"""A tiny real data set for the tests of shards, jobs and verification."""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from skimage import data

from dimmagen.core import hashing
from dimmagen.core.errors import DimmagenError
from dimmagen.core.outputs import ResumeMode
from dimmagen.core.tar import members
from dimmagen.dataset.manifest import Manifest
from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.generate.pair import PairSettings
from dimmagen.generate.run import Execution, GenerateProgress, generate_dataset
from dimmagen.images import codec
from dimmagen.sources.light_images import open_light_images

build_dimmer = partial(ImageDimmer.from_profile, "linear")


def write_photos(folder: Path, count: int) -> Path:
    """Crops of scikit-image's photos, every second one as JPEG, so that light fields differ in type."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    photos = [data.astronaut(), data.coffee(), data.chelsea()]
    for index in range(count):
        photo = photos[index % len(photos)]
        top, left = 7 * (index // 3), 11 * (index // 3)
        crop = np.ascontiguousarray(photo[top : top + 256, left : left + 264 + index])
        if index % 2:
            Image.fromarray(crop).save(folder / f"photo{index:02d}.jpg", quality=90)
        else:
            (folder / f"photo{index:02d}.png").write_bytes(codec.encode_png(crop))
    (folder / "tiny.png").write_bytes(codec.encode_png(np.zeros((8, 8, 3), np.uint8)))  # rejected by size
    return folder


def make(
    photos: Path | str,
    out: Path,
    *,
    execution: Execution | None = None,
    resume: ResumeMode = "if-possible",
    progress: GenerateProgress | None = None,
    **settings,
) -> Manifest:
    """Make a data set of the photos with the `linear` profile, by default serially, 3 pairs a shard."""
    settings.setdefault("samples_per_shard", 3)
    return generate_dataset(
        open_light_images([str(photos)]),
        build_dimmer,
        str(out),
        PairSettings(**settings),
        execution or Execution("serial"),
        resume,
        progress,
    )


def copy_set(out: Path, to: Path) -> Path:
    """A copy of a data set that a test may damage."""
    shutil.copytree(out, to)
    return to


def file_hashes(folder: Path, ignored: tuple[str, ...] = ()) -> dict[str, str]:
    """SHA-256 of every file in a folder by its relative path, without files of the ignored names."""
    return {
        path.relative_to(folder).as_posix(): hashing.sha256(path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ignored
    }


def refused(call: Callable, *arguments: Any, **options: Any) -> DimmagenError:
    """What a call is refused with."""
    with pytest.raises(DimmagenError) as caught:
        call(*arguments, **options)
    return caught.value


def write_catalog(mixhq: Path, table: pa.Table) -> None:
    """Another catalog of a MixHQ that has not grown, with its hash in the manifest."""
    path = mixhq / "catalog/part-00000.parquet"
    pq.write_table(table, path)
    manifest = json.loads((mixhq / "manifest.json").read_text())
    data = path.read_bytes()
    manifest["catalog"] |= {"bytes": len(data), "sha256": hashing.sha256(data)}
    (mixhq / "manifest.json").write_text(json.dumps(manifest))


def replace_member(path, number, data):
    """Overwrite the data of one member, without changing its length or any other member."""
    with open(path, "r+b") as file:
        member = list(members(file, str(path)))[number]
        file.seek(member.offset)
        file.write(data[: member.size].ljust(member.size))
    return member.name
