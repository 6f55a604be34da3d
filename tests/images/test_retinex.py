"""Images are split into reflectance and illumination, and joined again."""

import numpy as np
import torch

from dimmagen.images import retinex


def test_an_image_is_the_same_after_split_and_join():
    image = np.random.default_rng(0).random((5, 7, 3), dtype=np.float32)
    image[2, 3] = 0
    reflectance, illumination = retinex.split(image)
    assert reflectance.dtype == illumination.dtype == np.float32
    assert illumination.shape == (5, 7, 1)
    np.testing.assert_allclose(reflectance.sum(-1), 1, rtol=1e-6)
    np.testing.assert_allclose(illumination[..., 0], image.mean(-1), rtol=1e-6)
    np.testing.assert_allclose(retinex.reconstruct(reflectance, illumination), image, atol=1e-7)


def test_a_black_pixel_has_gray_reflectance_and_no_illumination():
    reflectance, illumination = retinex.split(np.zeros((1, 3)))
    np.testing.assert_allclose(reflectance, [[1 / 3, 1 / 3, 1 / 3]])
    assert illumination == 0


def test_a_batch_of_tensors_is_split_along_its_channels():
    image = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    reflectance, illumination = retinex.split(image, axis=-3)
    assert illumination.shape == (2, 1, 4, 5)
    torch.testing.assert_close(reflectance.sum(1), torch.ones(2, 4, 5, dtype=torch.float64))
    torch.testing.assert_close(retinex.reconstruct(reflectance, illumination), image)
