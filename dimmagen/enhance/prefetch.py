"""Batches on the device before they are due: read by a thread, and copied during the training step."""

import contextlib
import queue
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import torch

from dimmagen.enhance.batch import Batch

_TICK = 0.1  # seconds after which a thread that waits looks whether it should end
_PATIENCE = 5.0  # seconds to wait for the end of a thread that is reading


@dataclass(slots=True)
class Waiting:
    """How long training waited for batches.

    Attributes:
        seconds: spent waiting.
        since: when the first batch was asked for, in seconds of :func:`time.perf_counter`.
        batches: number of them.
    """

    seconds: float = 0.0
    since: float = 0.0
    batches: int = 0

    @property
    def share(self) -> float:
        """Of the time since the second batch was asked for, in [0, 1]."""
        elapsed = time.perf_counter() - self.since
        return self.seconds / elapsed if self.batches > 1 and elapsed > 0 else 0.0

    def add(self, began: float) -> None:
        """Count a wait from `began` until now; the first, which opens files, does not count."""
        if self.batches:
            self.seconds += time.perf_counter() - began
        else:
            self.since = time.perf_counter()
        self.batches += 1


def on_device(
    batches: Iterator[Batch], device: torch.device, ahead: int, waiting: Waiting | None = None
) -> Generator[Batch, None, None]:
    """The same batches in the same order, on a device.

    Args:
        batches: on the processor.
        device: for them.
        ahead: how many are read and copied before they are due, by a thread that begins after the first; 0
            reads each when it is due.
        waiting: counts the time that the reader of these batches waits.

    Raises:
        Exception: what reading the batches raises, at the batch that it was raised for.
    """
    waiting = Waiting() if waiting is None else waiting
    stream = _ahead(batches, device, ahead) if ahead else (batch.to(device) for batch in batches)
    with contextlib.closing(stream):
        while True:
            began = time.perf_counter()
            try:
                batch = next(stream)
            except StopIteration:
                return
            waiting.add(began)
            yield batch


def _ahead(batches: Iterator[Batch], device: torch.device, ahead: int) -> Generator[Batch, None, None]:
    first = next(batches, None)  # by this thread: loaders are forked here, where no other thread is at work
    if first is None:
        return
    yield first.to(device)
    filled: queue.Queue[tuple[Batch, torch.cuda.Event | None] | BaseException | None] = queue.Queue(ahead)
    over = threading.Event()
    reader = threading.Thread(target=_read, args=(batches, device, filled, over), daemon=True)
    reader.start()
    try:
        while (item := filled.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            batch, copied = item
            if copied is not None:
                current = torch.cuda.current_stream(device)
                current.wait_event(copied)
                batch.record_stream(current)
            yield batch
    finally:
        over.set()
        reader.join(_PATIENCE)


def _read(batches: Iterator[Batch], device: torch.device, filled: queue.Queue, over: threading.Event) -> None:
    """Runs in the thread: fills the queue, ends with an exception or None in it."""
    side = torch.cuda.Stream(device) if device.type == "cuda" else None
    try:
        for batch in batches:
            if not _put(filled, _copy(batch, device, side), over):
                return
        _put(filled, None, over)
    except BaseException as error:  # raised again where the batch is due
        _put(filled, error, over)


def _copy(
    batch: Batch, device: torch.device, side: "torch.cuda.Stream | None"
) -> tuple[Batch, torch.cuda.Event | None]:
    if side is None:
        return batch.to(device), None
    with torch.cuda.stream(side):
        moved = batch.pin_memory().to(device)
        copied = torch.cuda.Event()
        copied.record(side)
    return moved, copied


def _put(filled: queue.Queue, item: object, over: threading.Event) -> bool:
    """Put an item into the queue when there is room; False if nobody wants it any more."""
    while not over.is_set():
        with contextlib.suppress(queue.Full):
            filled.put(item, timeout=_TICK)
            return True
    return False
