"""What a light format does to one light image, and what it costs for many of them."""

from dataclasses import replace

import numpy as np
import pytest

from dimmagen.core import keyed_random
from dimmagen.generate.light_format import (
    LightConversion,
    choose_light_format,
    convert_light,
    measure_conversion,
    without_conversion,
)
from dimmagen.images import codec
from dimmagen.sources.light_image import LightImage, load_light_image
from tests.tiny_set import tiny_lights


@pytest.mark.parametrize(
    ("asked", "extensions", "chosen"),
    [
        ("auto", ["jpg"], "same"),
        ("auto", ["png"], "same"),
        ("auto", ["webp"], "same"),
        ("auto", ["jpg", "png"], "png"),
        ("auto", ["jpg", "webp"], "png"),
        ("same", ["jpg", "png"], "same"),
        ("png", ["png"], "same"),
        ("png", ["jpg"], "png"),
        ("jpg", ["jpg"], "same"),
        ("jpg", ["jpg", "png"], "jpg"),
    ],
)
def test_nothing_is_converted_without_need(asked, extensions, chosen):
    assert choose_light_format(asked, extensions) == chosen


@pytest.fixture(scope="module")
def lights(tmp_path_factory) -> list[LightImage]:
    """A PNG and a JPEG."""
    return list(map(load_light_image, tiny_lights(tmp_path_factory.mktemp("lights"), 2)))


def test_a_light_image_of_the_wanted_type_is_left_as_it_is(lights):
    png, jpeg = lights
    for light in lights:
        assert convert_light(light, "same") is light
    assert convert_light(png, "png") is png
    assert convert_light(jpeg, "jpg") is jpeg


@pytest.mark.parametrize(("transform", "after"), [("verbatim", "lossless"), ("exif", "exif+lossless")])
def test_as_png_a_light_image_keeps_its_pixels(transform, after, lights):
    light = replace(lights[1], ref=replace(lights[1].ref, transform=transform))
    stored = convert_light(light, "png")
    assert stored.ref == replace(light.ref, extension="png", transform=after)
    assert np.array_equal(codec.decode_rgb8(stored.data)[0], light.pixels)
    assert np.array_equal(stored.pixels, light.pixels)


@pytest.mark.parametrize(("transform", "after"), [("verbatim", "jpeg"), ("gray", "gray+jpeg")])
def test_as_jpeg_a_light_image_has_the_pixels_of_its_file(transform, after, lights):
    light = replace(lights[0], ref=replace(lights[0].ref, transform=transform))
    stored = convert_light(light, "jpg")
    assert stored.ref == replace(light.ref, extension="jpg", transform=after)
    assert stored.data == codec.encode_jpeg(light.pixels)
    assert np.array_equal(codec.decode_rgb8(stored.data)[0], stored.pixels)
    assert not np.array_equal(stored.pixels, light.pixels)
    assert without_conversion(after) == transform


@pytest.mark.parametrize("transform", ["verbatim", "gray", "lossless", "exif+lossless", "jpeg+gray"])
def test_a_transform_without_a_conversion_to_jpeg_is_left_as_it_is(transform):
    assert without_conversion(transform) == transform


def test_what_is_not_converted_costs_nothing():
    counts = {"png": 3, "jpg": 2}
    conversion = measure_conversion([], counts, "same")
    assert conversion == LightConversion("same", counts, 0, 0, 0, 0)
    assert conversion.is_mixed
    assert not LightConversion("same", {"png": 3}, 0).is_mixed
    assert not LightConversion("png", counts, 2).is_mixed
    grown = measure_conversion([], {"png": 3}, "png")  # a set of PNG that grows by photos that are PNG
    assert grown == LightConversion("png", {"png": 3}, 0, 0, 0, 0)


def test_the_cost_is_estimated_from_eight_light_images_by_their_keys(tmp_path):
    lights, loaded = tiny_lights(tmp_path / "lights", 20), []

    def load(ref):
        loaded.append(ref)
        return load_light_image(ref)

    jpegs = [ref for ref in lights if ref.extension == "jpg"]
    counts = {"png": 9, "jpg": 10}
    conversion = measure_conversion(lights, counts, "png", load)
    expected = sorted(jpegs, key=lambda ref: keyed_random.rank(0, ref.key, "light format"))[:8]
    assert loaded == expected
    before = sum(len(load_light_image(ref).data) for ref in expected)
    after = sum(len(convert_light(load_light_image(ref), "png").data) for ref in expected)
    assert conversion == LightConversion("png", counts, 10, round(before * 1.25), round(after * 1.25), 8)
    again = measure_conversion(lights, counts, "png")  # reads them where they are
    assert again == conversion
    assert measure_conversion(jpegs[:2], {"jpg": 2}, "png").measured == 2


def test_the_cost_of_more_light_images_is_in_proportion():
    some = LightConversion("png", {"png": 10, "jpg": 30}, 30, 1000, 3000, 8)
    assert some.scaled_to(100) == LightConversion("png", {"png": 25, "jpg": 75}, 75, 2500, 7500, 8)
    assert some.scaled_to(40) == some
    assert LightConversion("png", {"jpg": 3}, 3, 10, 10).scaled_to(1).bytes_after == 3
