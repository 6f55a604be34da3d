"""Residual blocks whose norms are one operation with the activation that follows, for a GPU."""

import importlib
import logging
import os
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_LOG = logging.getLogger(__name__)
_CHECKED = (2, 48, 9, 7)  # a batch of features: channels and pixels that fill no program
_TOLERANCE = 1e-4  # relative, in float32
_INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"  # Triton's kernels run on the processor


class GroupNormSiLU(nn.GroupNorm):
    """A group norm with the same parameters, followed by SiLU; by torch's own operations off a GPU.

    Args:
        norm: whose parameters it takes over.

    Shape:
        features: float (N, C, H, W). shift: float32 (N, C), added to all pixels of a channel before the
        norm. Result: float (N, C, H, W), of the type of `features`.
    """

    def __init__(self, norm: nn.GroupNorm) -> None:
        super().__init__(norm.num_groups, norm.num_channels, norm.eps)
        self.weight, self.bias = norm.weight, norm.bias
        importlib.import_module("dimmagen.enhance.triton_norm")  # makes the operation known to torch

    def forward(self, features: Tensor, shift: Tensor | None = None) -> Tensor:
        if not (features.is_cuda or _INTERPRETED):
            return self._by_torch(features, shift)
        operation = torch.ops.dimmagen.group_norm_silu
        result: Tensor = operation(features, shift, self.weight, self.bias, self.num_groups, self.eps)[0]
        return result

    def _by_torch(self, features: Tensor, shift: Tensor | None) -> Tensor:
        """The same in float32, as the kernels compute, of a network that has left its GPU."""
        shifted = features.float() if shift is None else features.float() + shift[:, :, None, None]
        with torch.autocast(features.device.type, enabled=False):
            return functional.silu(super().forward(shifted)).to(features.dtype)


class FusedResnetBlock(nn.Module):
    """diffusers' `ResnetBlock2D`, as the paper's network uses it, with the same parameters and names.

    The bias of its first convolution is added by the norm that follows, together with the condition's
    embedding; the biases of the convolutions that are added to each other are added together, and have one
    gradient.

    Args:
        block: whose parts it takes over: without dropout, and with an embedding that is added.

    Shape:
        features: float (N, C, H, W). embedding: float (N, E). Result: float (N, C', H', W').
    """

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.norm1 = GroupNormSiLU(block.norm1)
        self.conv1: Any = block.conv1
        self.time_emb_proj: nn.Linear = block.time_emb_proj
        self.norm2 = GroupNormSiLU(block.norm2)
        self.conv2: Any = block.conv2
        self.resample: Callable[[Tensor], Tensor] | None = block.upsample or block.downsample
        self.conv_shortcut: Any = block.conv_shortcut

    def forward(self, features: Tensor, embedding: Tensor) -> Tensor:
        hidden = _convolution(self.conv1, self._resampled(self.norm1(features)))
        shift = self.time_emb_proj(functional.silu(embedding)).float() + self.conv1.bias
        hidden = _convolution(self.conv2, self.norm2(hidden, shift))
        features, bias = self._resampled(features), self.conv2.bias
        if self.conv_shortcut is not None:
            features = _convolution(self.conv_shortcut, features)
            bias = bias + self.conv_shortcut.bias
        return hidden + features + bias.to(hidden.dtype)[:, None, None]

    def _resampled(self, features: Tensor) -> Tensor:
        if self.resample is None:
            return features
        with torch.autocast(features.device.type, enabled=False):  # which would enlarge in float32
            return self.resample(features)


def _convolution(layer: nn.Conv2d, features: Tensor) -> Tensor:
    """A convolution without its bias."""
    return functional.conv2d(features, layer.weight, padding=layer.padding)


def fuse_norms(unet: nn.Module) -> bool:
    """Replace the residual blocks and the last norm of a UNet of diffusers, in place.

    Args:
        unet: any module; nothing happens to one without such blocks.

    Returns:
        Whether anything was replaced.
    """
    found = False
    for module in list(unet.modules()):
        for name, child in module.named_children():
            if _is_plain_block(child):
                setattr(module, name, FusedResnetBlock(child))
                found = True
    if found and isinstance(getattr(unet, "conv_act", None), nn.SiLU):
        unet.conv_norm_out = GroupNormSiLU(unet.conv_norm_out)  # type: ignore[arg-type]
        unet.conv_act = nn.Identity()
    return found


def _is_plain_block(module: nn.Module) -> bool:
    """Whether it is a residual block that :class:`FusedResnetBlock` can replace."""
    return (
        type(module).__name__ == "ResnetBlock2D"
        and getattr(module, "time_embedding_norm", None) == "default"
        and getattr(module, "time_emb_proj", None) is not None
        and not getattr(module, "skip_time_act", True)
        and isinstance(getattr(module, "nonlinearity", None), nn.SiLU)
        and getattr(getattr(module, "dropout", None), "p", 1) == 0
        and getattr(module, "output_scale_factor", 0) == 1
        and all(getattr(getattr(module, name), "bias", None) is not None for name in ("conv1", "conv2"))
        and getattr(getattr(module, "conv_shortcut", None), "bias", 0) is not None
    )


@cache
def norms_can_be_fused(device: torch.device) -> bool:
    """Whether the kernels of :mod:`~dimmagen.enhance.triton_norm` work on a device: tried once.

    Where Triton is installed and fails, for want of a compiler for example, a warning says so.
    """
    if device.type != "cuda":
        return False
    try:
        importlib.import_module("triton")
    except ImportError:
        return False
    except Exception as error:  # of a Triton that does not fit to what else is installed
        return _fails(error)
    try:
        right = _agrees(device)
    except Exception as error:  # of Triton's compiler, of the one for C, or of the device
        return _fails(error)
    if not right:
        _LOG.warning("Triton's norms differ from torch's here, so torch's are used")
    return right


def _fails(error: Exception) -> bool:
    """Warn of what Triton said; always False."""
    reason = str(error).strip().splitlines() or [type(error).__name__]
    _LOG.warning("Triton's norms fail here, so torch's are used: %s", reason[0][:200])
    return False


def _agrees(device: torch.device) -> bool:
    """Whether the kernels compute what torch does, forward and backward, whatever mode the caller is in."""
    kernel = importlib.import_module("dimmagen.enhance.triton_norm")
    generator = torch.Generator(device).manual_seed(0)
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device.type, enabled=False):
        features = torch.randn(_CHECKED, generator=generator, device=device)
        upper = torch.randn(_CHECKED, generator=generator, device=device)
        shift, scale = torch.randn((2, *_CHECKED[:2]), generator=generator, device=device)
        weight, bias = scale
        given = [tensor.clone().requires_grad_() for tensor in (features, shift, weight, bias)]
        fused, *_ = kernel.group_norm_silu(*given, 8, 1e-5)
        changes = torch.autograd.grad(fused, given, upper)
        shifted = given[0] + given[1][:, :, None, None]
        plain = functional.silu(functional.group_norm(shifted, 8, given[2], given[3], 1e-5))
        expected = torch.autograd.grad(plain, given, upper)
    pairs = zip((fused, *changes), (plain, *expected), strict=True)
    return all(bool((one - other).norm() <= _TOLERANCE * other.norm()) for one, other in pairs)
