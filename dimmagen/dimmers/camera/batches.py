"""Batches of one size on any device: which kernel dims them. Every kernel gives the same bits."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from dimmagen.core.errors import UsageError
from dimmagen.dimmers.base import Draw
from dimmagen.dimmers.camera import torch_kernel
from dimmagen.dimmers.camera.chroma import suppress_fine_chroma_of_tensors
from dimmagen.dimmers.camera.highlights import encode_light_of_tensors
from dimmagen.dimmers.camera.protocol import Camera

if TYPE_CHECKING:
    from dimmagen.dimmers.camera.fused import Fused  # imports Triton

KERNELS = ("auto", "torch", "triton")
TORCH_PIXELS = 8_000_000  # in one call of the torch kernel, whose intermediate values take 250 bytes a pixel

_LOG = logging.getLogger(__name__)


def dim_batch(camera: Camera, lights: Tensor, draws: Sequence[Draw], kernel: str) -> Tensor:
    """:meth:`.CameraModel.expose_tensors`, with its arguments and errors."""
    if kernel not in KERNELS:
        raise UsageError(
            f"there is no kernel {kernel!r}",
            f"it is one of {', '.join(KERNELS)}",
            code="unknown-name",
            parameter="kernel",
            name=kernel,
        )
    lights = _filtered(lights, camera.chroma_share, camera.highlights > 0)
    fused = None
    if lights.numel() and (kernel == "triton" or (kernel == "auto" and lights.is_cuda)):
        fused = _fused(camera, lights, draws, forced=kernel == "triton")
    return fused.dim(camera, lights, draws) if fused else with_torch(camera, lights, draws)


def _filtered(lights: Tensor, share: float, coded: bool = False) -> Tensor:
    """The light images with a share of their fine chroma, and coded if the camera has headroom.

    In parts: in between, a pixel takes 100 bytes.
    """
    if (share == 1.0 and not coded) or not lights.numel():
        return lights

    def filtered(part: Tensor) -> Tensor:
        levels = suppress_fine_chroma_of_tensors(part, share)
        return encode_light_of_tensors(part, levels) if coded else levels

    step = max(1, TORCH_PIXELS // (lights.shape[2] * lights.shape[3]))
    return torch.cat([filtered(part) for part in lights.split(step)])


def with_torch(camera: Camera, lights: Tensor, draws: Sequence[Draw]) -> Tensor:
    """Dim a batch with torch's own operations; arguments as for :func:`dim_batch`."""
    step = max(1, TORCH_PIXELS // max(1, lights.shape[2] * lights.shape[3]))
    dark = [
        torch_kernel.dim_images(
            [camera.kernel_arguments(draw) for draw in draws[first : first + step]],
            lights[first : first + step],
            draws[first : first + step],
            camera.structure,
        )
        for first in range(0, len(draws), step)
    ]
    return torch.cat(dark) if len(dark) > 1 else dark[0]


_REFUSED: dict[tuple[Any, ...], str] = {}  # why Triton's kernel is not used, by device and kind of camera


def _fused(camera: Camera, lights: Tensor, draws: Sequence[Draw], forced: bool) -> "Fused | None":
    """Triton's kernel for a camera and a device; None where it does not run, and is not forced."""
    constants = camera.constants()
    kind = str(lights.device), constants[2], constants[5], camera.structure is not None
    if kind in _REFUSED and not forced:
        return None
    try:
        from dimmagen.dimmers.camera.fused import Fused, fused_for
    except ImportError as error:
        _refuse(kind, f"Triton is not installed, or fails ({error})", forced, missing=True)
        return None
    except Exception as error:
        _refuse(kind, f"Triton fails ({error})", forced)
        return None
    if not Fused.takes(lights):
        reason = "the images, or their strides, are larger than the kernel's 32-bit offsets"
        _refuse(None, reason, forced)
        return None
    try:
        fused = fused_for(camera, lights.device)
        fused.check(camera, lights, draws)
    except Exception as error:  # whatever a compiler, a driver or a linker says
        _refuse(kind, f"Triton's kernel does not run here ({error})", forced)
        return None
    return fused


def _refuse(kind: tuple[Any, ...] | None, reason: str, forced: bool, missing: bool = False) -> None:
    """Raise an error if the kernel was asked for; otherwise remember the reason, and warn of a fault."""
    if forced and missing:
        raise UsageError(reason, "pip install 'dimmagen[triton]'", code="missing-package", package="triton")
    if forced:
        raise UsageError(reason, 'use `kernel="torch"`', code="device", parameter="kernel")
    if kind is not None:
        _REFUSED[kind] = reason
    if not missing:
        _LOG.warning("%s; images are dimmed by torch's operations, which are slower", reason)
