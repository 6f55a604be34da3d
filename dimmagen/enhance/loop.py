"""The training loop."""

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from dimmagen.core import keyed_random
from dimmagen.core.errors import UsageError, Ways
from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.enhance.acceleration import Acceleration, acceleration, compiled
from dimmagen.enhance.data import Batches
from dimmagen.enhance.distributed_context import SINGLE_PROCESS, DistributedContext
from dimmagen.enhance.enhancer import Enhancer
from dimmagen.enhance.inputs import mean_lightness
from dimmagen.enhance.log import Log
from dimmagen.enhance.losses import EnhancementLoss
from dimmagen.enhance.network import EnhancementNetwork
from dimmagen.enhance.prefetch import Waiting, on_device
from dimmagen.enhance.recorded_step import TakeStep, recorded
from dimmagen.enhance.run_folder import RunFolder
from dimmagen.enhance.state import TrainSettings, TrainState
from dimmagen.enhance.step import Ledger, optimise
from dimmagen.enhance.validation_images import Strip, strip_is_due
from dimmagen.metrics.image import psnr

SLOW_READING = 0.2  # share of the time above which a run says that it waited for its batches
_LOG = logging.getLogger(__name__)


class TrainProgress(Protocol):
    """Receives the progress of a training run."""

    def begin(self, done: int, total: int) -> None: ...

    def iteration(self, values: dict[str, float]) -> None: ...


def train(
    network: EnhancementNetwork,
    batches: Batches,
    validation: Sequence[RealPair],
    loss: EnhancementLoss,
    settings: TrainSettings,
    run: RunFolder,
    progress: TrainProgress,
    *,
    context: DistributedContext = SINGLE_PROCESS,
    loggers: Sequence[str] = (),
    strip_pairs: int = 0,
    notes: Mapping[str, Any] | None = None,
    accelerated: Acceleration | None = None,
) -> TrainState:
    """Train a network until the iterations or the patience end, from the run's checkpoint if it has one.

    Args:
        network: on the device to train on.
        batches: endless; opened at the iteration to continue with.
        validation: pairs whose mean PSNR, at the lightness of the ground truth, decides which network is kept
            as best.
        loss: on the same device.
        settings: of the loop.
        run: the run's folder, claimed with these settings.
        progress: notified of each iteration.
        context: this process among those that train together.
        loggers: names in :data:`~dimmagen.enhance.loggers.LOGGERS` that get the log as well.
        strip_pairs: how many validation pairs each strip of images shows; 0 writes no strips.
        notes: JSON values that the checkpoint and the best network carry.
        accelerated: how the device is used; default as :func:`~dimmagen.enhance.acceleration.acceleration`
            chooses.

    Returns:
        The state at the end; the best network is in the run's folder.

    Raises:
        UsageError: there are no validation pairs.
        DimmagenError: the loss or the gradient is not finite (the batch is named, and the last checkpoint is
            kept), or the data cannot be read.
    """
    if not validation:
        raise UsageError(
            "there are no pairs to validate on",
            Ways.of("give `validation_photos`", "`validate`"),
            code="missing-argument",
        )
    device = next(network.parameters()).device
    accelerated = acceleration(device) if accelerated is None else accelerated
    network.use(accelerated)
    accelerated = replace(accelerated, graph=accelerated.graph and context.size == 1)
    state = TrainState(network, settings, accelerated.fused_adam, accelerated.graph, notes=notes)
    state.restore(run)
    loss.use(accelerated, settings.bf16)
    step = step_for(context.wrap(network), state, loss, accelerated)
    ledger, waiting = Ledger(accelerated.fetch_every, context), Waiting()
    seed = torch.initial_seed()
    stream = on_device(batches.open(state.iteration), device, accelerated.prefetch, waiting)
    progress.begin(state.iteration, settings.iterations)
    with (
        closing(stream),
        accelerated.memory(),
        Log(run, state.iteration, loggers) if context.first and not state.is_over else _NoLog() as log,
    ):
        while not state.is_over:
            batch = next(stream)
            # What a network draws (dropout) is a function of the iteration, so that it can be resumed.
            torch.manual_seed(keyed_random.bits63(seed, "step", state.iteration, f"rank {context.rank}"))
            with accelerated.kernels():
                ledger.add(step(batch, settings.learning_rate_at(state.iteration)))
            state.iteration += 1
            state.update_average()
            ends = state.iteration == settings.iterations
            validates = ends or state.iteration % settings.validate_every == 0
            saves = state.iteration % settings.checkpoint_every == 0
            # Before anything is kept, it is known whether every step so far was finite.
            rows = ledger.fetch() if validates or saves or ledger.due else []
            if validates:
                strip = Strip(strip_pairs if _strip_is_due(state) else 0)
                rows[-1]["psnr"] = _select(state, validation, run, context, strip)
            for row in rows:
                log.row(row)
                progress.iteration(row)
            if validates and (image := strip.image()) is not None:
                log.image(state.iteration, image)
            if context.first and (saves or state.is_over):
                state.save(run)
    if device.type == "cuda" and waiting.share > SLOW_READING:
        _LOG.info(
            "%.0f%% of the time, training waited for images; with a data set, more loaders or cache help",
            100 * waiting.share,
        )
    return state


def step_for(
    network: nn.Module, state: TrainState, loss: EnhancementLoss, accelerated: Acceleration
) -> TakeStep:
    """How each step is taken: compiled and recorded, where the device is used so.

    Args:
        network: of the state, as wrapped for several processes.
        state, loss: on the device, used as `accelerated` says.
        accelerated: how the device is used.
    """
    forward, distance = (compiled(one, accelerated.compile) for one in (network, loss))
    if accelerated.graph:
        return recorded(forward, state, distance)
    return partial(optimise, forward, state, distance)


def _select(
    state: TrainState,
    validation: Sequence[RealPair],
    run: RunFolder,
    context: DistributedContext,
    strip: Strip,
) -> float:
    """Validate, draw the results, and keep the network if it is the best so far: its PSNR in dB."""
    score = context.agree(validate(state.candidate, validation, strip) if context.first else 0.0)
    if state.best_psnr is None or score > state.best_psnr:
        state.best_psnr, state.best_iteration = score, state.iteration
        if context.first:
            state.save_best(run)
    return score


def _strip_is_due(state: TrainState) -> bool:
    every, total = state.settings.validate_every, state.settings.iterations
    return strip_is_due(math.ceil(state.iteration / every), math.ceil(total / every))


def validate(
    network: EnhancementNetwork,
    pairs: Sequence[RealPair],
    see: Callable[[RealPair, np.ndarray], None] | None = None,
) -> float:
    """Mean PSNR over pairs in dB, each enhanced to the lightness of its ground truth.

    Args:
        network: on any device; in eval mode meanwhile.
        pairs: at least one.
        see: called with each pair and its output, uint8 (H, W, 3).
    """
    enhancer = Enhancer(network)
    scores = []
    with _in_eval_mode(network):
        for pair in pairs:
            output = enhancer.enhance(pair.dark, mean_lightness(pair.light))
            scores.append(psnr(output, pair.light))
            if see is not None:
                see(pair, output)
    return sum(scores) / len(scores)


@contextmanager
def _in_eval_mode(network: EnhancementNetwork) -> Iterator[None]:
    """Dropout and batch norms as in enhancing; then each module has its own mode again."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


class _NoLog:
    """Writes nothing: in all processes but the first, and where no iteration is left."""

    def row(self, values: dict[str, float]) -> None: ...

    def image(self, iteration: int, image: np.ndarray) -> None: ...

    def __enter__(self) -> "_NoLog":
        return self

    def __exit__(self, *_) -> None: ...
