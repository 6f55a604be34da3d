"""This process among those that train a network together; usually it is the only one.

Each process has its own shards and its own batches; gradients are averaged after every batch, so that N
workers train on N times the batch. The first process validates, logs and saves.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True, slots=True)
class DistributedContext:
    """This process among those that train together.

    Attributes:
        rank: number of this process, from 0.
        size: number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that validates, logs and saves."""
        return self.rank == 0

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network, with its gradients averaged over all processes after each backward pass."""
        if self.size == 1:
            return network
        device = next(network.parameters()).device
        return nn.parallel.DistributedDataParallel(network, [device] if device.type == "cuda" else None)

    def wait(self) -> None:
        """Wait until all processes have called this."""
        if self.size > 1:
            torch.distributed.barrier()

    def agree(self, value: float) -> float:
        """The first process's value, returned in all of them, so that all take the same decision."""
        if self.size == 1:
            return value
        backend = torch.distributed.get_backend()
        shared = torch.tensor(value, dtype=torch.float64, device="cuda" if backend == "nccl" else "cpu")
        torch.distributed.broadcast(shared, src=0)
        return float(shared)

    def gather(self, value: Any) -> list[Any]:
        """The value of each process (any object that can be pickled), in the order of their ranks."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        torch.distributed.all_gather_object(values, value)
        return values


SINGLE_PROCESS = DistributedContext()
