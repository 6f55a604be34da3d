"""What an action on a device takes: its time, that of its phases, and its memory."""

import gc
import itertools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch


class Clock:
    """Marks the ends of phases on the device."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.marks: list[tuple[str, Any]] = []

    def mark(self, name: str) -> None:
        if self.device.type == "cuda":
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self.marks.append((name, event))
        else:
            self.marks.append((name, time.perf_counter()))

    def around(self, before: str, function: Callable, after: str) -> Callable:
        def call(*arguments):
            self.mark(before)
            result = function(*arguments)
            self.mark(after)
            return result

        return call

    def milliseconds(self) -> dict[str, float]:
        """Median length of each phase, which begins where the one before it ends."""
        synchronize(self.device)
        lengths: dict[str, list[float]] = {}
        for (_, began), (name, ended) in itertools.pairwise(self.marks):
            on_gpu = self.device.type == "cuda"
            took = began.elapsed_time(ended) if on_gpu else 1000 * (ended - began)
            lengths.setdefault(name, []).append(took)
        return {name: float(np.median(values)) for name, values in lengths.items() if name != "begin"}


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(device: torch.device, action: Callable[[], object]) -> float:
    """Seconds, until the device is done."""
    synchronize(device)
    began = time.perf_counter()
    action()
    synchronize(device)
    return time.perf_counter() - began


def peak_gigabytes(device: torch.device) -> float | None:
    return torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else None


def forget(device: torch.device) -> None:
    """Give back what the row before it held."""
    torch._dynamo.reset()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
