"""Dark images as a camera's JPEG files store them, and the quality of those files."""

import io

import numpy as np
import pytest
from PIL import Image

from dimmagen.dimmers.jpeg import LUMA_TABLE, jpeg_quality, quality_of_steps, through_jpeg

PIXELS = np.random.default_rng(0).integers(0, 60, (17, 21, 3), np.uint8)


def stored(pixels: np.ndarray, **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, **options)
    return stream.getvalue()


@pytest.mark.parametrize("quality", [20, 90])
def test_an_image_is_what_its_jpeg_with_half_the_colour_resolution_shows(quality):
    found = through_jpeg(PIXELS, quality)
    shown = {
        name: np.asarray(
            Image.open(io.BytesIO(stored(PIXELS, format="JPEG", quality=quality, subsampling=name)))
        )
        for name in ("4:2:0", "4:4:4")
    }
    assert (found.dtype, found.shape) == (np.uint8, PIXELS.shape)
    assert np.array_equal(found, shown["4:2:0"])
    assert not np.array_equal(found, shown["4:4:4"])


@pytest.mark.parametrize("quality", [25, 49, 50, 51, 75, 90, 99, 100])
def test_the_quality_is_found_in_the_tables(quality):
    assert abs(jpeg_quality(stored(PIXELS, format="JPEG", quality=quality)) - quality) <= 1


def test_the_table_is_that_of_the_standard():
    with Image.open(io.BytesIO(stored(PIXELS, format="JPEG", quality=50))) as image:
        assert image.quantization[0] == LUMA_TABLE.ravel().tolist()
    assert quality_of_steps(3688 * 0.2, 3688) == 90


def test_a_file_of_another_format_has_none_and_tables_of_ones_are_the_best():
    assert jpeg_quality(stored(PIXELS, format="PNG")) == 0
    for table, quality in ([1] * 64, 99), ([58] * 63 + [32], 50), ([255] * 64, 11):
        assert jpeg_quality(stored(PIXELS, format="JPEG", qtables=[table, table])) == quality
