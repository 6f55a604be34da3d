"""What training makes small: the squared error and, weighted, LPIPS on VGG (paper, Section 3.2)."""

from torch import Tensor, nn

from dimmagen.metrics.lpips import LPIPS


class EnhancementLoss(nn.Module):
    """MSE + weight * LPIPS.

    Args:
        perceptual: a frozen LPIPS; None for the squared error alone.
        weight: of LPIPS; the paper's 0.1, for FS-Dark 0.05.
    """

    def __init__(self, perceptual: LPIPS | None = None, weight: float = 0.1) -> None:
        super().__init__()
        self.perceptual = perceptual
        self.weight = weight

    def forward(self, output: Tensor, target: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of float (N, 3, H, W) pictures in [0, 1], and its parts by name, without gradients."""
        loss = nn.functional.mse_loss(output, target)
        parts = {"mse": loss.detach()}
        if self.perceptual is not None:
            distance = self.perceptual(output, target).mean()
            parts["lpips"] = distance.detach()
            loss = loss + self.weight * distance
        return loss, parts
