"""Brightening pictures of any size with a trained network, in bounded memory.

A picture that does not fit the memory at once is taken in overlapping tiles. What belongs to the whole
picture, the condition and the equalisation of its histogram, is computed once from all of it, and tiles are
blended where they overlap, so that no seam shows; with `compact` tiles give what the whole picture gives.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dimmagen.core.errors import UsageError
from dimmagen.enhance.inputs import condition, equalisation, mean_lightness, network_input
from dimmagen.enhance.network import EnhancementNetwork

BLEND = 32  # pixels over which one tile fades into the next
MEMORY_GB = 2.0


@dataclass(frozen=True, slots=True)
class Span:
    """One tile along one axis: its pixels [start, end)."""

    start: int
    end: int


class Enhancer:
    """A trained network, ready for pictures.

    Args:
        network: in eval mode, on the device to use.
        memory_gb: what running the network may take, in GB; larger pictures are tiled.

    Example:
        >>> import numpy as np
        >>> from dimmagen.enhance.network import EnhancementNetwork
        >>> network = EnhancementNetwork("compact").eval()  # a trained one is load_network("run/")[0]
        >>> dark = np.full((64, 96, 3), 9, np.uint8)
        >>> Enhancer(network).enhance(dark, wanted=0.5).shape
        (64, 96, 3)
    """

    def __init__(self, network: EnhancementNetwork, memory_gb: float = MEMORY_GB) -> None:
        self.network = network
        shape = network.architecture
        side = math.isqrt(int(memory_gb * 1e9 / shape.bytes_per_pixel)) // shape.multiple * shape.multiple
        smallest = 2 * (2 * shape.margin + BLEND)
        if side < smallest:
            need = smallest**2 * shape.bytes_per_pixel / 1e9
            raise UsageError(
                f"{memory_gb} GB are too little for the model {network.model}", f"give at least {need:.1f}"
            )
        self.tile = side

    def enhance(self, dark: np.ndarray, wanted: float) -> np.ndarray:
        """Brighten one picture.

        Args:
            dark: uint8 (H, W, 3), RGB, any size.
            wanted: lightness of the result: its mean over all pixels and channels, in [0, 1]. Asked of the
                network, which comes close to it.

        Returns:
            uint8 (H, W, 3), RGB.
        """
        height, width, _ = dark.shape
        level = torch.tensor([condition(mean_lightness(dark), wanted)], device=self._device)
        tables = equalisation(dark)
        rows, columns = self._spans(height), self._spans(width)
        if len(rows) == len(columns) == 1:
            return _to_bytes(self._run(dark, tables, level))
        result = np.empty_like(dark)
        for row, weighted, weights in self._rows(dark, rows, columns, tables, level):
            result[row : row + len(weights)] = _to_bytes(weighted / weights)
        return result

    def _rows(self, dark, rows, columns, tables, level) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Finished bands of the picture: (first row, weighted sum of the tiles, sum of their weights)."""
        carried: tuple[np.ndarray, np.ndarray] | None = None
        for number, row in enumerate(rows):
            total = np.zeros((row.end - row.start, dark.shape[1], 3), np.float32)
            weights = np.zeros((row.end - row.start, dark.shape[1], 1), np.float32)
            for column in columns:
                place = np.s_[:, column.start : column.end]
                weight = np.outer(self._weight(row, len(dark)), self._weight(column, dark.shape[1]))[
                    ..., None
                ]
                light = self._run(dark[row.start : row.end, column.start : column.end], tables, level)
                total[place] += weight * light
                weights[place] += weight
            if carried is not None:
                overlap = len(carried[0])
                total[:overlap] += carried[0]
                weights[:overlap] += carried[1]
            done = (rows[number + 1].start if number + 1 < len(rows) else row.end) - row.start
            yield row.start, total[:done], weights[:done]
            carried = total[done:], weights[done:]

    @property
    def _device(self) -> torch.device:
        return next(self.network.parameters()).device

    def _run(self, dark: np.ndarray, tables: np.ndarray, level: torch.Tensor) -> np.ndarray:
        """The network on one tile, padded to its multiple: uint8 (H, W, 3) -> float32 (H, W, 3) in [0, 1]."""
        height, width, _ = dark.shape
        multiple = self.network.architecture.multiple
        padding = ((0, 0), (0, -height % multiple), (0, -width % multiple))
        inputs = np.pad(network_input(dark, tables), padding, mode="symmetric")
        with torch.inference_mode():
            light = self.network(torch.from_numpy(inputs)[None].to(self._device), level)[0]
        return light[:, :height, :width].permute(1, 2, 0).cpu().numpy()

    def _spans(self, length: int) -> Sequence[Span]:
        """Tiles that cover an axis; they begin at multiples, so that the network's grid stays where it is."""
        shape = self.network.architecture
        if length <= self.tile:
            return [Span(0, length)]
        overlap = 2 * shape.margin + BLEND
        step = (self.tile - overlap) // shape.multiple * shape.multiple
        count = math.ceil((length - overlap) / step)
        return [Span(i * step, min(length, i * step + self.tile)) for i in range(count)]

    def _weight(self, span: Span, length: int) -> np.ndarray:
        """How much each pixel of a tile counts: nothing in the margin of an inner edge, then rising to 1."""
        margin = self.network.architecture.margin
        distance = np.arange(span.end - span.start) + 0.5
        weight = np.ones(span.end - span.start)
        if span.start > 0:
            weight = np.minimum(weight, (distance - margin) / BLEND)
        if span.end < length:
            weight = np.minimum(weight, (distance[::-1] - margin) / BLEND)
        return weight.clip(0, 1).astype(np.float32)


def _to_bytes(light: np.ndarray) -> np.ndarray:
    return np.rint(light * 255).clip(0, 255).astype(np.uint8)
