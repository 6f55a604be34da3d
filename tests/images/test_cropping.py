"""Cropping images to their center."""

import numpy as np
import pytest

from dimmagen.images.cropping import center_crop

IMAGE = np.arange(7 * 10 * 3, dtype=np.uint8).reshape(7, 10, 3)


@pytest.mark.parametrize(
    ("side", "rows", "columns"),
    [
        (4, (1, 5), (3, 7)),
        (5, (1, 6), (2, 7)),
        (8, (0, 7), (1, 9)),
        (10, (0, 7), (0, 10)),
        (99, (0, 7), (0, 10)),
    ],
)
def test_the_center_is_kept_and_a_smaller_image_is_kept_in_full(side, rows, columns):
    cropped = center_crop(IMAGE, side)
    np.testing.assert_array_equal(cropped, IMAGE[slice(*rows), slice(*columns)])
    assert cropped.flags.c_contiguous
