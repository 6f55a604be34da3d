"""Where each light image of a MixHQ is stored: in which shard, and at which offset, before one is written."""

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from dimmagen.core.shard_sizes import shard_sizes
from dimmagen.sources.candidates import Candidates
from dimmagen.sources.catalog import CatalogRow
from dimmagen.sources.scan import Candidate


@dataclass(frozen=True, slots=True)
class MixHQShard:
    """A planned shard.

    Attributes:
        name: path below the folder of the MixHQ.
        start, stop: range of its light images in canonical order.
        bytes: its size.
    """

    name: str
    start: int
    stop: int
    bytes: int


class Packing:
    """Where each accepted light image is stored; takes 16 bytes of memory per candidate.

    Args:
        candidates: all of them.
        shards: as they will be written.
        shard_of: int64 (candidates,), number of the shard of each candidate, or -1.
        offset: int64 (candidates,), of the light image in its shard.
    """

    def __init__(
        self, candidates: Candidates, shards: list[MixHQShard], shard_of: np.ndarray, offset: np.ndarray
    ) -> None:
        self.candidates = candidates
        self.shards = shards
        self._shard_of = shard_of
        self._offset = offset

    def rows(self) -> Iterator[CatalogRow]:
        """The rows of the finished catalog, in the order of the candidates."""
        packed = zip(self.candidates, self._shard_of, self._offset, strict=True)
        return (self._packed_row(one.row, int(shard), int(offset)) for one, shard, offset in packed)

    def lights(self, shard: MixHQShard) -> Iterator[Candidate]:
        """The candidates whose light images one shard holds, in its order."""
        numbers = self.candidates.order[shard.start : shard.stop]
        for number, one in zip(numbers, self.candidates.accepted(shard.start, shard.stop), strict=True):
            row = self._packed_row(one.row, int(self._shard_of[number]), int(self._offset[number]))
            yield Candidate(row, one.locator)

    def _packed_row(self, row: CatalogRow, shard: int, offset: int) -> CatalogRow:
        if shard < 0:
            return row
        member = f"{row.key}.light.{row.extension}"
        return replace(row, shard=self.shards[shard].name, member=member, offset=offset)


def plan_packing(candidates: Candidates, samples_per_shard: int, first_shard: int = 0) -> Packing:
    """Decide where each accepted light image will be stored: in equal, gapless shards in canonical order.

    Args:
        candidates: all of them.
        samples_per_shard: maximum number of light images per shard.
        first_shard: number of the first shard.
    """
    shard_of, offsets = np.full(len(candidates), -1), np.zeros(len(candidates), np.int64)
    shards: list[MixHQShard] = []
    start = 0
    for size in shard_sizes(len(candidates.order), samples_per_shard):
        stop, offset = start + size, 0
        numbers = candidates.order[start:stop]
        for number, one in zip(numbers, candidates.accepted(start, stop), strict=True):
            offset += tarfile.BLOCKSIZE + _padded(len(light_sidecar(one.row))) + tarfile.BLOCKSIZE
            shard_of[number], offsets[number] = len(shards), offset
            offset += _padded(one.row.light_bytes)
        total = -(-(offset + 2 * tarfile.BLOCKSIZE) // tarfile.RECORDSIZE) * tarfile.RECORDSIZE
        name = f"shards/mixhq-{first_shard + len(shards):05d}.tar"
        shards.append(MixHQShard(name, start, stop, total))
        start = stop
    return Packing(candidates, shards, shard_of, offsets)


def _padded(size: int) -> int:
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


SIDECAR = {
    "key": "string",
    "source": "string",
    "name": "string",
    "frame": "string",
    "sha256": "string",
    "transform": "string",
    "width": "int64",
    "height": "int64",
}
"""The keys of a light image's JSON, the same in every sample, with their types."""


def light_sidecar(row: CatalogRow) -> bytes:
    """The JSON of a light image."""
    values = (
        row.key,
        row.source,
        row.name,
        row.frame,
        row.sha256,
        row.transform,
        row.light_width,
        row.light_height,
    )
    return json.dumps(dict(zip(SIDECAR, values, strict=True)), indent=1).encode() + b"\n"
