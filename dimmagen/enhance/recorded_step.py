"""A training step that is recorded once as a CUDA graph and then replayed.

A step of the paper's network launches some thousand kernels, which takes Python several times as long as they
take on an H100. A graph launches all of them at once.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from dimmagen.enhance.batch import Batch
from dimmagen.enhance.state import TrainState
from dimmagen.enhance.step import Forward, Step, Tensors, optimise, update

TakeStep = Callable[[Batch, float], Step]
WARM_UP = 3  # steps in which libraries choose their kernels and Adam makes its moments; the next is recorded
_LOG = logging.getLogger(__name__)


def recorded(forward: Forward, state: TrainState, loss: Forward) -> TakeStep:
    """The step of :func:`~dimmagen.enhance.step.optimise`, recorded after some steps and then replayed.

    If recording fails, a warning says so and training continues without it.

    Args:
        forward, state, loss: see :func:`~dimmagen.enhance.step.optimise`; the network is on a GPU, and the
            state was made for a graph.

    Returns:
        Called with a batch, of the same size each time, and a learning rate.
    """
    steps = 0
    recording: _Recording | None = None

    def take(batch: Batch, learning_rate: float) -> Step:
        nonlocal steps, recording
        steps += 1
        if steps <= WARM_UP:
            with _beside():
                return optimise(forward, state, loss, batch, learning_rate)
        if steps == WARM_UP + 1:
            recording = _record(forward, state, loss, batch)
        if recording is None:
            return optimise(forward, state, loss, batch, learning_rate)
        state.set_learning_rate(learning_rate)
        values = recording.replay(_tensors(batch))
        return Step(state.iteration, batch.keys, learning_rate, recording.names, values)

    return take


class _Recording:
    """A recorded step: its graph, the memory that it reads, and that of its values."""

    def __init__(self, forward: Forward, state: TrainState, loss: Forward, batch: Batch) -> None:
        inputs, target, condition = _tensors(batch)
        self._read: Tensors = inputs.clone(), target.clone(), condition.clone()
        self._graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        # Only for this thread: another one continues to copy batches.
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self.names, self._values = update(forward, state, loss, self._read)

    def replay(self, tensors: Tensors) -> Tensor:
        """Take the step with these inputs, target and condition; the values, in memory of their own."""
        for static, tensor in zip(self._read, tensors, strict=True):
            static.copy_(tensor)
        self._graph.replay()
        return self._values.clone()


def _record(forward: Forward, state: TrainState, loss: Forward, batch: Batch) -> _Recording | None:
    try:
        return _Recording(forward, state, loss, batch)
    except torch.cuda.OutOfMemoryError:
        raise
    except Exception as error:  # of CUDA, or of an operation that cannot be recorded
        reason = str(error).strip().splitlines() or [type(error).__name__]
        _LOG.warning("the step cannot be recorded as a CUDA graph, so it is not: %s", reason[0][:200])
        return None


def _tensors(batch: Batch) -> Tensors:
    return batch.inputs, batch.target, batch.condition


@contextmanager
def _beside() -> Iterator[None]:
    """On a stream of its own: what is to be recorded must not have begun on the stream that all wait for."""
    current, side = torch.cuda.current_stream(), torch.cuda.Stream()
    side.wait_stream(current)
    with torch.cuda.stream(side):
        yield
    current.wait_stream(side)
