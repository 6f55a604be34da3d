"""A camera's fused kernel on one device: what it uploads, and a check against torch's kernel at first use.

Imports Triton.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from dimmagen.dimmers.base import Draw
from dimmagen.dimmers.camera import torch_kernel, triton_kernel, triton_structure, triton_tables
from dimmagen.dimmers.camera.protocol import Camera

_CHECKED_SIZE = (9, 70)  # more than one program, and odd rows
_STORED_PIXELS = 2**26  # in one call, whose stored normals take 18 bytes a pixel
_checked: set[tuple[str, bool, bool, bool, bool, bool, int]] = set()


class Fused:
    """Dims batches with one kernel, after one that makes their tables.

    Args:
        camera: the model.
        device: with an implementation of Triton.
    """

    def __init__(self, camera: Camera, device: torch.device) -> None:
        mix, taps, self.spatial, luma, chroma, self.by_luma = camera.constants()
        self.device = device
        self.mix, self.taps = mix, taps
        self.luma = torch.from_numpy(luma).to(device)
        self.chroma = self.luma if luma is chroma else torch.from_numpy(chroma).to(device)
        log_sigma, skew = camera.noise_curves
        self.skewed = bool(skew.any())
        numbers = triton_tables.model_numbers(
            camera.light_codes(), camera.curve, camera.offsets, log_sigma, skew
        )
        self.numbers = torch.from_numpy(numbers).to(device)
        structure = camera.structure
        self.structure = None if structure is None else triton_structure.numbers_of(structure).to(device)
        self.banded = structure is not None and bool(structure.weights[:, 1:].any())
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    @staticmethod
    def takes(lights: Tensor) -> bool:
        """Whether the kernel can address these images."""
        return triton_kernel.takes(lights)

    def dim(self, camera: Camera, lights: Tensor, draws: Sequence[Draw], steps: int = 0) -> Tensor:
        """Dim a batch.

        Args:
            camera: that of the constructor.
            lights: uint8 (B, 3, H, W), RGB, not empty, on the device.
            draws: one per image.
            steps: rows of a program's strip; 0 for those that suit the size.
        """
        with self._on_device():
            rows = self.rows(camera, draws)
            if self.structure is None:
                return self._dim_rows(lights, rows, steps)
            most = max(1, _STORED_PIXELS // (lights.shape[2] * lights.shape[3]))
            parts = zip(lights.split(most), rows.split(most), strict=True)
            return torch.cat([self._dim_rows(part, own, steps) for part, own in parts])

    def _dim_rows(self, lights: Tensor, rows: Tensor, steps: int) -> Tensor:
        normals = None
        if self.structure is not None:
            height, width = lights.shape[2:]
            tables = self.luma, self.chroma, self.structure, self.banded
            normals = triton_structure.structured_normals(rows, height, width, *tables)
        arguments = self.luma, self.chroma, self.mix, self.taps, self.spatial, self.skewed, self.by_luma
        return triton_kernel.dim_rows(lights, rows, *arguments, steps, normals)

    def rows(self, camera: Camera, draws: Sequence[Draw]) -> Tensor:
        """The tables of a batch: int64 (B, 769), see :func:`.triton_kernel.dim_rows`.

        On a GPU they are made in a stream of their own, so that the CPU does not wait for other work there.
        """
        if self.stream is None:
            return self._rows(camera, draws)
        current = torch.cuda.current_stream(self.device)
        with torch.cuda.stream(self.stream):
            rows = self._rows(camera, draws)
        current.wait_stream(self.stream)
        rows.record_stream(current)
        return rows

    def _rows(self, camera: Camera, draws: Sequence[Draw]) -> Tensor:
        if "response" in camera.without:  # another formula
            return self._upload(np.stack([row_of(camera, draw) for draw in draws]))
        seeds = np.array([draw.noise_seed for draw in draws], np.int64)
        brightness = np.array([draw.gamma * draw.exposure for draw in draws])
        tau = np.array([draw.tau for draw in draws], np.float64)
        balance = np.stack([draw.balance for draw in draws])
        numbers = triton_tables.draw_numbers(camera.light_shifts(brightness, balance), tau, seeds)
        rows, doubts = triton_tables.make_rows(self.numbers, self._upload(numbers))
        for index in np.flatnonzero(doubts.cpu().numpy().any(axis=1)).tolist():
            rows[index] = self._upload(row_of(camera, draws[index]))
        return rows

    def check(self, camera: Camera, lights: Tensor, draws: Sequence[Draw]) -> None:
        """Compare the kernel with torch's on a few pixels, once for each variant of it that is compiled.

        Raises:
            ArithmeticError: they differ.
        """
        steps = triton_kernel.strip_rows(lights)
        stored = self.structure is not None
        variant = str(self.device), self.spatial, self.skewed, self.by_luma, stored, self.banded, steps
        if variant in _checked:
            return
        few = list(draws[:2])
        light = torch.arange(len(few) * 3 * _CHECKED_SIZE[0] * _CHECKED_SIZE[1], device=self.device)
        light = ((light * 40503) >> 5 & 0xFF).to(torch.uint8).view(len(few), 3, *_CHECKED_SIZE)
        arguments = [camera.kernel_arguments(draw) for draw in few]
        expected = torch_kernel.dim_images(arguments, light, few, camera.structure)
        if not torch.equal(self.dim(camera, light, few, steps), expected):
            raise ArithmeticError("it gives other pixels than torch")
        _checked.add(variant)

    def _upload(self, values: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(values)
        return tensor.pin_memory().to(self.device, non_blocking=True) if self.stream else tensor

    def _on_device(self) -> AbstractContextManager:
        return torch.cuda.device(self.device) if self.device.type == "cuda" else nullcontext()


def row_of(camera: Camera, draw: Draw) -> np.ndarray:
    """The row of an image as numpy makes it: int64 (769,)."""
    level, sigma, bend, _ = camera.tables(draw)
    return np.concatenate([[draw.noise_seed], triton_kernel.packed_tables(level, sigma, bend)])


_FUSED: WeakKeyDictionary[Camera, dict[torch.device, Fused]] = WeakKeyDictionary()


def fused_for(camera: Camera, device: torch.device) -> Fused:
    """The kernel of a camera on a device, with what was uploaded before."""
    by_device = _FUSED.setdefault(camera, {})
    if device not in by_device:
        by_device[device] = Fused(camera, device)
    return by_device[device]
