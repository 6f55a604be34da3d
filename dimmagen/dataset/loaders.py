"""Pairs for training loops: :class:`PairDataset` for random access, :func:`pair_loader` for streaming.

Both read the shards in place, from a local folder or an fsspec URL, and give the same pairs: dictionaries
with `dark` and `light`, float32 (3, H, W) in [0, 1], RGB; `key` and `light_key`, strings; and the numbers
`variant`, `gamma`, `tau`, `exposure`, `lightness_before`, `lightness_after`.
"""

import itertools
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from os import PathLike, fspath
from types import MappingProxyType
from typing import Any, Generic, TypeVar, cast, overload

import torch
import webdataset as wds

from dimmagen.core import arguments as kinds
from dimmagen.core import storage
from dimmagen.core.errors import UsageError
from dimmagen.core.shared_memory import refuse_readers_without_means, shared_memory_for
from dimmagen.dataset.loader_checks import (
    refuse_below,
    refuse_fewer_shards,
    refuse_mixed,
    refuse_no_batches,
    refuse_order_of_draws,
    refuse_other_rank,
    refuse_other_workers,
    refuse_overtaken,
    refuse_small,
    refuse_unknown_to_workers,
    warn_of_uneven_ranks,
    worker_count,
)
from dimmagen.dataset.loader_items import PairBatch, PairSample, Transform, collate
from dimmagen.dataset.loader_state import Position, delivered, new_seed, position_in
from dimmagen.dataset.manifest import Manifest, ShardEntry
from dimmagen.dataset.pair_dataset import PairDataset
from dimmagen.dataset.pair_stream import PairStream
from dimmagen.dataset.ranks import rank_and_ranks
from dimmagen.dataset.reader import open_pairs

__all__ = ["PairBatch", "PairDataset", "PairLoader", "PairSample", "pair_loader"]

_LOG = logging.getLogger(__name__)
BatchT = TypeVar("BatchT")
# What has the same type in a batch as for one pair.
TensorsT = TypeVar("TensorsT", bound=torch.Tensor | dict[str, torch.Tensor] | tuple[torch.Tensor, ...])

_KINDS: dict[str, kinds.Kind] = {
    "out": kinds.path,
    **dict.fromkeys(("batch_size", "crop", "workers", "num_workers", "epoch", "buffer"), kinds.plain),
    **dict.fromkeys(("pin_memory", "shuffle", "drop_last"), kinds.flag),
    "persistent_workers": kinds.optional(kinds.flag),
}


class PairLoader(wds.WebLoader, Generic[BatchT]):
    """webdataset's loader, with the type of its batches; made by :func:`pair_loader`.

    Attributes:
        made_for: rank and number of the processes that train together, as they were when it was made.
        size: number of batches of this rank.
        worker_batches: number of batches of each worker in a pass; None where there is no end.
        identity: what decides the batches, for :meth:`state_dict`.
    """

    made_for: tuple[int, int] = (0, 1)
    size: int = 0
    worker_batches: Sequence[int | None] = ()
    identity: Mapping[str, Any] = MappingProxyType({})
    _here: Position | None = None
    _next: Position | None = None
    _begun = 0  # passes

    def __iter__(self) -> Iterator[BatchT]:
        refuse_other_rank(self.made_for, rank_and_ranks())
        refuse_other_workers(self.pipeline[0].num_workers)
        return self._pass()

    def __len__(self) -> int:
        """Number of batches of this rank."""
        return self.size

    def state_dict(self) -> dict[str, Any]:
        """The position of this rank in the pass that was read last, as numbers and strings.

        A loader to which stages or repetitions were added does not keep its position, since what it gives are
        not its own batches: its state is that of the beginning of a pass, with a warning, because frameworks
        ask every loader for its state.
        """
        here = self._next or self._here
        if here and self._is_changed():
            _LOG.warning("a loader with added stages does not keep its position: it will begin a new pass")
            here = None
        return {
            "seed": here.seed if here else None,
            "batches": here.batches if here else 0,
            "of": dict(self.identity),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next pass be the rest of the one in which :meth:`state_dict` was called.

        The state of another rank is taken, since Lightning and accelerate keep one for all ranks. This rank
        continues exactly if its pass had the same seed; a warning says so.

        Raises:
            UsageError: it is the state of a loader with other arguments, or of another number of ranks; or
                stages were added to this one.
        """
        position = position_in(state, self.identity)
        if position and self._is_changed():
            raise UsageError(
                "a loader with added stages does not keep its position in a pass",
                "keep and load the state of the loader that `pair_loader()` returned",
                code="usage",
            )
        self._here, self._next = None, position  # and not that of a pass which was left before

    def iterator1(self) -> Iterator[Any]:
        """Begin a pass, at its place if there is one; each repetition that was asked for is another pass."""
        begun, self._next = self._next, None
        self._here = here = begun or Position(new_seed(), 0)
        stream: PairStream = self.pipeline[0].dataset
        counts, first = delivered(here.batches, self.worker_batches)
        stream.begin(here.seed, first, [count * self.pipeline[0].batch_size for count in counts])
        self._begun += 1
        with torch.device("cpu"):  # where its generator is, whatever `torch.set_default_device` says
            return self._unless_overtaken(super().iterator1(), self._begun)

    def _unless_overtaken(self, batches: Iterator[Any], number: int) -> Iterator[Any]:
        """The batches of a pass; workers that are kept are those of the pass that began last."""
        while True:
            if self.pipeline[0].persistent_workers:
                refuse_overtaken(number, self._begun)
            try:
                batch = next(batches)
            except StopIteration:
                return
            yield batch

    def _pass(self) -> Iterator[BatchT]:
        if self._is_changed():  # what it gives is not counted in batches
            yield from self._given()
            self._here = None
            return
        whole = self.identity.get("epoch") or sum(count or 0 for count in self.worker_batches)
        left = max(0, whole - (self._next.batches if self._next else 0))  # other ranks may have more
        if not left:
            self._next = None
        here: Position | None = None
        for batch in itertools.islice(self._given(), left):
            here = here or self._here or Position(0, 0)  # which `iterator1` has just set
            self._here = here = Position(here.seed, here.batches + 1)
            yield cast(BatchT, batch)
        self._here = None

    def _given(self) -> Iterator[Any]:
        batches = super().__iter__()
        while True:
            with shared_memory_for("workers"):
                try:
                    batch = next(batches)
                except StopIteration:
                    return
            yield batch

    def _is_changed(self) -> bool:
        """Whether stages, repetitions or another number of batches were added to what `pair_loader` made."""
        epoch = self.identity.get("epoch")
        made = (sys.maxsize, epoch) if epoch else (1, -1)
        return len(self.pipeline) != 1 or (self.repetitions, self.nsamples) != made


@overload
def pair_loader(
    out: str | PathLike[str],
    *,
    batch_size: int,
    crop: int | None = None,
    workers: int = 0,
    epoch: int | None = None,
    buffer: int = 256,
    transform: None = None,
    pin_memory: bool = False,
    num_workers: int | None = None,
    shuffle: bool = True,
    drop_last: bool = False,
    persistent_workers: bool | None = None,
) -> PairLoader[PairBatch]: ...


@overload
def pair_loader(
    out: str | PathLike[str],
    *,
    batch_size: int,
    crop: int | None = None,
    workers: int = 0,
    epoch: int | None = None,
    buffer: int = 256,
    transform: Callable[[PairSample], TensorsT],
    pin_memory: bool = False,
    num_workers: int | None = None,
    shuffle: bool = True,
    drop_last: bool = False,
    persistent_workers: bool | None = None,
) -> PairLoader[TensorsT]: ...


@overload
def pair_loader(
    out: str | PathLike[str],
    *,
    batch_size: int,
    crop: int | None = None,
    workers: int = 0,
    epoch: int | None = None,
    buffer: int = 256,
    transform: Transform,
    pin_memory: bool = False,
    num_workers: int | None = None,
    shuffle: bool = True,
    drop_last: bool = False,
    persistent_workers: bool | None = None,
) -> PairLoader[Any]: ...


@kinds.converted(_KINDS)
def pair_loader(
    out: str | PathLike[str],
    *,
    batch_size: int,
    crop: int | None = None,
    workers: int = 0,
    epoch: int | None = None,
    buffer: int = 256,
    transform: Transform | None = None,
    pin_memory: bool = False,
    num_workers: int | None = None,
    shuffle: bool = True,
    drop_last: bool = False,
    persistent_workers: bool | None = None,
) -> PairLoader[Any]:
    """Batches of pairs, streamed shard by shard; shards are divided among ranks and DataLoader workers.

    Without `epoch`, a pass is exact: every pair occurs once over all ranks and workers; the last batch of a
    worker may be smaller, and the number of batches may differ between ranks. With `epoch`, each rank draws
    that many batches from shards resampled with replacement: the same number on every rank, as
    DistributedDataParallel requires. The order comes from torch's generator: `torch.manual_seed` repeats it.
    `len(loader)` is the number of batches of this rank.

    Args:
        out: folder or fsspec URL of a finished data set.
        batch_size: number of pairs per batch; if above 1, images of different sizes need `crop`, or a
            `transform` that gives them one size.
        crop, transform: as for :class:`PairDataset`.
        workers, num_workers: number of processes that read and decode; in an exact pass, at most one per
            shard is used.
        epoch: number of batches per pass and rank, from the endless resampled stream.
        buffer: number of encoded pairs held for shuffling; 0 keeps the order of the shards in an exact pass.
        pin_memory: use pinned memory, for fast copies to a GPU.
        shuffle: False is `buffer=0`.
        drop_last: leave out the smaller last batch of each worker, which has shards of its own.
        persistent_workers: keep the processes from pass to pass; by default they are kept, and give one pass
            at a time.

    Returns:
        An iterable of dictionaries (:class:`PairBatch`) with tensors (B, ...) and lists of B strings; numbers
        are float32 and int64. With a `transform`, batches of what it returns.

    Raises:
        DimmagenError: the data set is not finished or is damaged, or there is no room in shared memory; while
            reading, a shard is truncated.
        UsageError: there are fewer shards than ranks in an exact pass, `drop_last` leaves a rank no batch,
            the process group is made after the loader (when it is read), it is read in the workers of another
            DataLoader, or by two iterators at once with workers that are kept, an image is smaller than
            `crop`, images have several sizes and neither `crop` nor `transform` is given, workers that do not
            begin as a copy of this process cannot have `transform`, or an argument is out of its range.

    Example:
        >>> from dimmagen import pair_loader
        >>> for batch in pair_loader("out", batch_size=4, crop=64):
        ...     difference = batch["light"] - batch["dark"]
        >>> difference.shape
        torch.Size([4, 3, 64, 64])
    """
    workers = worker_count(workers, num_workers, persistent_workers)
    for name, value, least in (("batch_size", batch_size, 1), ("crop", crop, 1), ("epoch", epoch, 1)):
        refuse_below(name, value, least)
    refuse_below("buffer", buffer, 0)
    refuse_order_of_draws(epoch, shuffle)
    kinds.optional(kinds.function)("transform", transform)
    out = fspath(out)
    manifest = Manifest.load(out)
    rank, world_size = rank_and_ranks()
    shards = tuple(manifest.shards)
    if epoch is None:
        refuse_fewer_shards(out, len(shards), world_size)
        shares = [shards[one::world_size] for one in range(world_size)]
        totals = [sum(_batch_counts(share, workers, batch_size, drop_last)) for share in shares]
        refuse_no_batches(totals, batch_size)
        warn_of_uneven_ranks(totals)
        shards = shares[rank]
        workers = min(workers, len(shards))
    _refuse_unsuitable_sizes(out, manifest, crop, has_one_size=batch_size > 1 and transform is None)
    start = torch.zeros(2 + max(workers, 1), dtype=torch.int64, device="cpu")
    if workers:
        refuse_unknown_to_workers(transform, workers)
        refuse_readers_without_means(workers, "workers")
        with shared_memory_for("workers"):
            start = start.share_memory_()
    buffer = buffer if shuffle else 0
    place = storage.local_path(out) or out  # for processes, and times, with another working directory
    stream = PairStream(place, shards, rank, epoch is not None, buffer, crop, transform, start)
    loader: PairLoader[Any] = PairLoader(
        stream,
        batch_size=batch_size,
        num_workers=workers,
        pin_memory=pin_memory,
        persistent_workers=workers > 0 and persistent_workers is not False,
        drop_last=drop_last,
        collate_fn=collate,
        generator=torch.Generator(),  # torch's own is for the seed of a pass alone
    )
    loader.made_for = rank, world_size
    counts = _batch_counts(shards, workers, batch_size, drop_last)
    loader.size = epoch or sum(counts)
    loader.worker_batches = [None] * len(counts) if epoch else counts
    loader.identity = {
        "data": manifest.root_hash,
        "batch_size": batch_size,
        "workers": workers,
        "epoch": epoch,
        "buffer": buffer,
        "drop_last": drop_last,
        "rank": rank,
        "ranks": world_size,
    }
    return loader if epoch is None else loader.with_epoch(nbatches=epoch)


def _refuse_unsuitable_sizes(out: str, manifest: Manifest, crop: int | None, has_one_size: bool) -> None:
    """Refuse images that are smaller than the crop or, without one, of several sizes in one batch."""
    if crop is None and not has_one_size:
        return  # no row is read: a large set opens at once
    pairs = open_pairs(out, ("key", "width", "height"), manifest)
    if crop is None:
        refuse_mixed(pairs)
    else:
        refuse_small(pairs, crop)


def _batch_counts(shards: Sequence[ShardEntry], workers: int, batch_size: int, drop_last: bool) -> list[int]:
    """Batches of an exact pass by worker: each batches the pairs of its own shards."""
    count = max(workers, 1)
    counts = [sum(shard.samples for shard in shards[worker::count]) for worker in range(count)]
    return [pairs // batch_size if drop_last else -(-pairs // batch_size) for pairs in counts]
