"""What is expensive is done once a pass: opening, decoding, hashing and encoding files."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image
from skimage import data

from dimmagen.core import hashing
from dimmagen.core.storage import listing
from dimmagen.dimmers import profile, real_pairs
from dimmagen.dimmers.profile import open_profile
from dimmagen.images import codec
from tests.cli.quick_training import QUICK
from tests.commands import exit_code
from tests.dataset_helpers import write_photos


@pytest.fixture
def count(monkeypatch):
    """Counts the calls of a function by what is read from their first argument."""

    def counting(module, name, told=lambda argument: argument) -> Counter:
        calls, real = Counter(), getattr(module, name)

        def counted(argument, *rest, **options):
            calls[told(argument)] += 1
            return real(argument, *rest, **options)

        monkeypatch.setattr(module, name, counted)
        return calls

    return counting


def command(*words):
    assert exit_code(*words) == 0


@pytest.fixture
def photos(tmp_path):
    """A PNG and a JPEG that are kept as they are, and a BMP that is stored as PNG."""
    write_photos(tmp_path / "photos", 2)
    (tmp_path / "photos/tiny.png").unlink()
    Image.fromarray(data.astronaut()[:260, :300]).save(tmp_path / "photos/third.bmp")
    return tmp_path / "photos"


def test_dim_opens_and_hashes_its_profile_once(photos, tmp_path, count):
    files = {
        path.read_bytes(): path.name for path in open_profile("lol3").folder.rglob("*") if path.is_file()
    }
    opened, hashed = count(profile, "_read"), count(hashing, "sha256", files.get)
    words = ("--source", photos, "--executor", "serial", "--shards", tmp_path / "out")
    command("dim", "--profile", "lol3", *words)
    assert list(opened.values()) == [1]
    del hashed[None]  # photos and images
    assert hashed
    assert set(hashed.values()) == {1}


def test_a_data_set_is_made_again_with_a_profile_opened_once(photos, tmp_path, count):
    source = ("--source", photos, "--executor", "serial")
    command("dim", "--profile", "lol3", *source, "--shards", tmp_path / "out")
    opened = count(profile, "_read")
    command("reproduce", tmp_path / "out", *source, "--shards", tmp_path / "again")
    assert list(opened.values()) == [1]


def test_a_photo_is_read_once_for_its_verdict_and_once_for_its_pairs(photos, tmp_path, count):
    files = {path.read_bytes(): path.name for path in photos.iterdir()}
    decoded, hashed = count(codec, "decode_rgb8", files.get), count(hashing, "sha256", files.get)
    encoded = count(codec, "encode_png", lambda pixels: pixels.shape)
    words = ("--executor", "serial", "--shards", tmp_path / "out", "--light-format", "same")
    command("dim", "--profile", "linear", "--source", photos, *words)  # without the cost of a conversion
    as_they_are = {"photo00.png": 3, "photo01.jpg": 3}  # once more for the contact sheet, out of the shard
    wanted = {**as_they_are, "third.bmp": 2}
    assert {name: decoded[name] for name in wanted} == wanted
    assert {name: hashed[name] for name in wanted} == wanted
    assert encoded == {(260, 300, 3): 1}  # the light picture of the BMP; dark ones are encoded elsewhere


def test_a_later_run_decodes_a_photo_once_because_its_verdict_is_kept(photos, tmp_path, count, monkeypatch):
    monkeypatch.setenv("DIMMAGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(listing, "_UNSETTLED_NS", 0)  # files may be taken for unchanged at once
    words = ("dim", "--profile", "linear", "--source", photos, "--executor", "serial")
    words = (*words, "--light-format", "same", "--shards")
    command(*words, tmp_path / "first")
    files = {path.read_bytes(): path.name for path in photos.iterdir()}
    decoded = count(codec, "decode_rgb8", files.get)
    command(*words, tmp_path / "later", "--seed", 1)
    wanted = {
        "photo00.png": 2,
        "photo01.jpg": 2,
        "third.bmp": 1,
    }  # those kept as they are: also for the sheet
    assert {name: decoded[name] for name in wanted} == wanted


def test_a_verdict_alone_encodes_nothing(photos, count):
    encoded = count(codec, "encode_png", lambda pixels: pixels.shape)
    command("build-mixhq", "--source", f"folder={photos}", "--dry-run")
    assert not encoded


def test_validation_pairs_are_read_once(pair_set, tmp_path, count):
    for side, divisor in (("low", 9), ("high", 1)):
        (tmp_path / "pairs" / side).mkdir(parents=True)
        for index, image in enumerate((data.astronaut(), data.chelsea())):
            pixels = np.ascontiguousarray(image[50:114, 60:156] // divisor)
            (tmp_path / "pairs" / side / f"{index}.png").write_bytes(codec.encode_png(pixels))
    read = count(real_pairs, "_read", lambda path: path.relative_to(tmp_path / "pairs").as_posix())
    words = ("--shards", pair_set, "--validate", tmp_path / "pairs", "--out", tmp_path / "run", *QUICK)
    command("train", *words, "--iterations", 1)
    assert read == {"low/0.png": 1, "low/1.png": 1, "high/0.png": 1, "high/1.png": 1}
