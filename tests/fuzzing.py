"""Fuzzing: images, clips, shards, parquet files, recipes and tensors, damaged at random.

    python -m tests.fuzzing --count 50000          what `make fuzz` runs
    python -m tests.fuzzing --first 1234 --count 1  one mutation again, by its reported index

A mutation is a function of (seed, index). Each batch runs in a separate process, so that crashes, hangs and
memory belong to the batch and not to the test: a batch ends with a line of JSON, or died at the index that it
wrote last, and is continued behind it.
"""

import argparse
import io
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from dimmagen.core.memory import peak_memory
from dimmagen.core.processors import processor_count

SEED = 20231009
SECONDS = 10  # of a processor, limit per file
PATIENCE = 600  # seconds until one that waits for something is ended
MEMORY = 2**30  # bytes, limit for the process including its libraries
_ADDRESS_SPACE = 6 * 2**30  # protects the machine that runs this; the guaranteed limit is MEMORY
_BATCH = 250
_MAX_FAULTS = 5  # in a batch; with more of them something else is wrong
DOCUMENT_ROWS = 8
TENSORS = {"weight": (32, 5), "bias": (32,)}  # of the stored model
_SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
_TEMPTING = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class Victim:
    """A real file, and the source of which it is a candidate."""

    name: str
    data: bytes
    source: str


def victims() -> list[Victim]:
    """Photos from scikit-image as JPEG, PNG and WebP; with the shared data also a real camera JPEG and the
    first frames of real clips, otherwise a clip of a moving photo."""
    from PIL import Image
    from skimage import data

    from dimmagen.sources import SOURCES
    from tests.made_clips import moving_photo

    shipped = Path(SOURCES["sample"].default_path)
    found = [
        Victim("rocket.jpg", (shipped / "rocket.jpg").read_bytes(), "folder"),
        Victim("chelsea.png", (shipped / "chelsea.png").read_bytes(), "folder"),
    ]
    for name, options in {"lossy": {"quality": 80}, "lossless": {"lossless": True, "method": 0}}.items():
        buffer = io.BytesIO()
        Image.fromarray(data.coffee()[:300, :400]).save(buffer, "WEBP", **options)
        found.append(Victim(f"{name}.webp", buffer.getvalue(), "folder"))
    shared = Path(os.environ.get("DIMMAGEN_TEST_DATA", _SHARED))
    if shared.is_dir():
        photo = shared / "sources/coco/000000000592.jpg"
        clips = [shared / f"sources/inter4k/{name}.mp4" for name in ("bikes", "bottle-detection")]
        found.append(Victim(photo.name, photo.read_bytes(), "folder"))
        found += [Victim(clip.name, _first_packets(clip), "inter4k") for clip in clips]
    else:
        found.append(Victim("coffee.mp4", moving_photo(), "inter4k"))
    return [*found, *_rarer_images()]


def _rarer_images() -> Iterator[Victim]:
    """The kinds of images that few photos have: GIF, BMP, PPM, TIFF in strips and tiles, AVIF, HEIC."""
    import tifffile
    from PIL import Image, features
    from skimage import data

    pixels = data.coffee()[:300, :400]
    photo = Image.fromarray(pixels)
    kinds = {"gif": ("GIF", {}), "bmp": ("BMP", {}), "ppm": ("PPM", {})}
    kinds |= {
        "plain.tif": ("TIFF", {}),
        "lzw.tif": ("TIFF", {"compression": "tiff_lzw"}),
        "jpeg.tif": ("TIFF", {"compression": "jpeg"}),
    }
    if features.check("avif"):
        kinds["avif"] = ("AVIF", {"speed": 10})
    for name, (kind, options) in kinds.items():
        buffer = io.BytesIO()
        (photo.convert("L") if kind == "GIF" else photo).save(buffer, kind, **options)
        yield Victim(f"coffee.{name}", buffer.getvalue(), "folder")
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, tile=(64, 64), compression="zlib", photometric="rgb")
    yield Victim("coffee.tiled.tif", buffer.getvalue(), "folder")
    for path in sorted((Path(__file__).parent / "images/heic").glob("*.heic")):
        yield Victim(path.name, path.read_bytes(), "folder")


def documents() -> list[Victim]:
    """What data sets, profiles and recipes consist of; the `source` is the kind of the document."""
    import numpy as np
    from safetensors.numpy import save

    from dimmagen.core.parquet import write_rows
    from dimmagen.core.tar import TarWriter
    from dimmagen.dataset.schema import PAIR_SCHEMA
    from dimmagen.images.codec import encode_png

    image = encode_png(np.random.default_rng(0).integers(0, 99, (40, 50, 3), dtype=np.uint8))
    shard = io.BytesIO()
    tar = TarWriter(shard)
    for number in range(4):
        for field, content in (("dark.png", image), ("json", b'{"gamma": 1.0}'), ("light.png", image)):
            tar.add(f"folder-{number:016x}-v0.{field}", content)
    tar.finish()
    row = {field.name: {"string": "text", "double": 0.5}.get(str(field.type), 1) for field in PAIR_SCHEMA}
    with tempfile.TemporaryDirectory() as folder:
        write_rows(f"{folder}/rows", [row] * DOCUMENT_ROWS, PAIR_SCHEMA)
        rows = Path(folder, "rows").read_bytes()
    recipe = (Path(__file__).resolve().parents[1] / "dimmagen/cli/bundled/lol3.yaml").read_bytes()
    tensors = {name: np.zeros(shape, np.float32) for name, shape in TENSORS.items()}
    return [
        Victim("train-00000.tar", shard.getvalue(), "shard"),
        Victim("train-00000.parquet", rows, "parquet"),
        Victim("recipe.yaml", recipe, "recipe"),
        Victim("model.safetensors", save(tensors), "tensors"),
    ]


def read_document(kind: str, path: Path) -> None:
    """Read a document as the package does, whatever it holds."""
    from dimmagen.cli.recipes import load_recipe
    from dimmagen.core.parquet import read_rows
    from dimmagen.core.tar import samples
    from dimmagen.dataset.schema import PAIR_SCHEMA
    from dimmagen.dimmers.stored_model import read_tensors

    if kind == "shard":
        with path.open("rb") as file:
            for sample in samples(file, str(path), MEMORY):
                assert sample["__key__"] is not None
    elif kind == "parquet":
        assert len(read_rows(str(path), PAIR_SCHEMA, DOCUMENT_ROWS)) <= DOCUMENT_ROWS
    elif kind == "recipe":
        load_recipe(path)
    else:
        read_tensors(path, TENSORS)


def check_document(victim: Victim, data: bytes) -> str:
    """Read a damaged document; returns whether it is refused. Raises any error that a user cannot expect."""
    from dimmagen.core.errors import DimmagenError, MachineError

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, victim.name)
        path.write_bytes(data)
        try:
            read_document(victim.source, path)
        except MachineError:
            raise
        except DimmagenError:
            return f"{victim.source} refused"
    return f"{victim.source} read"


def _first_packets(clip: Path, count: int = 10) -> bytes:
    """The beginning of a clip as a separate clip, with unchanged packets."""
    import av

    buffer = io.BytesIO()
    with av.open(str(clip)) as source, av.open(buffer, "w", format="mp4") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        packets = (packet for packet in source.demux(video=0) if packet.dts is not None)
        for packet, _ in zip(packets, range(count), strict=False):
            packet.stream = stream
            target.mux(packet)
    return buffer.getvalue()


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Apply one to four kinds of damage, half of them to the first bytes, where the headers are."""
    damaged = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        kind = chance.choice(["flip", "flip", "byte", "number", "number", "cut", "drop", "repeat", "insert"])
        place = chance.randrange(min(len(damaged), 800) if chance.random() < 0.5 else len(damaged))
        length = chance.choice([1, 4, 30, 1000])
        if kind == "flip":
            damaged[place] ^= 1 << chance.randrange(8)
        elif kind == "byte":
            damaged[place] = chance.randrange(256)
        elif kind == "number":
            width = chance.choice([1, 2, 4])
            number = chance.choice(_TEMPTING) % 256**width
            damaged[place : place + width] = number.to_bytes(width, chance.choice(["big", "little"]))
        elif kind == "cut" and chance.random() < 0.3:
            del damaged[max(place, 1) :]
        elif kind == "drop" and len(damaged) > length:
            del damaged[place : place + length]
        elif kind == "repeat":
            damaged[place:place] = damaged[place : place + length]
        elif kind == "insert":
            damaged[place:place] = chance.randbytes(length)
        damaged = damaged or bytearray(1)
    return bytes(damaged)


def check(victim: Victim, data: bytes) -> str:
    """Examine damaged bytes as a candidate; returns the verdict.

    Raises:
        AssertionError: a verdict has no reason, or the light image is invalid.
        Exception: any error of a reader; there should be none.
    """
    import numpy as np

    from dimmagen.sources import SOURCES

    if victim.source not in SOURCES:
        return check_document(victim, data)
    source = SOURCES[victim.source]
    results = source.examine(data)
    assert [one.frame for one in results] == list(source.frames)
    for one in results:
        if one.verdict.accepted:
            pixels = one.pixels
            assert pixels is not None
            assert pixels.dtype == np.uint8
            assert pixels.ndim == 3
            assert pixels.shape[2] == 3
            assert np.array_equal(source.light(data, one.frame), pixels), "a second decoding differs"
        else:
            assert one.verdict.rule
            assert one.verdict.reason
            assert "\n" not in one.verdict.reason
            assert " at 0x" not in one.verdict.reason
    return "/".join(one.verdict.rule or "accepted" for one in results)


def run_batch(first: int, count: int, seed: int, note: Path) -> None:
    """Run some mutations in this process, limited in memory and time; prints a line of JSON."""
    import faulthandler
    import resource

    import av

    import dimmagen.sources.inter4k  # noqa: F401 - imported before the memory is limited

    faulthandler.enable()
    av.logging.set_level(av.logging.PANIC)
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    for name in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(name, signal.SIG_DFL)  # kills: a handler would wait for the library to return
    targets = [*victims(), *documents()]
    verdicts: Counter[str] = Counter()
    slowest = (0.0, first)
    with open(note, "wb", buffering=0) as file:
        for index in range(first, first + count):
            os.pwrite(file.fileno(), f"{index:12d}".encode(), 0)
            victim = targets[index % len(targets)]
            chance = random.Random(f"{seed}-{index}")
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            signal.setitimer(signal.ITIMER_REAL, PATIENCE)
            start = time.process_time()
            verdicts[check(victim, mutate(victim.data, chance))] += 1
            slowest = max(slowest, (time.process_time() - start, index))
            for timer in (signal.ITIMER_PROF, signal.ITIMER_REAL):
                signal.setitimer(timer, 0)
    print(json.dumps({"verdicts": verdicts, "slowest": slowest, "memory": peak_memory()}))


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one batch."""

    first: int
    fault: str
    verdicts: dict[str, int]
    slowest: tuple[float, int]
    memory: int


def fuzz(count: int, first: int = 0, seed: int = SEED, processes: int = 2) -> Iterator[Outcome]:
    """Run mutations `first` to `first + count - 1` in batches; yields them as they end, in order."""
    starts = range(first, first + count, _BATCH)
    with ThreadPoolExecutor(processes) as pool:
        yield from pool.map(lambda start: _batch(start, min(_BATCH, first + count - start), seed), starts)


def _batch(first: int, count: int, seed: int) -> Outcome:
    """One batch; what is behind a mutation that ends the process is tried in another one."""
    end, start = first + count, first
    verdicts: Counter[str] = Counter()
    faults: list[str] = []
    slowest, memory = (0.0, first), 0
    while start < end and len(faults) < _MAX_FAULTS:
        one, start = _run_process(start, end - start, seed)
        faults += [one.fault] if one.fault else []
        verdicts.update(one.verdicts)
        slowest, memory = max(slowest, one.slowest), max(memory, one.memory)
    return Outcome(first, "\n".join(faults), verdicts, slowest, memory)


def _run_process(first: int, count: int, seed: int) -> tuple[Outcome, int]:
    """What one process came to, and the index of the first mutation that it did not try."""
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder) / "index"
        numbers = ["--first", str(first), "--count", str(count), "--seed", str(seed)]
        command = [sys.executable, "-m", "tests.fuzzing", *numbers, "--batch", str(note)]
        run = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            cwd=Path(__file__).resolve().parents[1],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        reached = int(note.read_text()) if note.exists() else first
    if run.returncode:
        how = f"ended with {run.returncode}"
        if run.returncode < 0:
            how = f"was killed by {signal.Signals(-run.returncode).name}"
        fault = f"mutation {reached} {how}: {_message(run.stderr)}"
        return Outcome(first, fault, {}, (0.0, reached), 0), reached + 1
    facts = json.loads(run.stdout.splitlines()[-1])
    fault = ""
    if facts["memory"] > MEMORY:
        fault = f"mutations {first} to {reached} took {facts['memory'] / 2**20:.0f} MiB"
    return Outcome(first, fault, facts["verdicts"], tuple(facts["slowest"]), facts["memory"]), reached + 1


def _message(stderr: str) -> str:
    """The end of what a process said, without the list of modules that faulthandler adds."""
    return stderr.partition("\nExtension modules:")[0][-2000:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--processes", type=int, default=processor_count())
    parser.add_argument("--batch", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.batch:
        run_batch(options.first, options.count, options.seed, options.batch)
        return
    verdicts: Counter[str] = Counter()
    faults, slowest, memory, start = [], (0.0, 0), 0, time.monotonic()
    for outcome in fuzz(options.count, options.first, options.seed, options.processes):
        verdicts.update(outcome.verdicts)
        slowest, memory = max(slowest, outcome.slowest), max(memory, outcome.memory)
        if outcome.fault:
            faults.append(outcome.fault)
            print(outcome.fault, flush=True)
    counts = ", ".join(f"{name} {count}" for name, count in verdicts.most_common())
    print(f"{verdicts.total()} of {options.count} mutations in {time.monotonic() - start:.0f} s: {counts}")
    print(f"slowest: mutation {slowest[1]}, {slowest[0]:.1f} s; peak memory: {memory / 2**20:.0f} MiB")
    sys.exit(f"{len(faults)} faults" if faults else 0)


if __name__ == "__main__":
    main()
