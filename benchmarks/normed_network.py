"""A small network with what `paper` has and `compact` lacks: group norm, and attention at the coarsest level.

It is for experiments on a processor, where `paper` is too slow; importing this module registers it.
"""

from torch import Tensor, nn
from torch.nn import functional

from dimmagen.enhance.network import ARCHITECTURES, Architecture, CompactUNet, ConditionedBlock

NAME = "normed"
WIDTHS = (24, 48, 96)
EMBEDDING, GROUPS = 64, 8


class NormedBlock(ConditionedBlock):
    """A :class:`ConditionedBlock` with group norm before each activation."""

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__(width, embedding)
        self.norms = nn.ModuleList(nn.GroupNorm(GROUPS, width) for _ in range(2))

    def forward(self, features: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.scale_and_shift(embedding)[:, :, None, None].chunk(2, dim=1)
        change = self.norms[1](self.first(functional.silu(self.norms[0](features))))
        return features + self.second(functional.silu(change * (1 + scale) + shift))


class Attention(NormedBlock):
    """A :class:`NormedBlock`, then attention of all positions to all."""

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__(width, embedding)
        self.norm = nn.GroupNorm(GROUPS, width)
        self.queries_keys_values = nn.Conv2d(width, 3 * width, 1)
        self.out = nn.Conv2d(width, width, 1)

    def forward(self, features: Tensor, embedding: Tensor) -> Tensor:
        features = super().forward(features, embedding)
        positions = self.queries_keys_values(self.norm(features)).flatten(2).transpose(1, 2)[:, None]
        attended = functional.scaled_dot_product_attention(*positions.chunk(3, dim=-1))
        return features + self.out(attended[:, 0].transpose(1, 2).reshape(features.shape))


def normed_unet() -> nn.Module:
    """`compact` with these blocks: called and shaped like it."""
    network = CompactUNet(WIDTHS, EMBEDDING)
    network.encoder = nn.ModuleList(NormedBlock(width, EMBEDDING) for width in WIDTHS)
    network.decoder = nn.ModuleList(NormedBlock(width, EMBEDDING) for width in WIDTHS[:-1])
    network.middle = Attention(WIDTHS[-1], EMBEDDING)
    return network


ARCHITECTURES.register(NAME)(Architecture(normed_unet, 8, 32, 700, learning_rate=1e-3, finetuning_rate=1e-4))
