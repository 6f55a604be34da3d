"""What a training run will take, from a few of its iterations; nothing is written."""

import math
import time
from dataclasses import dataclass, replace

import torch

from dimmagen.core.memory import peak_memory
from dimmagen.enhance import recorded_step
from dimmagen.enhance.acceleration import Acceleration, acceleration
from dimmagen.enhance.config import TrainConfig
from dimmagen.enhance.distributed_context import SINGLE_PROCESS
from dimmagen.enhance.loggers import require_loggers
from dimmagen.enhance.loop import step_for, validate
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


def estimate_training(config: TrainConfig, workers: int = 1) -> TrainingEstimate:
    """Measure a few iterations and a part of a validation of a run, and keep nothing of them.

    The device is used as in training, but nothing is compiled, which takes minutes.

    Args:
        config: of the run.
        workers: number of processes that will train; one of them is measured.

    Raises:
        UsageError, DimmagenError: as :func:`~dimmagen.enhance.training.run_training`.
    """
    require_loggers(config.loggers)
    device = pick_device(config.device)
    with forked_random_state(device):
        prepared = prepare(config, SINGLE_PROCESS, device)
        accelerated = acceleration(device, "off")
        accelerated = replace(accelerated, graph=accelerated.graph and workers == 1)
        prepared.network.use(accelerated)
        prepared.loss.use(accelerated, config.training.bf16)
        state = TrainState(prepared.network, config.training, accelerated.fused_adam, accelerated.graph)
        measured, step = _iterations(prepared, state, accelerated)
        pairs = prepared.data.validation
        validation = _seconds_of_validation(prepared, state, device) * len(pairs) / len(pairs[:VALIDATED])
    settings = config.training
    validations = math.ceil(settings.iterations / settings.validate_every)
    return TrainingEstimate(
        device=str(device),
        measured=measured,
        iterations_per_second=1 / step,
        memory_gb=_memory_gb(device, config),
        validations=validations,
        validation_seconds=validations * validation,
        seconds=settings.iterations * step + validations * validation,
    )


def _iterations(prepared: PreparedRun, state: TrainState, accelerated: Acceleration) -> tuple[int, float]:
    """How many iterations were measured, with reading their batches, and the seconds of one."""
    device = next(prepared.network.parameters()).device
    stream = prepared.data.batches.open(0)
    step = step_for(prepared.network, state, prepared.loss, accelerated)

    def iterate() -> None:
        batch = next(stream).to(device)
        with accelerated.kernels():
            step(batch, state.settings.learning_rate)
        state.update_average()

    for _ in range(recorded_step.WARM_UP + 1 if accelerated.graph else WARM_UP):
        iterate()
    _synchronise(device)
    start, done = time.perf_counter(), 0
    while done < MEASURED and (not done or time.perf_counter() - start < MEASURED_SECONDS):
        iterate()
        done += 1
    _synchronise(device)
    return done, (time.perf_counter() - start) / done


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
