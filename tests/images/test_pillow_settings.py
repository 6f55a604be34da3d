"""What a process has set for Pillow changes no verdict, no pixel, and is there afterwards."""

import ast
import io
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from PIL import GifImagePlugin, Image, ImageFile, PngImagePlugin, TiffImagePlugin

from dimmagen.images.codec import ImageError, decode_rgb8
from dimmagen.images.pillow_settings import default_settings
from dimmagen.images.sheets import PairView, contact_sheet, image_grid

ROOT = Path(__file__).resolve().parents[2] / "dimmagen"
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)


def stored(kind, **options):
    stream = io.BytesIO()
    Image.fromarray(PIXELS).save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("color_managed", [False, True])
@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "JPEG", "WEBP"])
def test_a_cut_image_is_none_where_the_process_lets_pillow_load_it(kind, color_managed, monkeypatch):
    data = stored(kind)
    assert decode_rgb8(data, color_managed=color_managed)[0].shape == PIXELS.shape
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(ImageError):
        decode_rgb8(data[: len(data) * 2 // 3], color_managed=color_managed)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


@pytest.mark.parametrize(
    ("module", "name", "value", "kind"),
    [
        (Image, "MAX_IMAGE_PIXELS", 100, "PNG"),
        (Image, "MAX_IMAGE_PIXELS", None, "PNG"),
        (PngImagePlugin, "MAX_TEXT_CHUNK", 10, "PNG"),
        (PngImagePlugin, "MAX_TEXT_MEMORY", 10, "PNG"),
        (GifImagePlugin, "LOADING_STRATEGY", GifImagePlugin.LoadingStrategy.RGB_ALWAYS, "GIF"),
        (TiffImagePlugin, "READ_LIBTIFF", True, "TIFF"),
    ],
)
def test_a_setting_of_the_process_changes_no_verdict(module, name, value, kind, monkeypatch):
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "long " * 1000, zip=True)
    data = stored(kind, **({"pnginfo": text} if kind == "PNG" else {}))

    def outcome():
        try:
            return decode_rgb8(data)[0].tobytes()
        except ImageError as error:
            return error.rule, error.reason

    before = outcome()
    monkeypatch.setattr(module, name, value)
    with default_settings():
        assert getattr(module, name) != value
    assert outcome() == before
    assert getattr(module, name) == value


def test_a_sheet_is_drawn_whatever_the_process_has_set(monkeypatch):
    grid = image_grid([[("a caption", PIXELS)]])
    sheet = np.asarray(contact_sheet([PairView(PIXELS, PIXELS, "a caption")]))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert np.array_equal(image_grid([[("a caption", PIXELS)]]), grid)
    assert np.array_equal(contact_sheet([PairView(PIXELS, PIXELS, "a caption")]), sheet)


def test_the_settings_are_the_defaults_until_the_last_thread_has_left(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with default_settings():
        with default_settings():
            pass
        assert ImageFile.LOAD_TRUNCATED_IMAGES is False
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


def test_what_the_user_sets_meanwhile_stays(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with default_settings():
        Image.MAX_IMAGE_PIXELS = 200
    assert Image.MAX_IMAGE_PIXELS == 200


def test_all_images_are_opened_with_the_default_settings():
    opened, outside = 0, []
    for path in ROOT.rglob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        blocks = [node for node in nodes if isinstance(node, ast.With)]
        blocks = [one for one in blocks if "default_settings()" in [*map(ast.unparse, one.items)]]
        inside = {node for block in blocks for node in ast.walk(block)}
        calls = [
            node for node in nodes if isinstance(node, ast.Call) and ast.unparse(node.func) == "Image.open"
        ]
        opened += len(calls)
        outside += [path.name for call in calls if call not in inside]
    assert opened > 4
    assert outside == ["codec.py"]  # in a function that is called inside


@pytest.mark.needs("fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_that_is_forked_while_another_thread_is_inside_has_the_users_settings(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    inside, leave = Event(), Event()

    def decode():
        with default_settings():
            inside.set()
            leave.wait()

    with ThreadPoolExecutor(1) as pool:
        thread = pool.submit(decode)
        inside.wait()
        child = os.fork()
        if child == 0:
            kept = ImageFile.LOAD_TRUNCATED_IMAGES
            with default_settings():
                changed = not ImageFile.LOAD_TRUNCATED_IMAGES
            os._exit(0 if kept and changed and ImageFile.LOAD_TRUNCATED_IMAGES else 1)
        leave.set()
        thread.result()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
