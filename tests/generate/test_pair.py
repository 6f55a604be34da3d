"""One pair: its row and files are those of its light image and its draws, and an error names it."""

import errno
import re

import numpy as np
import pytest

from dimmagen.core import hashing
from dimmagen.core.errors import DimmagenError, MachineError, UnavailableError, UsageError
from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.generate.pair import PairSettings, add_labels, dimmer_builder, make_pair, naming, prepare_light
from dimmagen.generate.run_plan import check_pair_settings, plan_dataset
from dimmagen.images import codec
from dimmagen.sources.light_image import LightImage, LightImageRef
from dimmagen.sources.light_images import open_light_images
from tests.dataset_helpers import build_dimmer, write_photos

PIXELS = np.random.default_rng(0).integers(60, 256, (24, 32, 3), np.uint8)
REF = LightImageRef("folder-1", "folder", "a/1.png", "1" * 64, "verbatim", "png", 32, 24, "{}")


@pytest.fixture(scope="module")
def light():
    return LightImage(REF, codec.encode_png(PIXELS), PIXELS)


@pytest.fixture(scope="module")
def dimmer():
    return ImageDimmer.from_profile("linear")


@pytest.mark.parametrize("image_format", ["png", "webp"])
def test_a_pair_has_the_files_of_its_images_and_a_row_that_says_all_of_them(light, dimmer, image_format):
    sample = make_pair(light, dimmer, 3, PairSettings(seed=5, variants=4, image_format=image_format))
    draw = dimmer.draw("folder-1", 3, 5)
    dark = dimmer.dim(PIXELS, draw)
    assert (codec.decode_rgb8(sample.dark)[0] == dark).all()
    assert (sample.dark_extension, sample.light, sample.light_extension) == (image_format, light.data, "png")
    assert (sample.labels, sample.labels_extension) == (None, "")
    assert sample.row == {
        "key": "folder-1-v3",
        "light_key": "folder-1",
        "source": "folder",
        "name": "a/1.png",
        "source_sha256": "1" * 64,
        "transform": "verbatim",
        "crop": "full",
        "profile": "linear",
        "model": "linear",
        "variant": 3,
        "seed": 5,
        "gamma": draw.gamma,
        "tau": draw.tau,
        "exposure": draw.exposure,
        "noise_seed": draw.noise_seed,
        "lightness_before": codec.lightness(PIXELS),
        "lightness_after": codec.lightness(dark),
        "width": 32,
        "height": 24,
        "dark_sha256": hashing.sha256(sample.dark),
        "dark_pixel_sha256": codec.pixel_sha256(dark),
        "light_sha256": hashing.sha256(light.data),
        "light_pixel_sha256": codec.pixel_sha256(PIXELS),
    }


@pytest.mark.parametrize(
    ("change", "returned"),
    [(lambda pixels: pixels[:, 1:], r"uint8 \(24, 31, 3\)"), (np.float32, r"float32 \(24, 32, 3\)")],
)
def test_a_dimmer_that_changes_the_size_or_the_type_is_refused(light, dimmer, monkeypatch, change, returned):
    monkeypatch.setattr(ImageDimmer, "dim", lambda self, pixels, draw: change(pixels))
    with pytest.raises(ValueError, match=rf"the dimmer linear returned {returned}, not uint8 \(24, 32, 3\)"):
        make_pair(light, dimmer, 0, PairSettings())


def test_the_light_format_is_recorded_only_where_it_converts(light):
    names = ["variants", "seed", "samples_per_shard", "image_format"]
    assert [*PairSettings().record()] == names
    assert PairSettings(light_format="jpg").record() == PairSettings().record() | {"light_format": "jpg"}
    assert prepare_light(light, PairSettings()) is light
    assert prepare_light(light, PairSettings(light_format="jpg")).ref.extension == "jpg"
    with pytest.raises(ValueError, match="chosen by the plan"):
        prepare_light(light, PairSettings(light_format="auto"))


def test_a_pair_of_a_run_without_labels_stays_as_it_is_and_another_gets_those_of_its_light_image(
    light, dimmer
):
    sample = make_pair(light, dimmer, 0, PairSettings())
    assert add_labels(sample, {}, "mask.png") is sample
    records = {"folder-1": b'{"boxes": []}', "folder-2": b"{}"}
    labelled = add_labels(sample, records, "labels.json")
    assert (labelled.labels, labelled.labels_extension) == (records["folder-1"], "labels.json")
    assert labelled.row == sample.row


def test_a_range_and_a_ladder_of_gammas_exclude_each_other():
    with pytest.raises(UsageError, match="`ladder` gives the gammas") as caught:
        dimmer_builder("linear", gamma=(0.5, 1.0), ladder=(0.5, 1.0))
    assert (caught.value.code, caught.value.fields) == ("conflict", {"parameters": ("gamma", "ladder")})
    assert dimmer_builder("linear", gamma=(0.5, 0.75))().settings()["gamma_range"] == [0.5, 0.75]
    assert dimmer_builder("linear", ladder=(0.5, 2.0))().settings()["ladder"] == [0.5, 2.0]
    assert dimmer_builder("linear", temperature=0.5)().settings()["temperature"] == 0.5


def error_of(error):
    with pytest.raises(DimmagenError) as caught, naming(REF, 2):
        raise error
    return caught.value


def test_an_error_names_the_pair_its_light_image_and_what_to_do():
    named = error_of(ZeroDivisionError("by\n  zero"))
    assert named.what.startswith(
        "pair folder-1-v2 of folder 'a/1.png' could not be made (ZeroDivisionError: by zero, at "
    )
    assert re.search(r"test_pair\.py:\d+\)$", named.what)
    assert "fix that code" in named.todo
    assert "restore the source" in error_of(FileNotFoundError("gone")).todo
    assert named.code == "failed"
    assert named.fields == {"key": "folder-1-v2", "source": "folder", "name": "a/1.png"}
    own = error_of(DimmagenError("no such file", code="source-changed"))
    assert own.what.endswith("could not be made (no such file)")
    assert own.code == "source-changed"


def test_trouble_of_the_machine_or_the_storage_is_not_said_to_be_of_the_image():
    full = error_of(OSError(errno.ENOSPC, "full"))
    assert isinstance(full, MachineError)
    assert "at pair folder-1-v2 of folder 'a/1.png': No space" in str(full)
    away = UnavailableError("the bucket does not answer")
    assert error_of(away) is away


@pytest.mark.parametrize(
    ("settings", "parameter"),
    [
        ({"variants": 0}, "variants"),
        ({"variants": 100_001}, "variants"),
        ({"samples_per_shard": 0}, "samples_per_shard"),
        ({"samples_per_shard": 2**31 + 1}, "samples_per_shard"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**63}, "seed"),
    ],
)
def test_a_number_out_of_its_range_is_refused_by_name(settings, parameter):
    with pytest.raises(UsageError, match=rf"`{parameter}` is .*: give a number from [01] to ") as caught:
        check_pair_settings(PairSettings(**settings))
    assert caught.value.code == "out-of-range"
    assert caught.value.fields == {"parameter": parameter, "value": settings[parameter]}


def test_the_ends_of_the_ranges_are_allowed_and_unknown_formats_are_not():
    check_pair_settings(PairSettings(variants=1, samples_per_shard=1, seed=0))
    check_pair_settings(PairSettings(variants=100_000, samples_per_shard=2**31, seed=2**63 - 1))
    for light_format in ("auto", "same", "png", "jpg"):
        check_pair_settings(PairSettings(light_format=light_format, image_format="webp"))
    with pytest.raises(UsageError, match=r"there is no image format 'bmp': .*choose one of png, webp"):
        check_pair_settings(PairSettings(image_format="bmp"))
    with pytest.raises(UsageError, match=r"no light format 'gif': .*choose one of auto, same, png, jpg"):
        check_pair_settings(PairSettings(light_format="gif"))


def test_more_pairs_than_a_set_can_hold_are_refused_before_anything_is_made(tmp_path, monkeypatch):
    lights = open_light_images([str(write_photos(tmp_path / "photos", 2))])
    monkeypatch.setattr("dimmagen.generate.run_plan.MAX_PAIRS", 6)
    assert plan_dataset(lights, build_dimmer, PairSettings(variants=3)).pairs == 6
    with pytest.raises(UsageError, match="2 light images x 4 variants are more than 6 pairs") as caught:
        plan_dataset(lights, build_dimmer, PairSettings(variants=4))
    assert caught.value.code == "out-of-range"
    assert caught.value.fields == {"parameter": "variants", "value": 4}
