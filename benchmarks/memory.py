"""Peak resident memory: of an actor for photos of several sizes, and of the driver.

    python -m benchmarks.memory [--quick] [--data FOLDER] [--json FILE]
    python -m benchmarks.memory --command dim --profile lol3 --source photos/ --shards out/

The second form weighs any one command of dimmagen.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.figures import Figure, Options, main
from benchmarks.photos import write_tiled
from benchmarks.processes import peak_megabytes
from dimmagen.sources.catalog import ADDED_LATER, CATALOG_SCHEMA
from dimmagen.sources.mixhq_reading import MIXHQ_CATALOG, MIXHQ_MANIFEST, MIXHQ_SCHEMA

SIZES = (1, 6, 12, 24)  # megapixels
PLANNED, QUICK_PLANNED = 10_000_000, 20_000  # photos
_ROWS = 65_536
_UNIT = "MB, 10^6 bytes"


def measure(options: Options) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        for megapixels in SIZES[:: len(SIZES) - 1] if options.quick else SIZES:
            photos = write_tiled(options, Path(folder) / f"photos{megapixels}", megapixels, 3)
            out = Path(folder) / f"out{megapixels}"
            words = ("dim", "--profile", "lol3", "--source", f"folder={photos}", "--shards", out)
            peaks = peak_megabytes(*words, "--variants", 2, "--executor", "ray", "--workers", 1)
            for role in ("actor", "driver"):
                yield Figure(f"{role}, by megapixels of the photos", _UNIT, [peaks[role]], megapixels)
        planned = QUICK_PLANNED if options.quick else PLANNED
        mixhq = imagined_mixhq(Path(folder) / "mixhq", planned)
        words = ("dim", "--profile", "lol3", "--source", mixhq, "--shards", Path(folder) / "out")
        peaks = peak_megabytes(*words, "--dry-run")
        yield Figure("driver with a plan, by photos", _UNIT, [peaks["driver"]], planned)


def imagined_mixhq(folder: Path, photos: int) -> Path:
    """The catalog of a MixHQ without its shards: all that a plan reads."""
    (folder / MIXHQ_CATALOG).parent.mkdir(parents=True)
    (folder / MIXHQ_MANIFEST).write_text(json.dumps({"schema": MIXHQ_SCHEMA, "inputs": {}}))
    with pq.ParquetWriter(folder / MIXHQ_CATALOG, CATALOG_SCHEMA, compression="zstd") as writer:
        for first in range(0, photos, _ROWS):
            writer.write_table(_catalog(range(first, min(first + _ROWS, photos))))
    return folder


def _catalog(numbers: range) -> pa.Table:
    generator = np.random.default_rng(numbers.start)
    hexes = [[generator.bytes(32).hex() for _ in numbers] for _ in range(2)]
    varying = {
        "name": [f"{number:012d}.jpg" for number in numbers],
        "key": [f"coco-{text[:16]}" for text in hexes[0]],
        "sha256": hexes[0],
        "light_sha256": hexes[1],
        "offset": [200_000 * (number % 1000) for number in numbers],
        "shard": [f"shards/mixhq-{number // 1000:05d}.tar" for number in numbers],
    }
    same = {
        "source": "coco",
        "frame": "",
        "format": "JPEG",
        "mode": "RGB",
        "accepted": True,
        "rule": "",
        "reason": "",
        "transform": "verbatim",
        "extension": "jpg",
        "member": "",
        "white_border": None,
        "scene_distance": None,
        **ADDED_LATER,
        **dict.fromkeys(("width", "height", "light_width", "light_height"), 640),
        **dict.fromkeys(("bytes", "light_bytes"), 190_000),
    }
    columns = {**varying, **{name: [value] * len(numbers) for name, value in same.items()}}
    return pa.table({name: columns[name] for name in CATALOG_SCHEMA.names}, CATALOG_SCHEMA)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--command"]:
        print(json.dumps(peak_megabytes(*sys.argv[2:])))
    else:
        main("memory", measure, __doc__)
