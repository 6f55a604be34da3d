"""Enhancing images of any size with a trained network, in bounded memory.

An image that does not fit into memory at once is processed in overlapping tiles. What belongs to the whole
image, the condition and the equalisation of its histogram, is computed once from all of it, and tiles are
blended where they overlap, so that no seam shows; with `compact`, tiles give the result of the whole image.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dimmagen.core.errors import UsageError
from dimmagen.enhance.batch import EQUALISE, Equalise
from dimmagen.enhance.exact_lightness import scaled_to_lightness, to_levels
from dimmagen.enhance.inputs import condition, equalisations, mean_lightness, network_inputs
from dimmagen.enhance.network import EnhancementNetwork

BLEND = 32  # pixels over which one tile fades into the next
MEMORY_GB = 2.0  # default
SMALLEST_WINDOW = 32  # pixels


@dataclass(frozen=True, slots=True)
class TileRange:
    """One tile along one axis: the pixels [start, end)."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class TrainingCrops:
    """The crops that a network was trained on.

    Attributes:
        side: pixels.
        equalise: whether their histogram was their own, or that of the whole image.
    """

    side: int
    equalise: Equalise


def crops_of_header(header: Mapping[str, Any]) -> TrainingCrops | None:
    """What the header of a network says of its crops; None in those of earlier versions."""
    stored = header.get("crops")
    if not isinstance(stored, dict) or type(stored.get("side")) is not int:
        return None
    if stored["side"] < 1 or stored.get("equalise") not in EQUALISE:
        return None
    return TrainingCrops(stored["side"], stored["equalise"])


class Enhancer:
    """A trained network that enhances images.

    Args:
        network: in eval mode, on the device to use.
        memory_gb: maximum memory for running the network, in GB; larger images are tiled.
        window: side of the tiles, pixels, a multiple of the architecture's: every larger image is processed
            in windows of this size that overlap, so that normalisation and attention see as much of it as in
            training on crops of this size. Default: tiles as large as the memory allows.
        equalise: with `crop`, each tile is equalised by its own histogram, as a crop in training.
        bf16: run the network in bfloat16.
        exact_lightness: scale each result to exactly the requested lightness.

    Attributes:
        forward: (inputs, condition) -> output; the network, or what was made of it to run faster.
        tile: side of a tile, pixels.

    Raises:
        UsageError: the memory is too small for one tile, or the window is not a multiple.

    Example:
        >>> network = EnhancementNetwork("compact").eval()  # a trained one: load_network("run/")
        >>> dark = np.zeros((5, 7, 3), np.uint8)
        >>> light = Enhancer(network).enhance(dark, lightness=0.5)
        >>> light.shape, light.dtype
        ((5, 7, 3), dtype('uint8'))
    """

    def __init__(
        self,
        network: EnhancementNetwork,
        memory_gb: float = MEMORY_GB,
        window: int | None = None,
        equalise: Equalise = "image",
        bf16: bool = False,
        exact_lightness: bool = False,
    ) -> None:
        self.network = network
        self.forward: Callable[[Tensor, Tensor], Tensor] = network
        self.bf16 = bf16
        self.exact_lightness = exact_lightness
        self.equalise = equalise
        self._windows = window is not None
        shape = network.architecture
        self._margin, self._blend = shape.margin, BLEND
        if window is not None:
            self._use_windows(window, memory_gb)
            return
        side = math.isqrt(int(memory_gb * 1e9 / shape.bytes_per_pixel)) // shape.multiple * shape.multiple
        smallest = 2 * (2 * shape.margin + BLEND)
        if side < smallest:
            need = smallest**2 * shape.bytes_per_pixel / 1e9
            raise UsageError(
                f"{memory_gb} GB of memory is too little for the model {network.architecture_name}",
                f"give at least {need:.1f}",
                code="out-of-range",
                parameter="memory_gb",
                value=memory_gb,
            )
        self.tile = side
        self._together = 1

    def _use_windows(self, window: int, memory_gb: float) -> None:
        shape = self.network.architecture
        if window % shape.multiple or window < SMALLEST_WINDOW:
            raise UsageError(
                f"`window={window}`: the architecture {self.network.architecture_name} takes multiples of "
                f"{shape.multiple}, from {SMALLEST_WINDOW}",
                "give the side of the training crops",
                code="out-of-range",
                parameter="window",
                value=window,
            )
        self.tile = window
        self._margin, self._blend = min(shape.margin, window // 8), min(BLEND, window // 4)
        self._together = max(1, int(memory_gb * 1e9 / (window**2 * shape.bytes_per_pixel)))

    def enhance(self, dark: np.ndarray, lightness: float) -> np.ndarray:
        """Enhance one image.

        Args:
            dark: uint8 (H, W, 3), RGB, any size.
            lightness: requested mean of the result over all pixels and channels, in [0, 1]; the network comes
                close to it. With `exact_lightness` the result is scaled to it, at most by a factor of 2.

        Returns:
            uint8 (H, W, 3), RGB.
        """
        if not self.exact_lightness:
            return self._enhanced(dark, lightness, _to_bytes, np.uint8)
        return scaled_to_lightness(self._enhanced(dark, lightness, to_levels, np.uint16), lightness)

    def _enhanced(
        self, dark: np.ndarray, lightness: float, stored: Callable[[Tensor], np.ndarray], kind: type
    ) -> np.ndarray:
        """The network's result, (H, W, 3) as `stored` makes arrays of a `kind` of it."""
        pixels = torch.from_numpy(np.ascontiguousarray(dark)).to(self._device)
        level = torch.tensor([condition(mean_lightness(dark), lightness)], device=self._device)
        tables = equalisations(pixels[None]) if self.equalise == "image" else None
        rows, columns = (self._tile_ranges(length) for length in pixels.shape[:2])
        if len(rows) == len(columns) == 1:
            return stored(next(self._run([pixels], tables, level)))
        result: np.ndarray = np.empty(dark.shape, kind)
        for row, weighted, weights in self._rows(pixels, rows, columns, tables, level):
            result[row : row + len(weights)] = stored(weighted / weights)
        return result

    def _rows(
        self,
        dark: Tensor,
        rows: Sequence[TileRange],
        columns: Sequence[TileRange],
        tables: Tensor | None,
        level: Tensor,
    ) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Finished bands of the image, from top to bottom.

        Yields:
            (first row, float32 (h, W, 3) weighted sum of the tiles, float32 (h, W, 1) sum of their weights).
        """
        height, width, _ = dark.shape
        carried: tuple[Tensor, Tensor] | None = None
        for number, row in enumerate(rows):
            band = dark[row.start : row.end]
            total = torch.zeros(len(band), width, 3, device=self._device)
            weights = torch.zeros(len(band), width, 1, device=self._device)
            tiles = self._run([band[:, column.start : column.end] for column in columns], tables, level)
            for column, light in zip(columns, tiles, strict=True):
                window = np.s_[:, column.start : column.end]
                weight = np.outer(self._weight(row, height), self._weight(column, width))[..., None]
                weight_here = torch.from_numpy(weight).to(self._device)
                total[window] += weight_here * light
                weights[window] += weight_here
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

    def _run(self, tiles: Sequence[Tensor], tables: Tensor | None, level: Tensor) -> Iterator[Tensor]:
        """Run the network on tiles of one padded size: uint8 (H, W, 3) -> float32 (H, W, 3) in [0, 1]."""
        for first in range(0, len(tiles), self._together):
            some = tiles[first : first + self._together]
            count = len(some)
            dark = torch.stack([self._padded(tile) for tile in some])
            whole = None if tables is None else tables.expand(count, 3, 256)
            autocast = torch.autocast(self._device.type, torch.bfloat16, enabled=self.bf16)
            with torch.inference_mode(), autocast:
                light = self.forward(network_inputs(dark, whole), level.expand(count))
            for tile, pixels in zip(some, light.permute(0, 2, 3, 1), strict=True):
                yield pixels[: tile.shape[0], : tile.shape[1]]

    def _padded(self, tile: Tensor) -> Tensor:
        """A tile with mirrored pixels at its end, up to a size that the network takes."""
        for axis in (0, 1):
            length = tile.shape[axis]
            missing = -length % self.network.architecture.multiple
            if missing:
                index = torch.arange(length + missing, device=tile.device) % (2 * length)
                tile = tile.index_select(axis, torch.minimum(index, 2 * length - 1 - index))
        return tile

    def _tile_ranges(self, length: int) -> Sequence[TileRange]:
        """Tiles that cover an axis; they start at multiples, which keeps the grid of the whole image.

        The last of several windows is padded to a whole one; the last tile is as long as it has to be.
        """
        multiple = self.network.architecture.multiple
        if length <= self.tile:
            return [TileRange(0, length)]
        overlap = 2 * self._margin + self._blend
        step = (self.tile - overlap) // multiple * multiple
        count = math.ceil((length - overlap) / step)
        starts = [i * step for i in range(count)]
        if self._windows:
            starts[-1] = math.ceil((length - self.tile) / multiple) * multiple
        return [TileRange(start, min(length, start + self.tile)) for start in starts]

    def _weight(self, tile: TileRange, length: int) -> np.ndarray:
        """Weights along a tile, float32 (length,): 0 in the margin of an inner edge, then rising to 1."""
        distance = np.arange(tile.end - tile.start) + 0.5
        weight = np.ones(tile.end - tile.start)
        if tile.start > 0:
            weight = np.minimum(weight, (distance - self._margin) / self._blend)
        if tile.end < length:
            weight = np.minimum(weight, (distance[::-1] - self._margin) / self._blend)
        return weight.clip(0, 1).astype(np.float32)


def _to_bytes(light: Tensor) -> np.ndarray:
    """float in [0, 1] -> uint8."""
    return (light * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
