"""What a training run will take, from a few of its iterations; nothing is written."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from dimmagen.core.memory import peak_memory
from dimmagen.enhance.batch import Batch
from dimmagen.enhance.config import TrainConfig
from dimmagen.enhance.distributed_context import SINGLE_PROCESS
from dimmagen.enhance.loggers import require_loggers
from dimmagen.enhance.loop import optimise, validate
from dimmagen.enhance.state import TrainState
from dimmagen.enhance.training import PreparedRun, forked_random_state, pick_device, prepare

WARM_UP = 2  # iterations: the first ones allocate memory and choose kernels
MEASURED = 12
MEASURED_SECONDS = 10.0  # of iterations: no more are begun
VALIDATED = 2  # pairs


@dataclass(frozen=True, slots=True)
class TrainingEstimate:
    """What a run will take, in one process.

    Attributes:
        device: that was measured, such as `cpu`.
        measured: number of iterations that were measured, with reading their data for the first time.
        iterations_per_second: without validations.
        memory_gb: peak of the process, and of the GPU if it runs on one, in GB of 10^9 bytes; with the room
            for decoded images full.
        validations, validation_seconds: their number, and the time of all of them.
        seconds: of the whole run, if it is not stopped early.
    """

    device: str
    measured: int
    iterations_per_second: float
    memory_gb: float
    validations: int
    validation_seconds: float
    seconds: float


def estimate_training(config: TrainConfig) -> TrainingEstimate:
    """Measure a few iterations and a part of a validation of a run, and keep nothing of them.

    Args:
        config: of the run.

    Raises:
        UsageError, DimmagenError: as :func:`~dimmagen.enhance.training.run_training`.
    """
    require_loggers(config.loggers)
    device = pick_device(config.device)
    with forked_random_state(device):
        prepared = prepare(config, SINGLE_PROCESS, device)
        state = TrainState(prepared.network, config.training)
        times = _seconds_of_iterations(prepared, state, device)
        pairs = prepared.data.validation
        validation = _seconds_of_validation(prepared, state, device) * len(pairs) / len(pairs[:VALIDATED])
    settings = config.training
    validations = math.ceil(settings.iterations / settings.validate_every)
    step = sum(times) / len(times)
    return TrainingEstimate(
        device=str(device),
        measured=len(times),
        iterations_per_second=1 / step,
        memory_gb=_memory_gb(device, config),
        validations=validations,
        validation_seconds=validations * validation,
        seconds=settings.iterations * step + validations * validation,
    )


def _seconds_of_iterations(prepared: PreparedRun, state: TrainState, device: torch.device) -> Sequence[float]:
    stream = prepared.data.batches.open(0)
    for _ in range(WARM_UP):
        _iterate(prepared, state, stream, device)
    times: list[float] = []
    while len(times) < MEASURED and sum(times) < MEASURED_SECONDS:
        times.append(_iterate(prepared, state, stream, device))
    return times


def _iterate(
    prepared: PreparedRun, state: TrainState, stream: Iterator[Batch], device: torch.device
) -> float:
    """Seconds of one iteration, with reading its batch."""
    start = time.perf_counter()
    batch = next(stream).to(device)
    rate = state.settings.learning_rate_at(0)
    optimise(prepared.network, state, prepared.loss, batch, rate, SINGLE_PROCESS)
    state.update_average()
    _synchronise(device)
    return time.perf_counter() - start


def _seconds_of_validation(prepared: PreparedRun, state: TrainState, device: torch.device) -> float:
    """Seconds of validating a few pairs."""
    pairs = prepared.data.validation[:VALIDATED]
    validate(state.candidate, pairs[:1])  # a GPU chooses its kernels
    start = time.perf_counter()
    validate(state.candidate, pairs)
    _synchronise(device)
    return time.perf_counter() - start


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _memory_gb(device: torch.device, config: TrainConfig) -> float:
    of_gpu = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
    cache = config.cache_gb if config.data is not None else 0.0
    return (peak_memory() + of_gpu) / 1e9 + cache
