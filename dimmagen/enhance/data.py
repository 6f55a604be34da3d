"""Batches for training, from pair shards or from real pairs; the position in a stream is one number.

Both kinds of stream are endless and depend on (data, settings, seed) alone, so a stream that is opened at
batch n continues exactly like one that was read up to there.
"""

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info
from webdataset.filters import shuffle

from dimmagen.core import keyed_random, storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.machine import is_machine_trouble, machine_error
from dimmagen.core.shared_memory import refuse_readers_without_means, shared_memory_for
from dimmagen.core.tar import samples
from dimmagen.core.text import pluralize
from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.enhance.batch import Batch, Crops, Example, make_batch
from dimmagen.enhance.inputs import equalisation
from dimmagen.enhance.training_shards import TrainingShard
from dimmagen.images import codec

SHUFFLE_BUFFER = 64  # encoded samples: small at a megabyte each; shards are shuffled as well
_CHECK_DATA_SET = "check the data set with `verify(data)`"


class Batches(Protocol):
    """An endless stream of batches that can be opened at any position."""

    def open(self, start: int) -> Iterator[Batch]:
        """The batches from number `start` on, counted from 0."""
        ...


@dataclass(frozen=True, slots=True)
class RealPairs:
    """Batches of random crops of real pairs, which are all in memory; an epoch is a shuffle of all pairs.

    Attributes:
        pairs: at least one.
        crops, batch: crops of a batch, and their number.
        rank, world_size: of this process among those that train together.
        tables: of the dark images, by name, where the histogram that is equalised is that of the whole image.

    Raises:
        UsageError: a pair is smaller than the crop.
    """

    pairs: Sequence[RealPair]
    crops: Crops
    batch: int
    rank: int = 0
    world_size: int = 1
    tables: Mapping[str, np.ndarray] = field(init=False)

    def __post_init__(self) -> None:
        for pair in self.pairs:
            _refuse_small(pair.name, pair.dark.shape[1], pair.dark.shape[0], self.crops.side)
        whole = self.pairs if self.crops.equalise == "image" else ()
        object.__setattr__(self, "tables", {pair.name: equalisation(pair.dark) for pair in whole})

    def open(self, start: int) -> Iterator[Batch]:
        for number in itertools.count(start):
            first = (number * self.world_size + self.rank) * self.batch
            yield make_batch([self._example(index) for index in range(first, first + self.batch)])

    def _example(self, index: int) -> Example:
        epoch, position = divmod(index, len(self.pairs))
        order = sorted(
            self.pairs, key=lambda pair: keyed_random.rank(self.crops.seed, pair.name, f"pass {epoch}")
        )
        pair = order[position]
        return self.crops.cut(pair.name, epoch, pair.dark, pair.light, self.tables.get(pair.name))


@dataclass(frozen=True, slots=True)
class ShardBatches:
    """Batches of random crops out of pair shards, read in order by webdataset and shuffled in a buffer.

    Each reader (loader process of each rank) has its own shards, which it reads epoch after epoch.

    Attributes:
        shards: from :func:`open_shards`.
        crops, batch: crops of a batch, and their number.
        loaders: number of processes that read and decode; 0 reads in this process.
        rank, world_size: of this process among those that train together.
        cache_bytes: of decoded images that all loaders of a rank keep together.

    Raises:
        UsageError: there are fewer shards than readers.
    """

    shards: Sequence[TrainingShard]
    crops: Crops
    batch: int
    loaders: int = 0
    rank: int = 0
    world_size: int = 1
    cache_bytes: int = 0

    def __post_init__(self) -> None:
        readers = max(1, self.loaders) * self.world_size
        if len(self.shards) < readers:
            raise UsageError(
                f"there are too few shards with pairs for training ({len(self.shards)}) for "
                f"{pluralize(readers, 'reader')}",
                "use fewer `loaders` or `workers`, or make the data set with fewer samples per shard",
                code="out-of-range",
                parameter="loaders",
                value=self.loaders,
                shards=len(self.shards),
            )

    def open(self, start: int) -> Iterator[Batch]:
        stream = _Stream(self, start)
        if self.loaders == 0:
            batches: Iterator = iter(stream)
        else:
            refuse_readers_without_means(self.loaders, "loaders")
            batches = iter(DataLoader(stream, batch_size=None, num_workers=self.loaders, prefetch_factor=4))
        while True:
            with shared_memory_for("loaders"):
                batch = next(batches)
            if isinstance(batch, DimmagenError):
                raise batch
            yield batch


def _shared(batch: Batch) -> Batch:
    """The batch in shared memory. A DataLoader without room for it would lose it, and wait for it forever."""
    with shared_memory_for("loaders"):
        return batch.share_memory()


class _Stream(IterableDataset):
    """The part of the batches that one loader process makes; the loaders take turns, one batch each."""

    def __init__(self, source: ShardBatches, start: int) -> None:
        self.source = source
        self.start = start

    def __iter__(self) -> Iterator[Batch | DimmagenError]:
        loader, loaders = 0, 1
        info = get_worker_info()
        if info is not None:
            torch.set_num_threads(1)
            loaders = info.num_workers
            loader = (info.id + self.start) % loaders  # whose turn it was when batch `start` was due
        source = self.source
        delivered = (self.start - loader + loaders - 1) // loaders
        shards = source.shards[source.rank * loaders + loader :: source.world_size * loaders]
        examples = self._examples(shards, delivered * source.batch)
        try:
            while True:
                batch = make_batch(list(itertools.islice(examples, source.batch)))
                yield batch if info is None else _shared(batch)
        except DimmagenError as error:
            yield error  # as a batch: a DataLoader would turn an exception into a RuntimeError

    def _examples(self, shards: Sequence[TrainingShard], skip: int) -> Iterator[Example]:
        """Crops of the shards' pairs, epoch after epoch, without the first `skip` of them."""
        crops = self.source.crops
        room = self.source.cache_bytes // max(1, self.source.loaders)
        cache = _DecodedPairCache(room, crops.equalise == "image")
        first_epoch, skip = divmod(skip, sum(len(shard.training_keys) for shard in shards))
        for epoch in itertools.count(first_epoch):
            for sample in itertools.islice(_one_epoch(shards, crops.seed, epoch), skip, None):
                key = sample["__key__"]
                dark, light, tables = cache.decode(sample)
                yield crops.cut(key, epoch, dark, light, tables)
            skip = 0


class _DecodedPairCache:
    """Decoded pairs, kept between epochs while there is room: decoding takes half of a small step's time.

    The pairs that came first stay. If the oldest were dropped instead, a cache with too little room for an
    epoch would drop each pair just before it is needed again.

    Args:
        room: bytes.
        equalise: compute the tables of each dark image as well.
    """

    def __init__(self, room: int, equalise: bool) -> None:
        self._room = room
        self._equalise = equalise
        self._pairs: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray | None]] = {}

    def decode(self, sample: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """The dark and the light image of a sample, uint8 (H, W, 3), and the tables of the dark one."""
        key = sample["__key__"]
        if key in self._pairs:
            return self._pairs[key]
        dark, light = _decode(sample, "dark"), _decode(sample, "light")
        pair = dark, light, equalisation(dark) if self._equalise else None
        size = dark.nbytes + light.nbytes
        if size <= self._room:
            self._room -= size
            self._pairs[key] = pair
        return pair


def _one_epoch(shards: Sequence[TrainingShard], seed: int, epoch: int) -> Iterator[dict]:
    """All training samples of the shards once, encoded, in an order drawn for (seed, epoch)."""
    order = sorted(
        shards, key=lambda shard: keyed_random.rank(seed, shard.url.rsplit("/", 1)[-1], f"pass {epoch}")
    )
    stream = itertools.chain.from_iterable(map(_samples, order))
    draws = random.Random(f"{seed} {epoch}")
    return iter(shuffle(bufsize=SHUFFLE_BUFFER, initial=SHUFFLE_BUFFER, rng=draws)(stream))


def _samples(shard: TrainingShard) -> Iterator[dict]:
    """The training samples of one shard, in its order. A truncated shard is an error."""
    count = 0
    try:
        with storage.open_binary(shard.url) as stream:
            for sample in samples(stream, shard.url, codec.MAX_BYTES):
                count += 1
                if sample["__key__"] in shard.training_keys:
                    yield sample
    except DimmagenError:
        raise
    except Exception as error:  # tarfile and the readers of images each have their own
        if is_machine_trouble(error):
            raise machine_error(error, shard.url) from error
        raise DimmagenError(
            f"{shard.url} cannot be read ({type(error).__name__})",
            _CHECK_DATA_SET,
            code="damaged",
            path=shard.url,
        ) from error
    if count != shard.samples:
        raise DimmagenError(
            f"{shard.url} holds {pluralize(count, 'pair')}, its manifest says {shard.samples}",
            _CHECK_DATA_SET,
            code="damaged",
            path=shard.url,
        )


def _decode(sample: dict, side: str) -> np.ndarray:
    for name, data in sample.items():
        if name.startswith(f"{side}."):
            try:
                return codec.decode_rgb8(data)[0]
            except codec.ImageError as error:
                raise DimmagenError(
                    f"{sample['__key__']}.{name} of {sample['__url__']}: {error.reason}",
                    _CHECK_DATA_SET,
                    code="damaged",
                    path=sample["__url__"],
                ) from error
    raise DimmagenError(
        f"{sample['__url__']}: the sample {sample['__key__']} has no {side} image",
        _CHECK_DATA_SET,
        code="damaged",
        path=sample["__url__"],
    )


def _refuse_small(key: str, width: int, height: int, side: int) -> None:
    if min(width, height) < side:
        raise UsageError(
            f"{key} is {width}x{height}, too small for crops of {side}",
            "give a smaller `crop`",
            code="too-small",
            key=key,
            crop=side,
        )
