"""Training losses: mean squared error plus weighted LPIPS with VGG (paper, Section 3.2)."""

from torch import Tensor, nn

from dimmagen.enhance.acceleration import Acceleration
from dimmagen.metrics.lpips import LPIPS


class EnhancementLoss(nn.Module):
    """MSE + weight * LPIPS.

    Args:
        perceptual: a frozen LPIPS; None for the mean squared error alone.
        weight: of LPIPS; the paper uses 0.1, and 0.05 for FS-Dark.
    """

    def __init__(self, perceptual: LPIPS | None = None, weight: float = 0.1) -> None:
        super().__init__()
        self.perceptual = perceptual
        self.weight = weight

    def use(self, accelerated: Acceleration, bf16: bool) -> None:
        """Compute LPIPS as the device is used.

        Args:
            accelerated: how.
            bf16: whether the network runs in bfloat16.
        """
        if self.perceptual is not None:
            self.perceptual.use_memory_format(accelerated.channels_last)
            if accelerated.bf16_loss and bf16:
                self.perceptual.use_bfloat16()

    def forward(self, output: Tensor, target: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss.

        Args:
            output, target: float (N, 3, H, W) in [0, 1].

        Returns:
            The loss, a scalar, and its parts `mse` and `lpips` as scalars without gradients.
        """
        loss = nn.functional.mse_loss(output, target)
        parts = {"mse": loss.detach()}
        if self.perceptual is not None:
            distance = self.perceptual(output, target).mean()
            parts["lpips"] = distance.detach()
            loss = loss + self.weight * distance
        return loss, parts
