"""Enhancing images of any size with a trained network, in bounded memory.

An image that does not fit into memory at once is processed in overlapping tiles. What belongs to the whole
image, the condition and the equalisation of its histogram, is computed once from all of it, and tiles are
blended where they overlap, so that no seam shows; with `compact`, tiles give the result of the whole image.
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
MEMORY_GB = 2.0  # default


@dataclass(frozen=True, slots=True)
class TileRange:
    """One tile along one axis: the pixels [start, end)."""

    start: int
    end: int


class Enhancer:
    """A trained network that enhances images.

    Args:
        network: in eval mode, on the device to use.
        memory_gb: maximum memory for running the network, in GB; larger images are tiled.

    Attributes:
        tile: side of a tile, pixels.

    Raises:
        UsageError: the memory is too small for one tile.

    Example:
        >>> network = EnhancementNetwork("compact").eval()  # a trained one: load_network("run/")
        >>> dark = np.zeros((5, 7, 3), np.uint8)
        >>> light = Enhancer(network).enhance(dark, lightness=0.5)
        >>> light.shape, light.dtype
        ((5, 7, 3), dtype('uint8'))
    """

    def __init__(self, network: EnhancementNetwork, memory_gb: float = MEMORY_GB) -> None:
        self.network = network
        shape = network.architecture
        side = math.isqrt(int(memory_gb * 1e9 / shape.bytes_per_pixel)) // shape.multiple * shape.multiple
        smallest = 2 * (2 * shape.margin + BLEND)
        if side < smallest:
            need = smallest**2 * shape.bytes_per_pixel / 1e9
            raise UsageError(
                f"{memory_gb} GB of memory are too little for the model {network.architecture_name}",
                f"give at least {need:.1f}",
                code="out-of-range",
                parameter="memory_gb",
                value=memory_gb,
            )
        self.tile = side

    def enhance(self, dark: np.ndarray, lightness: float) -> np.ndarray:
        """Enhance one image.

        Args:
            dark: uint8 (H, W, 3), RGB, any size.
            lightness: requested mean of the result over all pixels and channels, in [0, 1]; the network comes
                close to it.

        Returns:
            uint8 (H, W, 3), RGB.
        """
        height, width, _ = dark.shape
        level = torch.tensor([condition(mean_lightness(dark), lightness)], device=self._device)
        tables = equalisation(dark)
        rows, columns = self._tile_ranges(height), self._tile_ranges(width)
        if len(rows) == len(columns) == 1:
            return _to_bytes(self._run(dark, tables, level))
        result = np.empty_like(dark)
        for row, weighted, weights in self._rows(dark, rows, columns, tables, level):
            result[row : row + len(weights)] = _to_bytes(weighted / weights)
        return result

    def _rows(
        self,
        dark: np.ndarray,
        rows: Sequence[TileRange],
        columns: Sequence[TileRange],
        tables: np.ndarray,
        level: torch.Tensor,
    ) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Finished bands of the image, from top to bottom.

        Yields:
            (first row, float32 (h, W, 3) weighted sum of the tiles, float32 (h, W, 1) sum of their weights).
        """
        carried: tuple[np.ndarray, np.ndarray] | None = None
        for number, row in enumerate(rows):
            total = np.zeros((row.end - row.start, dark.shape[1], 3), np.float32)
            weights = np.zeros((row.end - row.start, dark.shape[1], 1), np.float32)
            for column in columns:
                window = np.s_[:, column.start : column.end]
                weight = np.outer(self._weight(row, len(dark)), self._weight(column, dark.shape[1]))[
                    ..., None
                ]
                light = self._run(dark[row.start : row.end, column.start : column.end], tables, level)
                total[window] += weight * light
                weights[window] += weight
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
        """Run the network on one tile: uint8 (H, W, 3) -> float32 (H, W, 3) in [0, 1]."""
        height, width, _ = dark.shape
        multiple = self.network.architecture.multiple
        padding = ((0, 0), (0, -height % multiple), (0, -width % multiple))
        inputs = np.pad(network_input(dark, tables), padding, mode="symmetric")
        with torch.inference_mode():
            light = self.network(torch.from_numpy(inputs)[None].to(self._device), level)[0]
        return light[:, :height, :width].permute(1, 2, 0).cpu().numpy()

    def _tile_ranges(self, length: int) -> Sequence[TileRange]:
        """Tiles that cover an axis; they start at multiples, which keeps the grid of the whole image."""
        shape = self.network.architecture
        if length <= self.tile:
            return [TileRange(0, length)]
        overlap = 2 * shape.margin + BLEND
        step = (self.tile - overlap) // shape.multiple * shape.multiple
        count = math.ceil((length - overlap) / step)
        return [TileRange(i * step, min(length, i * step + self.tile)) for i in range(count)]

    def _weight(self, tile: TileRange, length: int) -> np.ndarray:
        """Weights along a tile, float32 (length,): 0 in the margin of an inner edge, then rising to 1."""
        margin = self.network.architecture.margin
        distance = np.arange(tile.end - tile.start) + 0.5
        weight = np.ones(tile.end - tile.start)
        if tile.start > 0:
            weight = np.minimum(weight, (distance - margin) / BLEND)
        if tile.end < length:
            weight = np.minimum(weight, (distance[::-1] - margin) / BLEND)
        return weight.clip(0, 1).astype(np.float32)


def _to_bytes(light: np.ndarray) -> np.ndarray:
    """float in [0, 1] -> uint8."""
    return np.rint(light * 255).clip(0, 255).astype(np.uint8)
