"""The pairs of one rank as a stream, shard after shard, divided among the processes that read."""

import itertools
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import IterableDataset, get_worker_info
from webdataset.filters import shuffle as shuffled

from dimmagen.core.errors import DimmagenError
from dimmagen.dataset.loader_items import Transform, image_in, item_of_pair, record_in
from dimmagen.dataset.loader_state import new_seed, seed_worker
from dimmagen.dataset.manifest import ShardEntry
from dimmagen.dataset.shard_samples import shard_samples
from dimmagen.images import codec


@dataclass(frozen=True, eq=False)
class PairStream(IterableDataset):
    """The pairs of one rank; see :func:`.pair_loader`.

    The rank is a value of the object: a reader process that is started by `spawn` or `forkserver` knows
    nothing of the process group, and would read the pairs of every rank.

    Attributes:
        out: folder or fsspec URL of the data set.
        shards: those of this rank; with `resampled` all shards.
        rank: of this process among those that train together.
        resampled: an endless stream, from shards drawn with replacement.
        buffer: encoded pairs held for shuffling; 0 keeps the order.
        crop, transform: as for :class:`.PairDataset`.
        start: int64 (2 + workers,), shared with the workers, which may live for several passes: one more than
            the seed of the pass, 0 before the first one; whose pairs the first process reads; and the pairs
            of each worker that are passed over.
    """

    out: str
    shards: tuple[ShardEntry, ...]
    rank: int
    resampled: bool
    buffer: int
    crop: int | None
    transform: Transform | None
    start: torch.Tensor

    def begin(self, seed: int, first: int, passed: Sequence[int]) -> None:
        """Let the next iterators be of a pass with this seed.

        Args:
            seed: of the pass.
            first: the worker from which the first batch comes. It is read by the first process.
            passed: the pairs of each worker that are passed over.
        """
        self.start[:] = torch.tensor([seed + 1, first, *passed], device="cpu")

    def __iter__(self) -> Iterator[Any]:
        reader = get_worker_info()
        worker, workers = (reader.id, reader.num_workers) if reader else (0, 1)
        begun = int(self.start[0])  # now, and not when the first pair is asked for
        if not begun:
            return self._pairs(new_seed(), 0, worker, workers)
        worker = (worker + int(self.start[1])) % workers
        return self._pairs(begun - 1, int(self.start[2 + worker]), worker, workers)

    def _pairs(self, seed: int, passed: int, worker: int, workers: int) -> Iterator[Any]:
        # One generator per reader: ranks may all have the same seed.
        generator = random.Random(f"{seed} {self.rank} {worker}")
        samples = self._samples(generator, passed, worker, workers)
        is_own_process = get_worker_info() is not None
        for number, sample in enumerate(samples):
            if number < passed:
                continue
            if is_own_process:  # so that a crop and a transform draw the same wherever the pass began
                seed_worker(seed, self.rank, worker, number)
            yield self._decode(sample)

    def _samples(self, generator: random.Random, passed: int, worker: int, workers: int) -> Iterator[Any]:
        """The encoded pairs of a pass; without a buffer, the first ones that are passed over are None."""
        if self.resampled:
            shards: Iterable[ShardEntry] = (generator.choice(self.shards) for _ in itertools.count())
        else:
            mine = list(self.shards[worker::workers])
            shards = generator.sample(mine, len(mine)) if self.buffer else mine
        if self.buffer:
            samples = (sample for shard in shards for sample in shard_samples(self.out, shard))
            yield from shuffled(self.buffer, initial=self.buffer // 2, rng=generator)(samples)
            return
        start = 0
        for shard in shards:
            start += shard.samples
            is_passed = start <= passed
            yield from [None] * shard.samples if is_passed else shard_samples(self.out, shard)

    def _decode(self, sample: Mapping) -> Any:
        try:
            dark, light = (image_in(sample, side) for side in ("dark", "light"))
            record = record_in(sample)
        except (codec.ImageError, LookupError, TypeError, ValueError, RecursionError) as error:
            path, key = sample["__url__"], sample["__key__"]
            raise DimmagenError(
                f"{path}: the sample {key} is not a pair of a data set ({type(error).__name__}: {error})",
                f"run `verify({self.out})`, and copy the damaged shard again",
                code="damaged",
                path=path,
                key=key,
            ) from error
        return item_of_pair(record, dark, light, self.crop, self.transform)
