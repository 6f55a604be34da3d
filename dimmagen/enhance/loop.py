"""The training loop."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.enhance.batch import Batch
from dimmagen.enhance.checkpoints import RunFolder
from dimmagen.enhance.data import Batches
from dimmagen.enhance.distributed_context import SINGLE_PROCESS, DistributedContext
from dimmagen.enhance.enhancer import Enhancer
from dimmagen.enhance.inputs import mean_lightness
from dimmagen.enhance.log import Log
from dimmagen.enhance.losses import EnhancementLoss
from dimmagen.enhance.network import EnhancementNetwork
from dimmagen.enhance.state import TrainSettings, TrainState
from dimmagen.enhance.validation_pictures import Strip, strip_is_due
from dimmagen.metrics.image import psnr


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
    pictures: int = 0,
    notes: Mapping[str, Any] | None = None,
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
        pictures: how many validation pairs each strip of pictures shows; 0 writes no strips.
        notes: JSON values that the checkpoint and the best network carry.

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
            "give `validation_photos`, or `validate`",
            code="missing-argument",
        )
    device = next(network.parameters()).device
    state = TrainState(network, settings, notes)
    state.restore(run)
    forward = context.wrap(network)
    stream = batches.open(state.iteration)
    progress.begin(state.iteration, settings.iterations)
    with Log(run, state.iteration, loggers) if context.first else _NoLog() as log:
        while state.iteration < settings.iterations and not state.out_of_patience:
            batch = next(stream).to(device)
            learning_rate = settings.learning_rate_at(state.iteration)
            values = optimise(forward, state, loss, batch, learning_rate, context)
            state.iteration += 1
            state.update_average()
            ends = state.iteration == settings.iterations
            if ends or state.iteration % settings.validate_every == 0:
                strip = Strip(pictures if _strip_is_due(state) else 0)
                values["psnr"] = validate(state.candidate, validation, strip) if context.first else 0.0
                if (image := strip.image()) is not None:
                    log.picture(state.iteration, image)
                values["psnr"] = context.agree(values["psnr"])
                if state.best_psnr is None or values["psnr"] > state.best_psnr:
                    state.best_psnr, state.best_iteration = values["psnr"], state.iteration
                    if context.first:
                        state.save_best(run)
            log.row({"iteration": state.iteration, "learning_rate": learning_rate, **values})
            progress.iteration(values)
            ends = ends or state.out_of_patience
            if context.first and (ends or state.iteration % settings.checkpoint_every == 0):
                state.save(run)
    return state


def optimise(
    forward: nn.Module,
    state: TrainState,
    loss: EnhancementLoss,
    batch: Batch,
    learning_rate: float,
    context: DistributedContext,
) -> dict[str, float]:
    """Take one step of Adam on one batch.

    Args:
        forward: the network of `state`, wrapped by `context`.
        state: changed in place.
        loss, batch: on the network's device.
        learning_rate: of this step.
        context: this process among those that train together.

    Returns:
        `loss` and its parts, such as `mse`, by name.

    Raises:
        DimmagenError: the loss or the gradient is not finite; the weights are not changed.
    """
    settings = state.settings
    inputs = batch.inputs
    with torch.autocast(inputs.device.type, torch.bfloat16, enabled=settings.bf16):
        output = forward(inputs, batch.condition)
    value, parts = loss(output, batch.target)
    state.optimizer.zero_grad()
    value.backward()
    norm = nn.utils.clip_grad_norm_(state.network.parameters(), settings.clip or math.inf)
    if not (torch.isfinite(value) and torch.isfinite(norm)):
        raise _diverged(value.item(), norm.item(), state.iteration, batch.keys, context)
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate
    state.optimizer.step()
    return {"loss": value.item(), **{name: part.item() for name, part in parts.items()}}


def _diverged(
    loss: float, gradient: float, iteration: int, keys: Sequence[str], context: DistributedContext
) -> DimmagenError:
    """The error that names the batch at fault.

    The gradient is averaged over all processes, so all of them get here.
    """
    batches = context.gather((loss, keys))
    loss, keys = next(((value, names) for value, names in batches if not math.isfinite(value)), batches[0])
    return DimmagenError(
        f"the loss is {loss:.3g} with a gradient of {gradient:.3g} after iteration {iteration}, on the pairs "
        f"{', '.join(keys)}",
        'check these pairs, or start again with `resume="never"` and a lower `learning_rate` or `clip=1`; '
        "until then the last checkpoint is kept",
        code="diverged",
        iteration=iteration,
        keys=list(keys),
    )


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
        network: in eval mode or not, on any device.
        pairs: at least one.
        see: called with each pair and its output, uint8 (H, W, 3).
    """
    enhancer = Enhancer(network)
    scores = []
    for pair in pairs:
        output = enhancer.enhance(pair.dark, mean_lightness(pair.light))
        scores.append(psnr(output, pair.light))
        if see is not None:
            see(pair, output)
    return sum(scores) / len(scores)


class _NoLog:
    """Takes the place of the log in all processes but the first, and writes nothing."""

    def row(self, values: dict[str, float]) -> None: ...

    def picture(self, iteration: int, image: np.ndarray) -> None: ...

    def __enter__(self) -> "_NoLog":
        return self

    def __exit__(self, *_) -> None: ...
