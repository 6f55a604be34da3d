"""The enhancement network: a UNet conditioned on the requested change of lightness (paper, Section 3.2).

`paper` and `small` are diffusers' UNet2DModel in the authors' two sizes; `compact` is a small UNet of our
own, for machines without a GPU, and does not need diffusers.
"""

import importlib
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from dimmagen.core.errors import DimmagenError
from dimmagen.core.optional_packages import missing_package
from dimmagen.core.registry import Registry, described
from dimmagen.enhance.acceleration import Acceleration
from dimmagen.enhance.fused_norms import fuse_norms
from dimmagen.enhance.inputs import CHANNELS, CONDITION_STEPS


@dataclass(frozen=True, slots=True)
class Architecture:
    """A kind of network: how it is built, and its properties.

    Attributes:
        build: makes the module that computes the residual: it is called with (inputs, condition) like
            :class:`EnhancementNetwork` and returns float (N, 3, H, W), before the sigmoid.
        multiple: height and width of the input must be multiples of this number.
        margin: pixels at the edge of a tile where the result may differ from that of the whole image.
        bytes_per_pixel: peak memory of inference on a CPU, per pixel of the input; measured.
        learning_rate: for training from random weights.
        finetuning_rate: for fine-tuning.
        inputs_of: whose histogram and whose change of lightness training gives it by default: those of the
            `crop` or of the whole `image`; see benchmarks/evidence.md.
        require_packages: raises a UsageError where an optional package that `build` imports is missing; None
            if it imports none.
    """

    build: Callable[[], nn.Module]
    multiple: int
    margin: int
    bytes_per_pixel: int
    learning_rate: float
    finetuning_rate: float
    inputs_of: Literal["crop", "image"] = "crop"
    require_packages: Callable[[], object] | None = None


class EnhancementNetwork(nn.Module):
    """output = clip(sigmoid(UNet(input, condition)) + dark, 0, 1).

    Weights and features are stored with the channels last, which is faster for convolutions on a CPU, unless
    :meth:`use_memory_format` changes it.

    Args:
        architecture: a name in :data:`ARCHITECTURES`.

    Shape:
        inputs: float (N, 10, H, W), see :func:`~dimmagen.enhance.inputs.network_input`; H and W multiples
        of the architecture's. condition: int64 (N,), 0..1000. Result: float32 (N, 3, H, W) in [0, 1].

    Raises:
        UnknownNameError: there is no such architecture.
        UsageError: the architecture needs a package that is not installed.
        DimmagenError: when it is called, the architecture gives something of another shape.
    """

    def __init__(self, architecture: str = "compact") -> None:
        super().__init__()
        self.architecture_name = architecture
        self.architecture = ARCHITECTURES[architecture]
        self.unet: nn.Module = self.architecture.build()
        self.memory_format = torch.channels_last
        self.norms_are_fused = False
        self.use_memory_format(channels_last=True)

    def use(self, accelerated: Acceleration) -> None:
        """Compute as the device is used; the parameters keep their names."""
        self.use_memory_format(accelerated.channels_last)
        if accelerated.fused_norms:
            self.norms_are_fused = fuse_norms(self.unet) or self.norms_are_fused

    def copy(self) -> "EnhancementNetwork":
        """A network of the same weights on the same device, which computes in the same way.

        It is built again, as torch cannot copy every module: not one with `torch.nn.utils.weight_norm`.
        """
        copy = EnhancementNetwork(self.architecture_name).to(next(self.parameters()).device)
        copy.use(Acceleration(self.memory_format is torch.channels_last, fused_norms=self.norms_are_fused))
        copy.load_state_dict(self.state_dict())
        return copy

    def use_memory_format(self, channels_last: bool) -> None:
        """Store weights and features with the channels last, or first."""
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.to(memory_format=self.memory_format)  # type: ignore[call-overload]

    def forward(self, inputs: Tensor, condition: Tensor) -> Tensor:
        inputs = inputs.contiguous(memory_format=self.memory_format)
        residual = self.unet(inputs, condition)
        if not torch.compiler.is_compiling():
            self._refuse_other_shape(residual, (len(inputs), 3, *inputs.shape[2:]))
        return (torch.sigmoid(residual.float()) + inputs[:, :3]).clamp(0, 1)

    def _refuse_other_shape(self, residual: Any, wanted: tuple[int, ...]) -> None:
        """One channel, or one number for an image, would be repeated without a word."""
        found = tuple(residual.shape) if isinstance(residual, Tensor) else type(residual).__name__
        if found != wanted:
            raise DimmagenError(
                f"the architecture {self.architecture_name} gives {found}, not a tensor of {wanted}",
                "fix its forward()",
                code="plugin-broken",
                kind="architecture",
                name=self.architecture_name,
            )


class CompactUNet(nn.Module):
    """A UNet on 2x2 blocks of pixels, with plain residual blocks.

    There is no normalisation: initially each block is the identity (its last convolution is zero), which
    trains as well at this depth, and keeps the network local.

    Args:
        widths: channels of each level.
        embedding: width of the condition's embedding.

    Shape:
        inputs: float (N, 10, H, W), H and W multiples of 8. condition: int64 (N,). Result: float
        (N, 3, H, W), before the sigmoid.
    """

    def __init__(self, widths: Sequence[int], embedding: int = 64) -> None:
        super().__init__()
        self.frequencies = embedding
        self.embed = nn.Sequential(
            nn.Linear(embedding, embedding), nn.SiLU(), nn.Linear(embedding, embedding), nn.SiLU()
        )
        steps = list(itertools.pairwise(widths))
        self.stem = nn.Conv2d(4 * CHANNELS, widths[0], 3, padding=1)
        self.encoder = nn.ModuleList(ConditionedBlock(width, embedding) for width in widths)
        self.reduce = nn.ModuleList(nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in steps)
        self.middle = ConditionedBlock(widths[-1], embedding)
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(coarse, fine, 2, stride=2) for fine, coarse in steps)
        self.decoder = nn.ModuleList(ConditionedBlock(width, embedding) for width in widths[:-1])
        self.head = nn.Conv2d(widths[0], 4 * 3, 3, padding=1)
        nn.init.zeros_(self.head.weight)

    def forward(self, inputs: Tensor, condition: Tensor) -> Tensor:
        embedding = self.embed(sine_cosine(condition, self.frequencies))
        features = self.encoder[0](self.stem(functional.pixel_unshuffle(inputs, 2)), embedding)
        skipped = []
        for reduce, block in zip(self.reduce, self.encoder[1:], strict=True):
            skipped.append(features)
            features = block(reduce(features), embedding)
        features = self.middle(features, embedding)
        levels = zip(self.enlarge, self.decoder, skipped, strict=True)
        for enlarge, block, skip in reversed(list(levels)):
            features = block(enlarge(features) + skip, embedding)
        return functional.pixel_shuffle(self.head(features), 2)


class ConditionedBlock(nn.Module):
    """A residual block whose features are scaled and shifted by the condition's embedding.

    Args:
        width: channels of the features.
        embedding: width of the condition's embedding.

    Shape:
        features: float (N, width, H, W), like the result. embedding: float (N, embedding).
    """

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.scale_and_shift = nn.Linear(embedding, 2 * width)
        nn.init.zeros_(self.second.weight)

    def forward(self, features: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.scale_and_shift(embedding)[:, :, None, None].chunk(2, dim=1)
        change = self.first(functional.silu(features)) * (1 + scale) + shift
        return features + self.second(functional.silu(change))


def sine_cosine(condition: Tensor, width: int) -> Tensor:
    """Sinusoidal embedding, like that of time in diffusion models: int (N,) -> float32 (N, width)."""
    steps = torch.arange(width // 2, dtype=torch.float32, device=condition.device)
    angles = condition.float()[:, None] * torch.exp(-math.log(10 * CONDITION_STEPS) * 2 * steps / width)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _diffusers() -> Any:
    try:
        return importlib.import_module("diffusers")
    except Exception as error:
        instead = 'use `architecture="compact"`'
        raise missing_package("this architecture needs", "diffusers", "train", error, instead) from None


def _diffusers_unet(widths: Sequence[int]) -> nn.Module:
    """The paper's UNet with these channels per level."""
    diffusers = _diffusers()
    _ignore_broken_torchvision()

    class UNet(diffusers.UNet2DModel):  # type: ignore[name-defined]
        """Returns the residual itself, like every architecture."""

        def forward(self, inputs: Tensor, condition: Tensor) -> Tensor:
            return super().forward(inputs, condition, return_dict=False)[0]

    return UNet(
        in_channels=CHANNELS,
        out_channels=3,
        block_out_channels=tuple(widths),
        layers_per_block=2,
        attention_head_dim=64,
        down_block_types=("ResnetDownsampleBlock2D",) * len(widths),
        up_block_types=("ResnetUpsampleBlock2D",) * len(widths),  # attention is in the middle block only
    )


def _ignore_broken_torchvision() -> None:
    """Let diffusers work without torchvision if that cannot be imported.

    The UNet does not need it, but diffusers imports torchvision wherever it is installed, and one that was
    built for another torch (such as a CPU-only torch) makes the import fail.
    """
    try:
        importlib.import_module("torchvision")
    except ImportError:
        pass  # diffusers notices this itself
    except RuntimeError:
        import_utils = importlib.import_module("diffusers.utils.import_utils")
        setattr(import_utils, "_torchvision_available", False)  # noqa: B010 - private, so unknown to mypy


def architecture_faults(name: str, architecture: Any) -> Iterator[str]:
    """Why an object cannot be an architecture, for the registry."""
    if not isinstance(architecture, Architecture):
        yield f"{described(architecture)} is not an Architecture: make one with a function that builds it"
        return
    if isinstance(architecture.build, nn.Module) or not callable(architecture.build):
        yield "build is not a function that makes a network: every network of a run has weights of its own"
    for number, least in (("multiple", 1), ("margin", 0), ("bytes_per_pixel", 1)):
        value = getattr(architecture, number)
        if not isinstance(value, int) or value < least:
            yield f"its {number} is {value!r}, not a whole number from {least}"
    for rate in ("learning_rate", "finetuning_rate"):
        if not getattr(architecture, rate) > 0:
            yield f"its {rate} is not above 0"
    if architecture.inputs_of not in ("crop", "image"):
        yield f"its inputs_of is {architecture.inputs_of!r}, not crop or image"


ARCHITECTURES: Registry[Architecture] = Registry(
    "architecture", "dimmagen.networks", faults=architecture_faults
)
# Local throughout (no normalisation over the image, no attention): inside the margin, which covers the
# receptive field, the result on a tile equals that on the whole image.
ARCHITECTURES.register("compact")(
    Architecture(
        partial(CompactUNet, (24, 48, 96)),
        8,
        80,
        350,
        learning_rate=1e-3,
        finetuning_rate=1e-4,
        inputs_of="image",
    )
)
for _name, _widths in (("small", (64, 96, 128, 192)), ("paper", (64, 128, 256, 384))):
    ARCHITECTURES.register(_name)(
        Architecture(
            partial(_diffusers_unet, _widths),
            8,
            32,
            5000,
            learning_rate=1e-5,
            finetuning_rate=1e-5,
            require_packages=_diffusers,
        )
    )


def parameter_count(network: nn.Module) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in network.parameters())
