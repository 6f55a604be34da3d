"""The state of a training run: weights, their running average, Adam's moments, and a few numbers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dimmagen.enhance.checkpoints import BEST, CHECKPOINT, restore_weights
from dimmagen.enhance.network import EnhancementNetwork
from dimmagen.enhance.run_folder import RunFolder


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """How a network is trained; defaults are the paper's for its first stage, except for the learning rate.

    Attributes:
        iterations: total number; the learning rate falls to 0 over them along a cosine.
        learning_rate, betas: of Adam.
        validate_every, checkpoint_every: iterations between two of them.
        patience: number of validations without a new best after which training stops; 0 never stops early.
        average: decay of the running average of the weights, which is then validated and kept as best;
            0 keeps no average.
        clip: maximum norm of the gradients; 0 does not clip.
        bf16: run the network in bfloat16.
    """

    iterations: int = 5000
    learning_rate: float = 1e-5
    betas: tuple[float, float] = (0.9, 0.99)
    validate_every: int = 100
    checkpoint_every: int = 100
    patience: int = 0
    average: float = 0.0
    clip: float = 0.0
    bf16: bool = False

    def learning_rate_at(self, iteration: int) -> float:
        """The learning rate of an iteration, counted from 0."""
        return self.learning_rate * (1 + math.cos(math.pi * iteration / self.iterations)) / 2

    def is_over(self, iteration: int, best_iteration: int) -> bool:
        """Whether no iteration is left after this one: it is the last, or the patience is at its end."""
        waited = iteration - best_iteration
        return iteration >= self.iterations or 0 < self.patience * self.validate_every <= waited


class TrainState:
    """Everything that changes during training: a run that is restored from it continues exactly.

    Args:
        network: to be trained.
        settings: of the run.
        fused_adam: update all weights in one kernel.
        graph: keep the learning rate on the device, where a CUDA graph reads it; with fused Adam.
        notes: JSON values that every file of the run carries, such as the data that it was trained on.

    Attributes:
        network: being trained.
        average: its running average, or None.
        iteration: number of iterations done.
        best_psnr, best_iteration: of the best validation; None and 0 before the first.
    """

    def __init__(
        self,
        network: EnhancementNetwork,
        settings: TrainSettings,
        fused_adam: bool = False,
        graph: bool = False,
        *,
        notes: Mapping[str, Any] | None = None,
    ) -> None:
        self.network = network
        self.settings = settings
        self._notes = dict(notes or {})
        self._fused = fused_adam
        device = next(network.parameters()).device
        rate = torch.tensor(settings.learning_rate, device=device) if graph else settings.learning_rate
        self.optimizer = torch.optim.Adam(
            network.parameters(), rate, settings.betas, fused=fused_adam or None, capturable=graph
        )
        self.average = network.copy().requires_grad_(False) if settings.average else None
        self._means: list[Tensor] = [] if self.average is None else [*self.average.parameters()]
        self._values: list[Tensor] = [*network.parameters()]
        self.iteration = 0
        self.best_psnr: float | None = None
        self.best_iteration = 0

    @property
    def candidate(self) -> EnhancementNetwork:
        """The network that is validated: the average if there is one."""
        return self.average or self.network

    @property
    def is_over(self) -> bool:
        """Whether no iteration is left."""
        return self.settings.is_over(self.iteration, self.best_iteration)

    def set_learning_rate(self, rate: float) -> None:
        """Set the learning rate of the next step."""
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def update_average(self) -> None:
        """Move the average towards the weights; faster at first, to forget the initial weights."""
        if self.average is None:
            return
        decay = min(self.settings.average, (1 + self.iteration) / (10 + self.iteration))
        with torch.no_grad():
            torch._foreach_lerp_(self._means, self._values, 1 - decay)
            for mean, value in zip(self.average.buffers(), self.network.buffers(), strict=True):
                mean.copy_(value)  # such as the statistics of a batch norm, which are averages already

    def step_if(self, finite: Tensor) -> None:
        """Take a step of Adam if `finite`, bool (), is true; fused Adam looks at it on the device."""
        if self._fused:
            setattr(self.optimizer, "found_inf", (~finite).float())  # noqa: B010 - as torch.amp.GradScaler does
        elif not finite:
            return
        self.optimizer.step()

    def save(self, run: RunFolder) -> None:
        """Write the checkpoint."""
        tensors = _prefixed("network", self.network.state_dict())
        if self.average is not None:
            tensors |= _prefixed("average", self.average.state_dict())
        for name, parameter in self.network.named_parameters():
            if moments := self.optimizer.state.get(parameter):  # none of what is frozen or not used
                tensors |= {f"adam.{name}.{moment}": moments[moment] for moment in _MOMENTS}
        header = {
            "model": self.network.architecture_name,
            "iteration": self.iteration,
            "best_psnr": self.best_psnr,
            "best_iteration": self.best_iteration,
            **self._notes,
        }
        run.save(CHECKPOINT, tensors, header)

    def save_best(self, run: RunFolder) -> None:
        """Write the best network."""
        header = {
            "model": self.network.architecture_name,
            "iteration": self.best_iteration,
            "psnr": self.best_psnr,
            **self._notes,
        }
        run.save(BEST, self.candidate.state_dict(), header)

    def restore(self, run: RunFolder) -> None:
        """Load the last checkpoint, if there is one.

        Raises:
            DimmagenError: the checkpoint is damaged, or belongs to another architecture.
        """
        saved = run.load(CHECKPOINT)
        if saved is None:
            return
        path = run.path / CHECKPOINT
        restore_weights(self.network, saved.part("network"), path)
        if self.average is not None:
            restore_weights(self.average, saved.part("average"), path)
        moments = saved.part("adam")
        for name, parameter in self.network.named_parameters():
            if f"{name}.step" in moments:
                self.optimizer.state[parameter] = {
                    moment: self._placed(moment, moments[f"{name}.{moment}"], parameter)
                    for moment in _MOMENTS
                }
        self.iteration = saved.header["iteration"]
        self.best_psnr = saved.header["best_psnr"]
        self.best_iteration = saved.header["best_iteration"]

    def _placed(self, moment: str, saved: Tensor, parameter: Tensor) -> Tensor:
        """A saved moment where Adam keeps it: the number of steps on the processor, unless Adam is fused."""
        if moment == "step":
            return saved.to(parameter.device if self._fused else "cpu")
        return torch.empty_like(parameter).copy_(saved)


_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def _prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}
