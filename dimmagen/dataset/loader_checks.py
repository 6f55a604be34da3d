"""What the loaders refuse before training starts, in place of an error in the middle of an epoch."""

import logging
import multiprocessing
import pickle
import sys
from collections.abc import Callable, Sequence
from numbers import Integral

import pyarrow.compute as pc
from torch.utils.data import get_worker_info

from dimmagen.core.errors import UsageError
from dimmagen.core.text import pluralize
from dimmagen.dataset.reader import PairSet

_LOG = logging.getLogger(__name__)


def worker_count(workers: int, num_workers: int | None, persistent: bool | None) -> int:
    """The number of worker processes, which has two names.

    Raises:
        UsageError: the names say different numbers, the number is below 0, or none are to be kept.
    """
    if num_workers is not None and workers not in (0, num_workers):
        raise UsageError(
            f"`workers={workers}` and `num_workers={num_workers}` are two names of one argument",
            "give one of them",
            code="conflict",
            parameter="num_workers",
        )
    count = workers if num_workers is None else num_workers
    refuse_below("workers", count, 0)
    if persistent and not count:
        raise UsageError(
            "`persistent_workers` has no effect without worker processes",
            "give `workers` as well",
            code="conflict",
            parameter="persistent_workers",
        )
    return count


def refuse_below(name: str, value: int | None, least: int) -> None:
    """Refuse a number that could only fail or do nothing later; None is accepted where it can be left out.

    Args:
        name: of the argument.
        value: of it.
        least: that it may be.

    Raises:
        UsageError: it is smaller, or not a whole number.
    """
    can_be_left_out = name in ("crop", "epoch")
    if value is None and can_be_left_out:
        return
    if value is None or not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise UsageError(
            f"`{name}` is {value!r}",
            f"give a whole number from {least}" + (", or leave it out" if can_be_left_out else ""),
            code="out-of-range",
            parameter=name,
            value=value,
        )


def refuse_mixed(pairs: PairSet) -> None:
    """Refuse images that cannot form a batch.

    Raises:
        UsageError: the pairs have several sizes.
    """
    sizes = pairs.table.select(["width", "height"]).group_by(["width", "height"]).aggregate([]).to_pylist()
    if len(sizes) > 1:
        shown = ", ".join(sorted(f"{size['width']}x{size['height']}" for size in sizes)[:3])
        raise UsageError(
            f"the pairs of {pairs.out} have {len(sizes)} sizes ({shown}, ...), and a batch has one",
            "give `crop`, a `transform` that gives all images one size, or `batch_size=1`",
            code="unsuitable-pairs",
            parameter="crop",
            sizes=len(sizes),
        )


def refuse_small(pairs: PairSet, crop: int | None) -> None:
    """Refuse a crop, in pixels, that does not fit into every pair; None is none.

    Raises:
        UsageError: naming the first pair that is smaller.
    """
    if crop is None:
        return
    smaller = pc.less(pc.min_element_wise(pairs.table["width"], pairs.table["height"]), crop)
    if (index := pc.index(smaller, True).as_py()) >= 0:
        row = pairs.table.select(["key", "width", "height"]).slice(index, 1).to_pylist()[0]
        raise UsageError(
            f"pair {row['key']} is {row['width']}x{row['height']}, smaller than crops of {crop}",
            "give a smaller `crop`, or exclude small pairs with `make_subset(min_side=PIXELS)`",
            code="too-small",
            parameter="crop",
            value=crop,
            key=row["key"],
        )


def refuse_order_of_draws(epoch: int | None, shuffle: bool) -> None:
    """Refuse to keep the order of shards that are drawn at random.

    Raises:
        UsageError: both `epoch` and `shuffle=False` are given.
    """
    if epoch is not None and not shuffle:
        raise UsageError(
            "`shuffle=False` has no effect with `epoch`, which draws shards at random",
            "leave one of them out",
            code="conflict",
            parameter="shuffle",
        )


def refuse_unknown_to_workers(transform: Callable | None, workers: int) -> None:
    """Refuse a function that workers which do not begin as a copy of this process cannot have.

    Args:
        transform: of the pairs; None if there is none.
        workers: number of processes.

    Raises:
        UsageError: it cannot be pickled, or is defined in a notebook or a shell, which is no module there.
    """
    method = multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_all_start_methods()[0]
    if transform is None or not workers or method == "fork":
        return
    try:
        is_of_main = b"__main__" in pickle.dumps(transform)
    except (pickle.PicklingError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
    except Exception:  # such as a lock, which is handed to a process as it starts
        return
    else:
        if not is_of_main or hasattr(sys.modules["__main__"], "__file__"):
            return
        reason = "it is defined in a notebook or a shell"
    raise UsageError(
        f"the workers, which are started by {method}, cannot have `transform` ({reason})",
        "define it in a module and import it, or give `workers=0`",
        code="conflict",
        parameter="transform",
    )


def refuse_other_rank(made_for: tuple[int, int], now: tuple[int, int]) -> None:
    """Refuse to read in another rank than a loader was made for: every rank would read the same pairs.

    Args:
        made_for: rank and number of processes when the loader was made.
        now: the same when it is read.

    Raises:
        UsageError: they differ, and several processes train together now.
    """
    if now != made_for and now[1] > 1:
        raise UsageError(
            f"the loader was made as rank {made_for[0]} of {made_for[1]}, and is read by rank {now[0]} of "
            f"{now[1]}",
            "make it after the process group (in Lightning: in `train_dataloader`)",
            code="conflict",
            rank=now[0],
            ranks=now[1],
        )


def refuse_other_workers(workers: int) -> None:
    """Refuse to read in the workers of another loader, which would each begin a pass of their own.

    Args:
        workers: of this loader, which a worker cannot start.

    Raises:
        UsageError: this process is a worker of another loader, and not its only one, or has to start some.
    """
    reader = get_worker_info()
    if reader and (reader.num_workers > 1 or workers):
        raise UsageError(
            "a loader that `pair_loader()` returned is read in the workers of another DataLoader",
            "read it directly: it makes batches and has workers of its own (`workers`); or give a "
            "`PairDataset` to the other one",
            code="conflict",
            parameter="workers",
        )


def refuse_overtaken(number: int, begun: int) -> None:
    """Refuse to read on in a pass whose workers read another one by now: pairs would be lost.

    Args:
        number: of the pass, from 1.
        begun: passes of the loader.

    Raises:
        UsageError: another pass has begun.
    """
    if number != begun:
        raise UsageError(
            "another pass of this loader has begun, and its workers, which are kept, read that one",
            "make a second loader for passes at the same time, or give `persistent_workers=False`",
            code="conflict",
            parameter="persistent_workers",
        )


def refuse_fewer_shards(out: str, shards: int, ranks: int) -> None:
    """Refuse a pass over all pairs in which one of some ranks would have no shard.

    Raises:
        UsageError: there are more ranks than shards.
    """
    if shards < ranks:
        raise UsageError(
            f"{out} has {pluralize(shards, 'shard')} for {pluralize(ranks, 'rank')}",
            "give `epoch` to resample them, or make the data set with fewer `samples_per_shard`",
            code="too-small",
            path=out,
            shards=shards,
            ranks=ranks,
        )


def refuse_no_batches(batches: Sequence[int], batch_size: int) -> None:
    """Refuse a pass without batches, which a training loop would take for an epoch.

    Args:
        batches: of a pass, for each rank; 0 where `drop_last` leaves none.
        batch_size: pairs of a batch.

    Raises:
        UsageError: a rank has none.
    """
    if min(batches) == 0:
        of_rank = f" for rank {batches.index(0)}" if len(batches) > 1 else ""
        raise UsageError(
            f"`drop_last` leaves no batch of {pluralize(batch_size, 'pair')}{of_rank}: no worker has as many "
            "pairs in its shards",
            "give a smaller `batch_size`, fewer `workers`, or `drop_last=False`",
            code="too-small",
            parameter="drop_last",
            value=batch_size,
        )


def warn_of_uneven_ranks(batches: Sequence[int]) -> None:
    """Say that some ranks have more batches than others: training in step, they wait forever for those."""
    if min(batches) != max(batches):
        _LOG.warning(
            "a pass has %d to %d batches by rank: DistributedDataParallel waits forever for a rank that is "
            "done; give `epoch` for equal numbers",
            min(batches),
            max(batches),
        )
