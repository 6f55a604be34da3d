"""One training step, and the values of steps that are still on the device."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dimmagen.core.errors import DimmagenError
from dimmagen.enhance.batch import Batch
from dimmagen.enhance.distributed_context import DistributedContext
from dimmagen.enhance.state import TrainState

Forward = Callable[[Tensor, Tensor], Any]
Tensors = tuple[Tensor, Tensor, Tensor]  # inputs, target, condition


@dataclass(frozen=True, slots=True)
class Step:
    """What is logged of a step.

    Attributes:
        iteration: number of iterations done before it.
        keys: of the pairs of its batch.
        learning_rate: of the step.
        names: of the values.
        values: float32 (K,), on the device: `loss`, `gradient` (its norm), and the parts of the loss.
    """

    iteration: int
    keys: Sequence[str]
    learning_rate: float
    names: Sequence[str]
    values: Tensor


def optimise(
    forward: Forward,
    state: TrainState,
    loss: Forward,
    batch: Batch,
    learning_rate: float,
) -> Step:
    """Take one step of Adam on one batch, if the loss and the gradient are finite.

    Fused Adam decides it on the device, which nobody has to wait for.

    Args:
        forward: the network of `state`, as wrapped for training: (inputs, condition) -> output.
        state: changed in place, unless the loss or the gradient is not finite.
        loss: (output, target) -> the loss and its parts by name, on the network's device.
        batch: on the network's device.
        learning_rate: of this step.

    Returns:
        The step; :class:`Ledger` finds out whether it was finite.
    """
    state.set_learning_rate(learning_rate)
    names, values = update(forward, state, loss, (batch.inputs, batch.target, batch.condition))
    return Step(state.iteration, batch.keys, learning_rate, names, values)


def update(
    forward: Forward, state: TrainState, loss: Forward, tensors: Tensors
) -> tuple[tuple[str, ...], Tensor]:
    """The part of a step that is computed on the device.

    Args:
        forward, state, loss: see :func:`optimise`.
        tensors: inputs, target and condition of a batch.

    Returns:
        Names of the values and the values of a :class:`Step`.
    """
    settings = state.settings
    inputs, target, condition = tensors
    state.optimizer.zero_grad()  # before the features need the memory
    # A graph must not keep what autocast has cached outside of it; no weight is used twice in a step.
    with torch.autocast(inputs.device.type, torch.bfloat16, enabled=settings.bf16, cache_enabled=False):
        output = forward(inputs, condition)
    value, parts = loss(output, target)
    value.backward()
    norm = nn.utils.clip_grad_norm_(state.network.parameters(), settings.clip or math.inf)
    state.step_if(torch.isfinite(value) & torch.isfinite(norm))
    values = torch.stack([value.detach(), norm.detach(), *parts.values()])
    return ("loss", "gradient", *parts), values


class Ledger:
    """Steps whose values have not been fetched from the device; one transfer fetches all of them.

    Args:
        fetch_every: steps after which they are due.
        context: this process among those that train together.
    """

    def __init__(self, fetch_every: int, context: DistributedContext) -> None:
        self._fetch_every = fetch_every
        self._context = context
        self._steps: list[Step] = []

    def add(self, step: Step) -> None:
        """Keep a step until it is fetched."""
        self._steps.append(step)

    @property
    def due(self) -> bool:
        """Whether so many steps wait that they should be fetched."""
        return len(self._steps) >= self._fetch_every

    def fetch(self) -> list[dict[str, float]]:
        """The rows of the log of all steps that wait, in order; then none waits.

        Raises:
            DimmagenError: the loss or the gradient of one was not finite; the first such step is named.
        """
        steps, self._steps = self._steps, []
        if not steps:
            return []
        rows = []
        for step, numbers in zip(steps, torch.stack([step.values for step in steps]).tolist(), strict=True):
            values = dict(zip(step.names, numbers, strict=True))
            gradient = values.pop("gradient")
            if not (math.isfinite(values["loss"]) and math.isfinite(gradient)):
                raise diverged(values["loss"], gradient, step.iteration, step.keys, self._context)
            done = {"iteration": step.iteration + 1, "learning_rate": step.learning_rate}
            rows.append(done | values)
        return rows


def diverged(
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
