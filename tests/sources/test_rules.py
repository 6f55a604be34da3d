import io
import itertools

import numpy as np
import pytest
from PIL import Image
from skimage import data

from dimmagen.images.codec import decode_rgb8
from dimmagen.sources import rules
from dimmagen.sources.rules import Facts


@pytest.mark.parametrize(
    ("rule", "width", "height", "accepted"),
    [
        (rules.coco, 500, 500, True),
        (rules.coco, 640, 499, False),
        (rules.coco, 499, 640, False),
        (rules.clic, 512, 512, True),
        (rules.clic, 2048, 511, False),
        (rules.imagenet, 550, 550, True),
        (rules.imagenet, 1100, 1100, True),
        (rules.imagenet, 550, 1100, True),
        (rules.imagenet, 549, 1000, False),
        (rules.imagenet, 1000, 549, False),
        (rules.imagenet, 1101, 1000, False),
        (rules.imagenet, 1000, 1101, False),
        (rules.lol, 600, 400, True),
        (rules.lol, 63, 400, False),
        (rules.inter4k, 1152, 648, True),
        (rules.folder, 256, 256, True),
        (rules.folder, 1, 1, False),
    ],
)
def test_size_limits_are_inclusive(rule, width, height, accepted):
    verdict = rule(Facts(width, height))
    assert verdict.accepted is accepted
    assert bool(verdict.rule) is not accepted
    assert accepted or f"{width}x{height}" in verdict.reason


def test_a_white_border_is_rejected_from_the_limit_on():
    at, below = rules.WHITE_BORDER_LIMIT, rules.WHITE_BORDER_LIMIT - 1e-6
    assert rules.imagenet(Facts(600, 600, at)).rule == "white-border"
    assert rules.imagenet(Facts(600, 600, below)).accepted
    assert rules.imagenet(Facts(600, 600, None)).accepted


def test_the_white_border_is_the_white_share_of_a_band_of_five_percent():
    pixels = np.zeros((200, 400, 3), np.uint8)
    pixels[:10] = 240  # the whole upper band
    band = 200 * 400 - 180 * 380
    assert rules.white_border(pixels) == pytest.approx(10 * 400 / band, abs=1e-6)
    pixels[:, :, 2] = 239  # not white any more: one channel is darker
    assert rules.white_border(pixels) == 0.0
    pixels[10:-10, 10:-10] = 255  # white in the middle is not a background
    assert rules.white_border(pixels) == 0.0
    assert rules.white_border(np.full((1, 1, 3), 255, np.uint8)) == 1.0


def test_the_rule_finds_objects_on_white_among_photos_after_jpeg():
    """Photos whose middle stands on white as a shop shows it, and whole ones, one with a bright sky."""
    bright = np.clip(data.coffee().astype(int) + 60, 0, 255).astype(np.uint8)
    for photo, on_white in itertools.product((data.astronaut(), data.chelsea(), bright), (True, False)):
        image = Image.fromarray(photo).resize((700, 600))
        if on_white:
            canvas = Image.new("RGB", image.size, (253, 254, 252))
            canvas.paste(image.crop((100, 0, 600, 440)), (100, 80))
            image = canvas
        buffer = io.BytesIO()
        image.save(buffer, "jpeg", quality=70)
        pixels, facts = decode_rgb8(buffer.getvalue())
        verdict = rules.imagenet(Facts(facts.width, facts.height, rules.white_border(pixels)))
        assert verdict.rule == ("white-border" if on_white else "")


def test_the_rule_finds_the_white_backgrounds_among_real_imagenet_photos(shared_data):
    on_white = {"n04487394_9850_trombone.jpg", "n03000684_2211_chain_saw.jpg", "n03759954_microphone.JPEG"}
    rejected = set()
    for path in sorted((shared_data / "sources" / "imagenet").iterdir()):
        pixels, facts = decode_rgb8(path.read_bytes())
        if (
            rules.imagenet(Facts(facts.width, facts.height, rules.white_border(pixels))).rule
            == "white-border"
        ):
            rejected.add(path.name)
    assert rejected == on_white


def label_mask(colours):
    """Areas of 20x20 pixels, each of one of so many colours."""
    areas = np.arange(600).reshape(20, 30) % colours
    palette = np.stack([np.arange(256), 255 - np.arange(256), np.full(256, 90)], axis=1).astype(np.uint8)
    return palette[np.kron(areas, np.ones((20, 20), int))]


GRAY_PHOTO = np.repeat(data.camera()[..., None], 3, axis=2)
STRIPES = np.tile(np.array([90, 200], np.uint8)[None, :, None], (300, 150, 3))
ON_WHITE = np.pad(data.coffee(), ((200, 200), (250, 250), (0, 0)), constant_values=255)


@pytest.mark.parametrize(
    ("pixels", "colours"),
    [
        (label_mask(2), 2),  # as of salient objects
        (label_mask(21), 21),  # as VOC's, stored as RGB
        (label_mask(200), 200),
        (np.full((300, 300, 3), 200, np.uint8), 1),
        (data.coffee(), 0),
        (GRAY_PHOTO, 0),
        (ON_WHITE, 0),
        (np.zeros((300, 1, 3), np.uint8), 0),
        (STRIPES, 0),
        (STRIPES.swapaxes(0, 1), 0),
    ],
)
def test_the_colours_of_flat_areas_are_counted(pixels, colours):
    found = rules.flat_colours(pixels)
    assert found == colours
    assert (rules.palette(found).rule == "palette") == (colours > 1)


def test_a_drawing_with_more_colours_than_a_palette_is_no_label_mask():
    assert rules.palette(256).reason == "has 256 colours in flat areas, as label masks and drawings have"
    assert rules.palette(257).accepted


def test_light_images_of_all_sources_are_no_label_masks(shared_data):
    paths = [*shared_data.glob("sources/*/*.[jJ]*"), *shared_data.glob("lol/dev15/high/*.png")]
    assert [one.name for one in paths if rules.flat_colours(decode_rgb8(one.read_bytes())[0])] == []
    assert len(paths) > 100
