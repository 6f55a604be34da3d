"""A pair that is made again is identical, or the first stage that differs is reported."""

import io
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from skimage import data

from dimmagen import build_mixhq
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.dataset.manifest import Manifest
from dimmagen.dataset.reader import open_pairs
from dimmagen.dimmers.closed_form import LinearModel
from dimmagen.dimmers.dimmer import DimmerBuilder, ImageDimmer
from dimmagen.dimmers.profile import open_profile
from dimmagen.generate import pair as pair_making
from dimmagen.generate.from_manifest import dimmer_from_manifest, settings_from_manifest
from dimmagen.generate.pair import PairSettings
from dimmagen.generate.replay import chosen_pairs, originals, replay_pair
from dimmagen.generate.run import Execution, generate_dataset
from dimmagen.images import codec
from dimmagen.sources.light_images import open_light_images
from tests.dataset_helpers import build_dimmer, make, write_photos


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photos that are kept as they are, one gray photo that is converted, and their data set."""
    folder = tmp_path_factory.mktemp("replayed")
    write_photos(folder / "photos", 3)
    Image.fromarray(data.camera()).save(folder / "photos/gray.png")
    make(folder / "photos", folder / "out", variants=2)
    return folder


@pytest.fixture
def photos(folder, tmp_path):
    """A copy of the photos that a test may change."""
    return shutil.copytree(folder / "photos", tmp_path / "photos")


def replays(out, *sources):
    pairs = open_pairs(out)
    dimmer = dimmer_from_manifest(pairs.manifest.settings)()
    original_of = originals(pairs, list(map(str, sources)))
    return {row["key"]: replay_pair(pairs, row, dimmer, original_of) for row in pairs.rows()}


def stages(out, *sources):
    return {replay.stage for replay in replays(out, *sources).values()}


def test_every_pair_is_identical_from_the_shards_the_photos_and_mixhq(folder, tmp_path):
    assert len(replays(folder / "out")) == 8
    assert stages(folder / "out") == {""}
    assert stages(folder / "out", folder / "photos") == {""}
    build_mixhq([f"folder={folder / 'photos'}"], tmp_path / "mixhq", samples_per_shard=3)
    assert stages(folder / "out", tmp_path / "mixhq") == {""}


@pytest.mark.parametrize("origin", ["made", "real"])
def test_frames_of_a_clip_are_found_again_by_their_key(origin, clips, request, tmp_path):
    if origin == "real":
        clips = request.getfixturevalue("shared_data") / "sources" / "inter4k"
    source = f"inter4k={clips}"
    out = str(tmp_path / "out")
    generate_dataset(open_light_images([source]), build_dimmer, out, PairSettings(), Execution("serial"))
    assert len(replays(out)) > 2
    assert stages(out, source) == {""}


def test_a_photo_that_was_changed_differs_in_its_source_bytes(folder, photos):
    name = "photo01.jpg"
    changed = bytearray((photos / name).read_bytes())
    changed[-5] ^= 1
    (photos / name).write_bytes(changed)
    results = replays(folder / "out", photos)
    rows = open_pairs(folder / "out").rows()
    assert {row["name"] for row in rows if not results[row["key"]].identical} == {name}
    assert {replay.stage for replay in results.values()} == {"", "source bytes"}


def test_a_decoder_that_gives_other_pixels_is_told_as_such(folder, monkeypatch):
    decode = codec.decode_rgb8

    def brighter(data, **options):
        pixels, facts = decode(data, **options)
        return pixels // 2, facts

    monkeypatch.setattr(codec, "decode_rgb8", brighter)
    assert stages(folder / "out", folder / "photos") == {"decoded pixels"}
    assert stages(folder / "out") == {"decoded pixels"}


def test_a_decoder_that_fails_is_reported_as_such(folder, monkeypatch):
    monkeypatch.setattr(Image, "open", lambda *_, **__: 1 / 0)
    results = replays(folder / "out")
    assert {replay.stage for replay in results.values()} == {"decoded pixels"}
    assert all("cannot be decoded" in replay.detail for replay in results.values())


def test_other_draws_are_told_with_both_values(folder, monkeypatch):
    draw = ImageDimmer.draw
    monkeypatch.setattr(
        ImageDimmer, "draw", lambda self, key, variant, seed: draw(self, key, variant + 1, seed)
    )
    results = replays(folder / "out")
    assert {replay.stage for replay in results.values()} == {"draws"}
    assert all(replay.detail.startswith("gamma: ") for replay in results.values())


def test_a_dimmer_that_computes_otherwise_is_told_as_such(folder, monkeypatch):
    dim = LinearModel.dim
    monkeypatch.setattr(LinearModel, "dim", lambda self, light, draw: dim(self, light, draw) + np.uint8(1))
    assert stages(folder / "out") == {"dark pixels"}


def test_another_encoder_is_told_from_another_image(folder, monkeypatch):
    def pillow_png(pixels):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        return buffer.getvalue()

    monkeypatch.setitem(pair_making.IMAGE_FORMATS, "png", pillow_png)
    assert stages(folder / "out") == {"encoded bytes"}


def test_a_photo_that_is_gone_is_named(folder, photos):
    (photos / "gray.png").unlink()
    with pytest.raises(DimmagenError, match=r"has no gray\.png of source folder"):
        replays(folder / "out", photos)


def test_a_damaged_shard_is_reported_before_anything_is_made(folder, tmp_path):
    out = shutil.copytree(folder / "out", tmp_path / "out")
    shard = out / "shards/train-00000.tar"
    damaged = bytearray(shard.read_bytes())
    damaged[2000] ^= 1
    shard.write_bytes(damaged)
    with pytest.raises(DimmagenError, match=r"the bytes of .* are not those of its row"):
        replays(out, folder / "photos")


def test_a_data_set_of_an_earlier_version_of_a_bundled_profile_is_replayed(folder, tmp_path):
    build = DimmerBuilder("lol3", open_profile("lol3@1").fingerprint)
    lights, out = open_light_images([f"folder={folder / 'photos'}"]), str(tmp_path / "out")
    generate_dataset(lights, build, out, PairSettings(), Execution("serial"))
    assert Manifest.load(out).settings["profile"] == "lol3"
    assert stages(out, folder / "photos") == {""}


def test_another_profile_under_the_recorded_name_is_refused(folder, monkeypatch):
    settings = Manifest.load(str(folder / "out")).settings
    with pytest.raises(DimmagenError, match=r"not the one that the data set was made with .*fingerprint"):
        dimmer_from_manifest({**settings, "profile_fingerprint": "0" * 64})
    with pytest.raises(UsageError, match="there is no profile 'unheard"):
        dimmer_from_manifest({**settings, "profile": "unheard"})


@pytest.mark.parametrize(
    "change",
    [
        {"profile": "/etc"},
        {"profile": "../profile"},
        {"profile": 3},
        {"gamma_range": "0.3:2.0"},
        {"gamma_range": [1.0]},
        {"gamma_range": [-1.0, float("inf")]},
        {"temperature": None},
        {"variants": 0},
        {"seed": 2**63},
        {"samples_per_shard": "many"},
        {"image_format": "exe"},
        {"without": ["response"]},
        {"brightness": "blinding"},
        {"compat": 1},
    ],
)
def test_settings_of_an_untrusted_manifest_are_checked_before_they_are_used(change, folder):
    settings = {**Manifest.load(str(folder / "out")).settings, **change}
    for use in (dimmer_from_manifest, settings_from_manifest):
        with pytest.raises(DimmagenError, match=f"settings cannot be used: {next(iter(change))}"):
            use(settings)


def test_settings_that_are_missing_are_named(folder):
    settings = Manifest.load(str(folder / "out")).settings
    for name in ("profile", "model", "seed"):
        rest = {other: value for other, value in settings.items() if other != name}
        with pytest.raises(DimmagenError, match=name):
            dimmer_from_manifest(rest)


@pytest.mark.parametrize(
    ("profile", "model", "more"),
    [
        ("lol3", "mdn", {}),
        ("lol3", "camera", {"without": ("tails", "jpeg")}),
        ("lol3", "camera", {"brightness": "as-pairs"}),
        ("gamma", None, {}),
    ],
)
def test_every_kind_of_dimmer_is_built_from_its_settings(profile, model, more):
    if "brightness" not in more:
        more = {"gamma_range": (0.5, 1.0), **more}
    dimmer = ImageDimmer.from_profile(profile, model=model, temperature=0.5, **more)
    settings = {**dimmer.settings(), **vars_of(PairSettings())}
    assert dimmer_from_manifest(json.loads(json.dumps(settings)))().settings() == dimmer.settings()


def vars_of(settings):
    return {name: getattr(settings, name) for name in settings.__slots__}


def test_the_choice_of_pairs_is_fixed_and_grows_with_its_size(folder):
    pairs = open_pairs(folder / "out")
    keys = [[row["key"] for row in chosen_pairs(pairs, count)] for count in (2, 2, 5, 8)]
    assert keys[0] == keys[1]
    assert set(keys[0]) < set(keys[2])
    assert keys[3] == [row["key"] for row in pairs.rows()]


def test_the_choice_of_pairs_depends_on_their_keys_and_not_on_their_order(folder):
    pairs = open_pairs(folder / "out")
    backwards = replace(pairs, table=pairs.table.take(list(range(len(pairs)))[::-1]))
    chosen, again = ([row["key"] for row in chosen_pairs(one, 5)] for one in (pairs, backwards))
    assert chosen == again[::-1]
    assert chosen != [row["key"] for row in pairs.rows()[:5]]
