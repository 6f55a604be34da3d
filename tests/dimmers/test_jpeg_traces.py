"""Images that were JPEGs before they were stored as PNG are told by their pixels, with their quality."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage import data as photos

from dimmagen.dimmers.jpeg import LUMA_TABLE, jpeg_quality
from dimmagen.dimmers.jpeg_traces import _differences, _possible_differences, former_jpeg_quality


def dark_photo(photo: np.ndarray, level: float = 0.06, noise: float = 2.0) -> np.ndarray:
    """A photo taken too short: its light scaled, with noise in grey levels, uint8 (H, W, 3)."""
    exposed = 255 * (level * (photo / 255.0) ** 2.2) ** (1 / 2.2)
    noisy = exposed + np.random.default_rng(0).normal(2, noise, photo.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


COFFEE = dark_photo(photos.coffee())
COMMON = 32, 30, 31  # a colour that JPEGs can have


def as_jpeg(pixels: np.ndarray, **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", **options)
    return stream.getvalue()


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:4:4"])
@pytest.mark.parametrize("quality", [60, 75, 85, 90, 95, 98, 100])
def test_the_quality_of_the_jpeg_is_found(quality, subsampling):
    found = former_jpeg_quality(decoded(as_jpeg(COFFEE, quality=quality, subsampling=subsampling)))
    assert abs(found - quality) <= 1


@pytest.mark.parametrize(("level", "noise"), [(0.02, 0.7), (0.25, 4.0)])
@pytest.mark.parametrize("photo", [photos.astronaut, photos.chelsea])
def test_darker_and_brighter_photos_with_less_and_more_noise_show_it_too(photo, level, noise):
    pixels = dark_photo(photo(), level, noise)
    assert former_jpeg_quality(pixels) == 0
    assert abs(former_jpeg_quality(decoded(as_jpeg(pixels, quality=88))) - 88) <= 1


def test_a_camera_may_have_tables_of_its_own():
    table = (0.1 * LUMA_TABLE + 2).astype(int).ravel().tolist()
    data = as_jpeg(COFFEE, qtables=[table, table])
    assert abs(former_jpeg_quality(decoded(data)) - jpeg_quality(data)) <= 4


@pytest.mark.parametrize(
    "changed",
    [
        lambda image: image[3:, 5:],
        lambda image: image[:-3, :-5][::-1, ::-1],
        lambda image: np.rot90(image[: 3 - 8, : 1 - 8]),
    ],
    ids=["cropped", "upside down", "turned"],
)
@pytest.mark.parametrize("quality", [70, 92])
def test_cropped_and_turned_images_keep_their_traces(changed, quality):
    assert abs(former_jpeg_quality(changed(decoded(as_jpeg(COFFEE, quality=quality)))) - quality) <= 1


def test_blocks_of_a_smooth_picture_add_up_their_roundings_to_no_steps():
    """Where all rows are equal, there are coefficients of 1.75, which looks like steps of 2."""
    smooth = np.tile(gaussian_filter(photos.coffee().astype(float), (3, 3, 0)), (2, 2, 1))
    assert abs(former_jpeg_quality(decoded(as_jpeg(dark_photo(smooth), quality=60))) - 60) <= 1


def test_of_a_jpeg_that_was_compressed_again_the_last_quality_is_found():
    again = as_jpeg(decoded(as_jpeg(COFFEE, quality=95)), quality=70)
    assert abs(former_jpeg_quality(decoded(again)) - 70) <= 1


def gradient(*slopes: float) -> np.ndarray:
    place = np.arange(400 * 300).reshape(300, 400) / 1000
    return np.stack([place * slope + 2 for slope in slopes], axis=2).astype(np.uint8)


@pytest.mark.parametrize(
    "pixels",
    [
        COFFEE,
        photos.coffee()[::3, ::3],
        np.random.default_rng(0).integers(0, 60, (300, 400, 3), np.uint8),
        np.random.default_rng(0).normal(20, 0.7, (300, 400, 3)).astype(np.uint8),
        gradient(0.3, 0.4, 0.5),
        gradient(1, 1, 1),
        np.full((300, 400, 3), COMMON, np.uint8),
        np.zeros((300, 400, 3), np.uint8),
        np.full((300, 400, 3), 255, np.uint8),
    ],
    ids=["dark", "light", "noise", "little noise", "gradient", "gray", "one colour", "black", "white"],
)
def test_other_images_have_no_traces(pixels):
    assert former_jpeg_quality(pixels) == 0


def test_one_frequent_colour_decides_nothing():
    """R-G of 1 and B-G of 2 are possible in a JPEG; the noise in one per cent of the image is not."""
    pixels = np.full((300, 400, 3), COMMON, np.uint8)
    assert _possible_differences()[_differences(*map(int, COMMON))]
    pixels[:, ::100] = np.random.default_rng(0).integers(20, 40, (300, 4, 3), np.uint8)
    assert former_jpeg_quality(pixels) == 0


def test_a_jpeg_beside_something_else_is_taken_for_no_jpeg():
    framed = np.full((500, 700, 3), (31, 30, 31), np.uint8)
    framed[40:440, 40:640] = decoded(as_jpeg(COFFEE, quality=90))
    assert former_jpeg_quality(framed) == 0


def test_a_few_colours_in_a_gray_picture_are_too_few():
    pixels = np.repeat(COFFEE[..., 1:2], 3, axis=2)
    pixels[200:216, 296:312] = decoded(as_jpeg(COFFEE, quality=90))[200:216, 296:312]
    assert former_jpeg_quality(pixels) == 0


@pytest.mark.parametrize("quality", [60, 100])
def test_a_gray_jpeg_says_nothing(quality):
    gray = decoded(as_jpeg(COFFEE[..., 1], quality=quality))
    assert former_jpeg_quality(np.repeat(gray[..., None], 3, axis=2)) == 0


@pytest.mark.parametrize(
    "edited",
    [
        lambda image: np.asarray(Image.fromarray(image).resize((500, 333), Image.Resampling.LANCZOS)),
        lambda image: np.rint(image * 1.3).clip(0, 255).astype(np.uint8),
    ],
    ids=["smaller", "brighter"],
)
def test_an_edited_jpeg_is_taken_for_no_jpeg(edited):
    assert former_jpeg_quality(edited(decoded(as_jpeg(COFFEE, quality=90)))) == 0


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (7, 100), (8, 8), (17, 12), (32, 32)])
def test_tiny_images_say_little(size):
    height, width = size
    assert former_jpeg_quality(COFFEE[:height, :width]) == 0
    assert former_jpeg_quality(decoded(as_jpeg(COFFEE[:height, :width], quality=90))) in (0, *range(80, 101))


def test_no_picture_of_lol_or_of_the_other_cameras_is_taken_for_a_jpeg(shared_data):
    files = [file for folder in ("lol", "cameras") for file in sorted((shared_data / folder).rglob("*.png"))]
    few = [file for file in files if "crops96" not in file.parts] + files[:100]
    assert len(few) > 150
    found = {file.name: former_jpeg_quality(np.asarray(Image.open(file).convert("RGB"))) for file in few}
    assert {name for name, quality in found.items() if quality} == set()
