"""Writing shards: a tar of samples, then a parquet file of their rows; each is complete or absent."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass

from dimmagen.core import hashing, storage
from dimmagen.core.hashing import FileRecord
from dimmagen.core.parquet import write_rows
from dimmagen.core.tar import TarWriter
from dimmagen.dataset.schema import schema_of_rows, sidecar


@dataclass(frozen=True, slots=True)
class Sample:
    """One pair, ready to be written.

    Attributes:
        row: the columns of :data:`PAIR_SCHEMA` up to `height`, and the four hashes.
        dark, light: bytes of the image files.
        dark_extension, light_extension: `png`, `jpg` or `webp`.
        labels: bytes of the file with the labels; None in a set without labels.
        labels_extension: `labels.json` or `mask.png`.
    """

    row: dict
    dark: bytes
    dark_extension: str
    light: bytes
    light_extension: str
    labels: bytes | None = None
    labels_extension: str = ""


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """One published shard, as the manifest records it.

    Attributes:
        name, bytes, sha256: of the tar.
        samples: number of pairs.
        metadata: of the parquet file.
    """

    name: str
    samples: int
    bytes: int
    sha256: str
    metadata: FileRecord

    def to_dict(self) -> dict:
        """The record as JSON represents it."""
        return asdict(self)


def tar_name(shard: str) -> str:
    """Name of a shard's tar in the data set."""
    return f"shards/{shard}.tar"


def metadata_name(shard: str) -> str:
    """Name of a shard's parquet file in the data set."""
    return f"metadata/{shard}.parquet"


def write_pair_shard(
    out: str, shard: str, samples: Iterable[Sample], on_sample: Callable[[], None] = lambda: None
) -> ShardRecord:
    """Write one shard; arguments and errors as for :func:`write_pair_shards`."""
    return write_pair_shards(out, [shard], ((0, sample) for sample in samples), on_sample)[0]


def write_pair_shards(
    out: str,
    shards: Sequence[str],
    samples: Iterable[tuple[int, Sample]],
    on_sample: Callable[[], None] = lambda: None,
) -> list[ShardRecord]:
    """Write `shards/<shard>.tar` and `metadata/<shard>.parquet` in `out`, for one or several shards at once.

    Args:
        out: folder or fsspec URL of the data set.
        shards: names without extension, such as `train-00007`.
        samples: pairs of an index into `shards` and the next sample of that shard; consumed one by one, so
            that one sample at a time is in memory.
        on_sample: called after each sample.

    Returns:
        The records of the shards, in the order of `shards`.

    Raises:
        DimmagenError: `out` cannot be written.
        Exception: any error of `samples`; nothing is published in that case.
    """
    rows: list[list[dict]] = [[] for _ in shards]
    with ExitStack() as files:
        paths = (storage.join(out, tar_name(shard)) for shard in shards)
        tars = [TarWriter(files.enter_context(storage.atomic_writer(path))) for path in paths]
        for number, sample in samples:
            rows[number].append(add_sample(tars[number], sample))
            del sample  # frees its memory before the next one is made
            on_sample()
        sizes = [tar.finish() for tar in tars]
    records = []
    for shard, (size, sha256), shard_rows in zip(shards, sizes, rows, strict=True):
        written = write_rows(storage.join(out, metadata_name(shard)), shard_rows, schema_of_rows(shard_rows))
        metadata = FileRecord(metadata_name(shard), written.bytes, written.sha256)
        records.append(ShardRecord(tar_name(shard), len(shard_rows), size, sha256, metadata))
    return records


def add_sample(tar: TarWriter, sample: Sample) -> dict:
    """Append the members of one sample in alphabetical order, and return its complete row."""
    key, json_file = sample.row["key"], sidecar(sample.row)
    row = {
        **sample.row,
        "dark_member": f"{key}.dark.{sample.dark_extension}",
        "dark_size": len(sample.dark),
        "json_size": len(json_file),
        "light_member": f"{key}.light.{sample.light_extension}",
        "light_size": len(sample.light),
    }
    row["dark_offset"] = tar.add(row["dark_member"], sample.dark)
    row["json_offset"] = tar.add(f"{key}.json", json_file)
    if sample.labels is None:
        row["light_offset"] = tar.add(row["light_member"], sample.light)
        return row
    member = f"{key}.{sample.labels_extension}"
    row |= {
        "labels_member": member,
        "labels_size": len(sample.labels),
        "labels_sha256": hashing.sha256(sample.labels),
    }
    files = {"light": (row["light_member"], sample.light), "labels": (member, sample.labels)}
    for what, (name, data) in sorted(files.items(), key=lambda file: file[1][0]):
        row[f"{what}_offset"] = tar.add(name, data)
    return row
