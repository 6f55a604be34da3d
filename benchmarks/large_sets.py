"""Time and peak memory of what opens a large data set: one of many shards, one of many rows, a whole one.

    python -m benchmarks.large_sets FOLDER [--shards N] [--rows N] [--whole N] [--only TEXT]

The sets are made in FOLDER unless they are there. Their images are 16 pixels wide; the shards of the set of
many rows hold one pair each, to which all their rows point, so that the rows are weighed and not the images.
The whole set has N shards of 2,000 pairs. With --only, the works are run whose names hold this text.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from dimmagen.core.environment import environment
from dimmagen.core.hashing import FileRecord, sha256
from dimmagen.core.parquet import read_rows, write_rows
from dimmagen.dataset.manifest import Run
from dimmagen.dataset.schema import PAIR_SCHEMA
from dimmagen.dataset.writer import Sample, ShardRecord, metadata_name, write_pair_shard
from dimmagen.generate.finalize import finalize_dataset
from dimmagen.generate.plan import shard_name
from dimmagen.generate.resume import DatasetFolder
from dimmagen.images.codec import encode_png, pixel_sha256

PAIRS_PER_SHARD, ROWS_PER_SHARD, SIDE, PICTURES = 4, 2000, 16, 64
_LOADERS = {
    "PairDataset": "d = dimmagen.PairDataset(out, crop=8)",
    "PairDataset, 1,000 pairs at random": "d = dimmagen.PairDataset(out, crop=8)\n"
    "g = random.Random(0)\nfor _ in range(1000): d[g.randrange(len(d))]",
    "PairDataset, 8 workers to the first batch": "d = dimmagen.PairDataset(out, crop=8)\n"
    "l = torch.utils.data.DataLoader(d, 4, True, num_workers=8)\nnext(iter(l))",
    "pair_loader": "l = dimmagen.pair_loader(out, batch_size=4, crop=8)",
    "pair_loader, 8 workers to the first batch": "l = dimmagen.pair_loader(out, batch_size=4, crop=8, "
    "workers=8, buffer=8)\nnext(iter(l))",
    "pair_loader, rank 3 of 8 to the first batch": "os.environ.update(RANK='3', WORLD_SIZE='8')\n"
    "l = dimmagen.pair_loader(out, batch_size=4, crop=8, buffer=8)\nnext(iter(l))",
}


def images() -> list[tuple[dict, bytes, bytes]]:
    """Some small pairs: what a row says of the images, and their files."""
    found = []
    for seed in range(PICTURES):
        light = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        dark = light // 8
        files = encode_png(dark), encode_png(light)
        facts = {
            "lightness_before": float(light.mean() / 255),
            "lightness_after": float(dark.mean() / 255),
            "width": SIDE,
            "height": SIDE,
            "dark_sha256": sha256(files[0]),
            "dark_pixel_sha256": pixel_sha256(dark),
            "light_sha256": sha256(files[1]),
            "light_pixel_sha256": pixel_sha256(light),
        }
        found.append((facts, *files))
    return found


def row_of(number: int, facts: dict) -> dict:
    """The columns of a pair up to its size, and its hashes."""
    digest = sha256(str(number).encode())
    key = f"coco-{digest[:16]}"
    texts = {
        "source": "coco",
        "transform": "verbatim",
        "crop": "full",
        "profile": "linear",
        "model": "linear",
    }
    numbers = {"variant": 0, "seed": 0, "gamma": 1.0, "tau": 0.0, "exposure": 0.1, "noise_seed": number}
    return {
        "key": f"{key}-v0",
        "light_key": key,
        "name": f"train2017/{number:012d}.jpg",
        "source_sha256": digest,
        **texts,
        **numbers,
        **facts,
    }


def whole_shards(out: Path, count: int, per_shard: int = PAIRS_PER_SHARD) -> Iterator[ShardRecord]:
    """Shards of some pairs."""
    pictures = images()
    for index in range(count):
        samples = []
        for number in range(index * per_shard, (index + 1) * per_shard):
            facts, dark, light = pictures[number % PICTURES]
            samples.append(Sample(row_of(number, facts), dark, "png", light, "png"))
        yield write_pair_shard(str(out), shard_name(index), samples)


def many_rows(out: Path, rows: int) -> Iterator[ShardRecord]:
    """Shards of one pair, and many rows that are all of it but for their keys."""
    facts, dark, light = images()[0]
    for index in range(rows // ROWS_PER_SHARD):
        shard, first = shard_name(index), index * ROWS_PER_SHARD
        one = write_pair_shard(str(out), shard, [Sample(row_of(first, facts), dark, "png", light, "png")])
        [place] = read_rows(str(out / metadata_name(shard)), PAIR_SCHEMA)
        numbers = range(first, first + ROWS_PER_SHARD)
        table = ({**place, **_of_members(row_of(number, facts))} for number in numbers)
        written = write_rows(str(out / metadata_name(shard)), table, PAIR_SCHEMA)
        metadata = FileRecord(metadata_name(shard), written.bytes, written.sha256)
        yield ShardRecord(one.name, ROWS_PER_SHARD, one.bytes, one.sha256, metadata)


def _of_members(row: dict) -> dict:
    """A row with the names that the members of its pair would have."""
    return {**row, "dark_member": f"{row['key']}.dark.png", "light_member": f"{row['key']}.light.png"}


def publish(out: Path, shards: Iterator[ShardRecord], per_shard: int) -> None:
    settings = {
        "profile": "linear",
        "model": "linear",
        "variants": 1,
        "seed": 0,
        "samples_per_shard": per_shard,
        "image_format": "png",
        "gamma_range": [1.0, 1.0],
        "temperature": 1.0,
    }
    folder, run = DatasetFolder(str(out)), Run(settings, environment())
    with folder.locked():
        folder.begin(run, {})
        records = list(shards)
        pairs = sum(record.samples for record in records)
        finalize_dataset(folder, run, "dimmagen dim", {"coco": pairs}, ["png"], [], records)


def weigh(words: list[str], environment_: dict[str, str]) -> tuple[float, float, float, int]:
    """Seconds of the clock and of the processor, peak megabytes of the largest process, exit code."""
    began = time.monotonic()
    process = subprocess.Popen(
        words, env={**os.environ, **environment_}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    error = process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.stderr.write(error.decode(errors="replace")[-800:])
    seconds = time.monotonic() - began, usage.ru_utime + usage.ru_stime
    return *seconds, usage.ru_maxrss / 1024, os.waitstatus_to_exitcode(status)


def works(out: Path, photos: Path) -> Iterator[tuple[str, list[str]]]:
    """Names and words of what is weighed."""
    command = [sys.executable, "-m", "dimmagen"]
    new = out.with_name(f"{out.name}-subset")
    yield "stats", [*command, "stats", str(out)]
    yield "inspect", [*command, "inspect", str(out)]
    yield "inspect --html", [*command, "inspect", str(out), "--html", str(out.with_suffix(".html"))]
    if out.name == "whole":
        lmdb = str(out.with_name("whole-lmdb"))
        words = ["--layout", "basicsr-lmdb", "--out", lmdb, "--validation", "0"]
        yield "verify", [*command, "verify", str(out)]
        yield "leaks", [*command, "leaks", str(out), str(photos)]
        yield "export to LMDB", [*command, "export", str(out), *words]
        return
    if out.name == "shards":
        yield "verify", [*command, "verify", str(out)]
        yield "leaks", [*command, "leaks", str(out), str(photos)]
        yield "subset of half", [*command, "subset", str(out), "--out", str(new), "--lightness", "0:0.0603"]
    else:
        key = sha256(b"7")[:16]
        keys = out.with_suffix(".txt")
        keys.write_text(f"coco-{key}\n")
        yield "subset of one", [*command, "subset", str(out), "--out", str(new), "--keys", str(keys)]
        yield "peek at one pair", [*command, "peek", str(out), f"coco-{key}-v0"]
        others = str(out.with_name("shards"))
        merged = str(out.with_name("rows-merge"))
        yield "merge with the other set", [*command, "merge", str(out), others, "--out", merged]
        for name, other in (("itself", str(out)), ("the other set", others)):
            script = "import sys\nfrom dimmagen.dataset.compare_unordered import unordered_differences\n"
            script += "unordered_differences(*sys.argv[1:])"
            yield f"comparison with {name}, in any order", [sys.executable, "-c", script, str(out), other]
    for name, body in _LOADERS.items():
        if out.name == "rows" and "batch" in name:
            continue  # its shards hold one pair each
        script = f"import sys, os, random, torch, dimmagen\nout = sys.argv[1]\n{body}"
        yield name, [sys.executable, "-c", script, str(out)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shards", type=int, default=5000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--whole", type=int, default=100)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    folder = options.folder
    photos = folder / "photos"
    photos.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(10**6).integers(0, 256, (64, 64, 3), np.uint8)
    (photos / "other.png").write_bytes(encode_png(noise))
    sets = {
        "shards": (whole_shards, options.shards, PAIRS_PER_SHARD),
        "rows": (many_rows, options.rows, ROWS_PER_SHARD),
        "whole": (partial(whole_shards, per_shard=ROWS_PER_SHARD), options.whole, ROWS_PER_SHARD),
    }
    for name, (make, count, per_shard) in sets.items():
        if not (folder / name / "manifest.json").exists():
            began = time.monotonic()
            if not os.fork():  # the memory of this process is the least that its children are weighed with
                publish(folder / name, make(folder / name, count), per_shard)
                os._exit(0)
            os.wait()
            print(f"{name}: made in {time.monotonic() - began:.0f} s", file=sys.stderr)
        for work, words in works(folder / name, photos):
            if options.only in f"{name} {work}":
                clock, processor, megabytes, code = weigh(words, {"OMP_NUM_THREADS": "1"})
                failed = f" (exit code {code})" if code else ""
                times = f"{clock:.1f} | {processor:.1f}"
                print(f"| {name} | {work}{failed} | {times} | {megabytes:.0f} |", flush=True)


if __name__ == "__main__":
    main()
