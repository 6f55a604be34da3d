"""LPIPS, the learned perceptual distance (Zhang et al., CVPR 2018), version 0.1, with frozen weights.

A forward pass of our own, because the lpips package requires torchvision. The weights come from a file, or
from that package if it is installed.
"""

import hashlib
import importlib
import re
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from dimmagen.core.errors import DimmagenError, UsageError, Ways

Backbone = Literal["alex", "vgg"]

_FILES = {"alex": "lpips_alexnet.safetensors", "vgg": "lpips_vgg16.safetensors"}
_WIDTHS = {"alex": (64, 192, 384, 256, 256), "vgg": (64, 128, 256, 512, 512)}
SMALLEST_SIDE = {"alex": 31, "vgg": 16}  # pixels; the output of a layer would be empty for smaller images
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)


class LPIPS(nn.Module):
    """Distance of two images in the features of AlexNet or VGG16; frozen, always in eval mode.

    Args:
        backbone: `alex` or `vgg`.
        weights: backbone convolutions `features.N.{weight,bias}` and heads `linN.weight`.

    Shape:
        first, second: float (N, 3, H, W), RGB in [0, 1]. Result: float32 (N,), 0 for equal images.

    Raises:
        DimmagenError: the weights are not those of this backbone.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, backbone: Backbone, weights: dict[str, Tensor]) -> None:
        super().__init__()
        self.features, self.taps = _alexnet() if backbone == "alex" else _vgg16()
        heads = [nn.Conv2d(width, 1, 1, bias=False) for width in _WIDTHS[backbone]]
        for index, head in enumerate(heads):
            self.add_module(f"lin{index}", head)
        self._dtype = torch.float32  # of the features
        self.heads = heads  # a plain list: the modules are registered under their names above
        try:
            self.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
        except RuntimeError as error:
            reason = str(error).splitlines()[1].strip()[:80]
            raise DimmagenError(
                f"these are not the weights of LPIPS with {backbone} ({reason} ...)",
                f"give {_FILES[backbone]}, or the folder that holds it",
                code="wrong-format",
                backbone=backbone,
            ) from None
        self.register_buffer("shift", torch.tensor(_SHIFT)[None, :, None, None], persistent=False)
        self.register_buffer("scale", torch.tensor(_SCALE)[None, :, None, None], persistent=False)
        self.requires_grad_(False)
        self.use_memory_format(channels_last=True)
        super().train(False)

    def train(self, mode: bool = True) -> "LPIPS":
        """Stay in eval mode when an enclosing module is set to training mode."""
        return self

    def use_bfloat16(self) -> None:
        """Compute the features in bfloat16 from now on; their distance stays in float32."""
        self._dtype = torch.bfloat16
        self.features.to(self._dtype)

    def use_memory_format(self, channels_last: bool) -> None:
        """Store weights and features with the channels last, or first."""
        form = torch.channels_last if channels_last else torch.contiguous_format
        self.to(memory_format=form)  # type: ignore[call-overload]

    def sha256(self) -> str:
        """SHA-256 of all weights, regardless of where they were loaded from; hex."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """The distance of each pair; shapes as for the class."""
        distance = torch.zeros(first.shape[0], device=first.device)
        pairs = zip(self._unit_features(first), self._unit_features(second), self.heads, strict=True)
        for one, other, head in pairs:
            distance = distance + head((one - other) ** 2).mean(dim=(1, 2, 3))
        return distance

    def _unit_features(self, image: Tensor) -> list[Tensor]:
        features = ((2 * image.float() - 1 - self.shift) / self.scale).to(self._dtype)
        tapped = []
        for index, layer in enumerate(self.features):
            features = layer(features)
            if index in self.taps:
                # vector_norm has a gradient where all features are zero; a square root does not.
                exact = features.float()
                norm = torch.linalg.vector_norm(exact, dim=1, keepdim=True)
                tapped.append(exact / (norm + 1e-10))
        return tapped


def load_lpips(backbone: Backbone, source: str | Path | None = None) -> LPIPS:
    """Load LPIPS with its published weights.

    Args:
        backbone: `alex` or `vgg`.
        source: a safetensors file, or a folder with `lpips_alexnet.safetensors` and
            `lpips_vgg16.safetensors`; default the weights of the installed lpips package.

    Raises:
        UsageError: there is no such file, or neither a file nor the package.
        DimmagenError: the file is damaged or has other content.
    """
    if source is None:
        return LPIPS(backbone, _weights_of_package(backbone))
    path = Path(source)
    path = path / _FILES[backbone] if path.is_dir() else path
    try:
        return LPIPS(backbone, load_file(path))
    except FileNotFoundError:
        raise UsageError(
            f"there are no LPIPS weights at {path}",
            "check `lpips_weights`",
            code="missing-path",
            parameter="lpips_weights",
            path=str(path),
        ) from None
    except SafetensorError as error:
        raise DimmagenError(
            f"{path} is not a safetensors file ({error})",
            "download it again",
            code="damaged",
            path=str(path),
        ) from None


def _weights_of_package(backbone: Backbone) -> dict[str, Tensor]:
    """The weights of the lpips package, under the names that :class:`LPIPS` uses."""
    try:
        state = importlib.import_module("lpips").LPIPS(net=backbone, verbose=False).state_dict()
    except (ImportError, RuntimeError, OSError) as error:
        # Not installed, a torchvision built for another torch, or no connection to download the backbone.
        reason = "" if isinstance(error, ImportError) else f" (the package lpips failed: {error})"
        raise UsageError(
            f"LPIPS needs the weights of {backbone}, which are not available{reason}",
            Ways.of(
                "give `lpips_weights`",
                "install the packages lpips and torchvision",
                'leave LPIPS out by `perceptual="none"`',
                "leave LPIPS out by `metrics`",
            ),
            code="missing-package",
            parameter="lpips_weights",
            package="lpips",
        ) from None
    return {
        re.sub(r"^net\.slice\d+", "features", name).replace(".model.1.", "."): tensor
        for name, tensor in state.items()
        if re.match(r"net\.slice|lin\d\.", name)
    }


def _convolution(inner: int, outer: int, size: int = 3, stride: int = 1, padding: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inner, outer, size, stride, padding), nn.ReLU()]


def _alexnet() -> tuple[nn.Sequential, tuple[int, ...]]:
    """torchvision's AlexNet up to relu5, and the indices of the layers whose outputs are compared."""
    layers = [
        *_convolution(3, 64, 11, stride=4, padding=2),
        nn.MaxPool2d(3, 2),
        *_convolution(64, 192, 5, padding=2),
        nn.MaxPool2d(3, 2),
        *_convolution(192, 384),
        *_convolution(384, 256),
        *_convolution(256, 256),
    ]
    return nn.Sequential(*layers), (1, 4, 7, 9, 11)


def _vgg16() -> tuple[nn.Sequential, tuple[int, ...]]:
    """torchvision's VGG16 up to relu5_3, and the indices of the layers whose outputs are compared."""
    layers: list[nn.Module] = []
    width = 3
    for wider, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        if layers:
            layers.append(nn.MaxPool2d(2, 2))
        for _ in range(depth):
            layers += _convolution(width, wider)
            width = wider
    return nn.Sequential(*layers), (3, 8, 15, 22, 29)
