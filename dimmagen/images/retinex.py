"""Retinex decomposition of an image into reflectance and illumination (paper, Eq. 1).

The functions accept numpy arrays and torch tensors of any floating dtype and shape.
"""

from typing import TypeVar

Array = TypeVar("Array")  # numpy.ndarray or torch.Tensor


def split(image: Array, axis: int = -1) -> tuple[Array, Array]:
    """Split I into reflectance R_c = I_c / sum_c(I) and illumination L = mean_c(I).

    Args:
        image: RGB in [0, 1]; any shape with 3 channels along `axis`.
        axis: the channel axis, -1 for (H, W, 3), -3 for (N, 3, H, W).

    Returns:
        (reflectance, illumination): reflectance has the shape of the image and sums to 1 over the channels
        (black pixels, whose colour is unknown, are gray: 1/3 each); illumination has 1 channel, in [0, 1].
    """
    total = image.sum(axis, keepdims=True)  # type: ignore[attr-defined]
    lifted = image + (total == 0)  # black pixels become (1, 1, 1), others are unchanged
    return lifted / lifted.sum(axis, keepdims=True), total / 3


def reconstruct(reflectance: Array, illumination: Array) -> Array:
    """Reconstruct the image: I = 3 * L * R. Shapes as returned by :func:`split`."""
    return 3 * illumination * reflectance  # type: ignore[operator,return-value]
