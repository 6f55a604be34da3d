"""Writing one shard: a tar of samples, then the parquet of their rows; both complete or absent."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass

from dimmagen.core import storage
from dimmagen.core.hashing import FileRecord
from dimmagen.core.parquet import write_rows
from dimmagen.core.tar import TarWriter
from dimmagen.dataset.schema import PAIR_SCHEMA, sidecar


@dataclass(frozen=True, slots=True)
class Sample:
    """One pair, ready to be written.

    Attributes:
        row: the row's values up to `height`, and the four hashes of :data:`PAIR_SCHEMA`.
        dark, light: the picture files' bytes.
        dark_extension, light_extension: `png`, `jpg` or `webp`.
    """

    row: dict
    dark: bytes
    dark_extension: str
    light: bytes
    light_extension: str


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """One published shard: what the manifest says about its tar and its parquet."""

    name: str
    samples: int
    bytes: int
    sha256: str
    metadata: FileRecord

    def to_dict(self) -> dict:
        return asdict(self)


def tar_name(shard: str) -> str:
    return f"shards/{shard}.tar"


def metadata_name(shard: str) -> str:
    return f"metadata/{shard}.parquet"


def write_pair_shard(
    out: str, shard: str, samples: Iterable[Sample], on_sample: Callable[[], None] = lambda: None
) -> ShardRecord:
    """Write one shard; see :func:`write_pair_shards`."""
    return write_pair_shards(out, [shard], ((0, sample) for sample in samples), on_sample)[0]


def write_pair_shards(
    out: str,
    shards: Sequence[str],
    samples: Iterable[tuple[int, Sample]],
    on_sample: Callable[[], None] = lambda: None,
) -> list[ShardRecord]:
    """Write `shards/<shard>.tar` and `metadata/<shard>.parquet` below `out` for some shards at once.

    Args:
        out: folder or fsspec URL of the data set.
        shards: names without extension, such as `train-00007`.
        samples: the number of a shard, and a pair that is its next; taken one by one, so that one sample at
            a time is in memory.
        on_sample: called after each sample.

    Raises:
        DimmagenError: the place cannot be written.
        Exception: whatever `samples` raises; then nothing is published.
    """
    rows: list[list[dict]] = [[] for _ in shards]
    with ExitStack() as files:
        places = (storage.join(out, tar_name(shard)) for shard in shards)
        tars = [TarWriter(files.enter_context(storage.atomic_writer(place))) for place in places]
        for number, sample in samples:
            rows[number].append(add_sample(tars[number], sample))
            del sample  # before the next one is made
            on_sample()
        ends = [tar.finish() for tar in tars]
    records = []
    for shard, (size, sha256), listed in zip(shards, ends, rows, strict=True):
        written = write_rows(storage.join(out, metadata_name(shard)), listed, PAIR_SCHEMA)
        metadata = FileRecord(metadata_name(shard), written.bytes, written.sha256)
        records.append(ShardRecord(tar_name(shard), len(listed), size, sha256, metadata))
    return records


def add_sample(tar: TarWriter, sample: Sample) -> dict:
    """Append the members of one sample in alphabetical order; returns its row of :data:`PAIR_SCHEMA`."""
    key, notes = sample.row["key"], sidecar(sample.row)
    row = {
        **sample.row,
        "dark_member": f"{key}.dark.{sample.dark_extension}",
        "dark_size": len(sample.dark),
        "json_size": len(notes),
        "light_member": f"{key}.light.{sample.light_extension}",
        "light_size": len(sample.light),
    }
    row["dark_offset"] = tar.add(row["dark_member"], sample.dark)
    row["json_offset"] = tar.add(f"{key}.json", notes)
    row["light_offset"] = tar.add(row["light_member"], sample.light)
    return row
