"""Pairs of tiny data sets that are made again, and dimmers that are built from what a manifest records."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from dimmagen.core import hashing, keyed_random
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.dataset.reader import open_pairs
from dimmagen.dimmers.closed_form import LinearModel
from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.dimmers.profile import open_profile
from dimmagen.generate import from_manifest
from dimmagen.generate import replay as replaying
from dimmagen.generate.from_manifest import dimmer_from_manifest, settings_from_manifest
from dimmagen.generate.pair import PairSettings
from dimmagen.generate.replay import (
    Replay,
    chosen_pairs,
    environment_note,
    originals,
    replayer,
)
from dimmagen.images import codec
from tests.tiny_set import make_tiny, tiny_lights


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photos of two file types, their data set, and one whose light images became JPEG."""
    folder = tmp_path_factory.mktemp("replayed")
    lights = tiny_lights(folder / "photos", 4)
    make_tiny(lights, folder / "out", variants=2)
    make_tiny(lights, folder / "jpeg", light_format="jpg", image_format="webp")
    return folder


def stages(pairs, *sources, profile=None):
    again = replayer(pairs, [*map(str, sources)], profile)
    return [again(row).stage for row in pairs.rows()]


@pytest.mark.parametrize(("name", "count"), [("out", 8), ("jpeg", 4)])
def test_every_pair_is_identical_from_the_shards_and_from_the_photos(folder, name, count):
    pairs = open_pairs(folder / name)
    assert stages(pairs) == [""] * count
    assert stages(pairs, folder / "photos") == [""] * count
    assert stages(pairs, folder / "photos", profile="linear") == [""] * count


def test_a_photo_that_was_changed_is_told_with_both_hashes(folder, tmp_path):
    photos = shutil.copytree(folder / "photos", tmp_path / "photos")
    data = (photos / "0.png").read_bytes() + b"more"
    (photos / "0.png").write_bytes(data)
    pairs = open_pairs(folder / "out")
    again = replayer(pairs, [str(photos)])
    for row in pairs.rows():
        expected = Replay(row["key"])
        if row["name"] == "0.png":
            detail = f"source_sha256: {row['source_sha256']} → {hashing.sha256(data)}"
            expected = Replay(row["key"], "source bytes", detail)
        assert again(row) == expected
        assert again(row).identical is (row["name"] != "0.png")


def test_of_two_photos_of_one_name_the_recorded_one_is_taken_and_else_the_first(folder, tmp_path):
    for name in "ab":
        shutil.copytree(folder / "photos", tmp_path / name)
    (tmp_path / "a/0.png").write_bytes(b"another")
    read = originals(open_pairs(folder / "out"), [str(tmp_path / "a"), str(tmp_path / "b")])
    row = next(row for row in open_pairs(folder / "out").rows() if row["name"] == "0.png")
    found = read(row)
    assert (found.data, found.is_light, found.ref) == ((tmp_path / "b/0.png").read_bytes(), False, None)
    (tmp_path / "b/0.png").write_bytes(b"a third")
    assert read(row).data == b"another"


@pytest.mark.needs("fifo")
def test_what_cannot_be_read_beside_the_photos_hides_none_of_them(folder, tmp_path):
    photos = shutil.copytree(folder / "photos", tmp_path / "photos")
    os.mkfifo(photos / "00.png")
    assert set(stages(open_pairs(folder / "out"), photos)) == {""}


def test_a_photo_that_is_gone_and_a_source_that_is_unknown_are_named(folder, tmp_path):
    pairs = open_pairs(folder / "out")
    row = next(row for row in pairs.rows() if row["name"] == "0.png")
    (tmp_path / "photos").mkdir()
    shutil.copy(folder / "photos/1.jpg", tmp_path / "photos")
    with pytest.raises(DimmagenError, match=r"photos has no 0\.png of source folder") as caught:
        originals(pairs, [str(tmp_path / "photos")])(row)
    assert caught.value.code == "source-changed"
    assert caught.value.fields == {"source": "folder", "name": "0.png"}
    unknown = {**row, "source": "moon"}
    of_photo = replaying.Original((folder / "photos/0.png").read_bytes(), is_light=False)
    dimmer = dimmer_from_manifest(pairs.manifest.settings)()
    with pytest.raises(DimmagenError, match="is from an unknown source 'moon'") as caught:
        replaying.replay_pair(pairs, unknown, dimmer, lambda row: of_photo)
    assert caught.value.code == "unknown-name"
    assert caught.value.fields == {"kind": "source", "name": "moon"}


def test_the_light_images_of_a_mixhq_are_found_by_their_keys(folder, monkeypatch, tmp_path):
    """As a MixHQ's own reader gives them: files that are stored, with their hash."""
    lights = tiny_lights(tmp_path / "stored", 4)
    monkeypatch.setattr(replaying, "is_mixhq", lambda path: path == "mixhq")
    monkeypatch.setattr(replaying, "MixHQLightImages", {"mixhq": lights}.__getitem__)
    for name in ("out", "jpeg"):
        assert set(stages(open_pairs(folder / name), "mixhq")) == {""}
    jpeg, out = open_pairs(folder / "jpeg"), open_pairs(folder / "out")
    row = next(row for row in jpeg.rows() if row["name"] == "0.png")
    found = originals(jpeg, ["mixhq"])(row)
    assert (found.is_light, found.ref) == (True, lights.listed[0])
    assert originals(out, ["mixhq"])(row | {"light_member": "a.b.png"}).ref is None
    with pytest.raises(UsageError, match="cannot be combined") as caught:
        originals(out, ["photos", "mixhq"])
    assert (caught.value.code, caught.value.fields) == ("conflict", {"parameter": "sources"})
    with pytest.raises(DimmagenError, match="mixhq has no light image folder-0") as caught:
        originals(out, ["mixhq"])({**row, "light_key": "folder-0"})
    assert (caught.value.code, caught.value.fields) == (
        "other-settings",
        {"path": "mixhq", "name": "folder-0"},
    )
    Path(json.loads(lights.listed[0].locator)["path"]).write_bytes(b"changed")
    again = replayer(jpeg, ["mixhq"])(row)
    assert again.stage == "source bytes"
    assert again.detail == f"light_sha256 of MixHQ: {lights.listed[0].sha256} → {hashing.sha256(b'changed')}"


def test_a_light_image_that_is_not_the_recorded_one_is_told_as_such(folder, monkeypatch):
    pairs = open_pairs(folder / "out")
    monkeypatch.setattr(
        replaying, "originals", lambda *_: lambda row: replaying.Original(b"x", is_light=True)
    )
    row = pairs.row(0)
    again = replayer(pairs)(row)
    assert again == Replay(
        row["key"], "source bytes", f"light_sha256: {row['light_sha256']} → {hashing.sha256(b'x')}"
    )


def test_a_decoder_that_fails_and_a_dimmer_that_computes_otherwise_are_told_with_their_stage(
    folder, monkeypatch
):
    pairs = open_pairs(folder / "out")
    row = pairs.row(0)
    dim = LinearModel.dim
    monkeypatch.setattr(LinearModel, "dim", lambda self, light, draw: dim(self, light, draw) ^ np.uint8(1))
    again = replayer(pairs)(row)
    assert (again.key, again.stage, again.identical) == (row["key"], "dark pixels", False)
    assert again.detail.startswith(f"lightness_after: {row['lightness_after']} → ")

    def fail(data):
        raise codec.ImageError("cannot be decoded", "because")

    again = replayer(pairs)
    data = originals(pairs)(row)
    monkeypatch.setattr(replaying, "originals", lambda *_: lambda row: data)
    monkeypatch.setattr(codec, "decode_rgb8", fail)
    failed = again(row)
    assert (failed.key, failed.stage) == (row["key"], "decoded pixels")
    assert "because" in failed.detail


def test_a_choice_of_pairs_stays_the_one_of_earlier_versions(folder):
    pairs = open_pairs(folder / "out")
    backwards = replace(pairs, table=pairs.table.take(list(range(len(pairs)))[::-1]))
    keys = [row["key"] for row in backwards.rows()]
    expected = sorted(keys, key=lambda key: keyed_random.rank(0, key, "replay"))[:3]
    assert [row["key"] for row in chosen_pairs(backwards, 3)] == sorted(expected, key=keys.index)


def test_another_machine_is_described_and_the_same_one_is_not(folder):
    manifest = open_pairs(folder / "out").manifest
    assert environment_note(manifest) == ""
    other = manifest.model_copy(
        update={"environment": {**manifest.environment, "machine": "vax", "device": "x"}}
    )
    lines = environment_note(other).split("\n    ")
    assert lines[0] == "\nThis machine differs from the one that made the data set:"
    assert [line.partition(" → ")[0] for line in lines[1:]] == [
        "environment.device: x",
        "environment.machine: vax",
    ]


@pytest.mark.parametrize(
    ("profile", "options"),
    [
        ("linear", {"ladder": (0.5, 2.0)}),
        ("linear", {"group_by": "clip"}),
        ("linear", {"gamma_range": (0.25, 0.75)}),
        ("linear", {"temperature": 0.5}),
        ("lol3", {"model": "mdn"}),
        ("lol3", {"without": ("tails", "jpeg")}),
        ("lol3", {"brightness": "as-pairs"}),
    ],
)
def test_a_dimmer_is_built_with_every_setting_that_was_recorded(profile, options):
    recorded = ImageDimmer.from_profile(profile, **options).settings()
    settings = {**json.loads(json.dumps(recorded)), **PairSettings(seed=3).record()}
    assert dimmer_from_manifest(settings)().settings() == recorded
    assert settings_from_manifest(settings) == PairSettings(seed=3)
    light = {"light_format": "jpg", "variants": 4, "samples_per_shard": 7, "image_format": "webp"}
    assert settings_from_manifest({**settings, **light}) == PairSettings(seed=3, **light)


def test_what_a_manifest_records_and_this_machine_does_not_have_is_named(folder):
    settings = open_pairs(folder / "out").manifest.settings
    with pytest.raises(DimmagenError, match="profile linear is not the one that") as caught:
        dimmer_from_manifest({**settings, "model_version": "x", "profile_fingerprint": "0" * 64})
    assert f"profile_fingerprint: {'0' * 64} → " in caught.value.what
    assert "gamma_range" not in caught.value.what
    assert (caught.value.code, caught.value.fields) == ("other-settings", {"name": "linear"})
    with pytest.raises(DimmagenError, match=r"cannot be used: gamma_range\.1: ") as caught:
        settings_from_manifest({**settings, "gamma_range": [1.0, -1.0]})
    assert (caught.value.code, caught.value.fields) == ("damaged", {"name": "gamma_range.1"})
    merged = {"derived_from": [{}], "profile": "a + b"}
    for use in (dimmer_from_manifest, settings_from_manifest):
        with pytest.raises(UsageError, match="settings of several sets"):
            use(merged)
    with pytest.raises(DimmagenError, match="cannot be used: gamma_range: "):
        settings_from_manifest({name: value for name, value in settings.items() if name != "gamma_range"})
    assert settings_from_manifest({**settings, "derived_from": [{}]}).variants == 2


def test_a_subset_of_a_set_is_replayed_as_the_set_is(folder):
    pairs = open_pairs(folder / "out")
    part = replace(pairs, table=pairs.table.slice(3, 2))
    assert stages(part) == ["", ""]


def test_the_version_of_a_profile_is_the_recorded_one():
    first = open_profile("lol3@1").fingerprint
    recorded = ImageDimmer.from_profile(open_profile("lol3", first)).settings()
    settings = {**json.loads(json.dumps(recorded)), **PairSettings().record()}
    assert recorded["profile"] == "lol3"
    assert recorded["profile_fingerprint"] == first
    assert dimmer_from_manifest(settings)().settings() == recorded


def test_the_recorded_behaviour_of_a_model_is_asked_for(folder, monkeypatch):
    def build(*_, **options):
        asked.append(options["compat"])
        return lambda: SimpleNamespace(settings=dict)

    asked, settings = [], open_pairs(folder / "out").manifest.settings
    monkeypatch.setattr(from_manifest, "DimmerBuilder", build)
    for recorded in ({}, {"compat": "reference"}):
        dimmer_from_manifest({**settings, **recorded})
    assert asked == ["default", "reference"]


def test_a_replayer_looks_for_the_profile_and_the_photos_where_it_is_told(folder, monkeypatch):
    asked = []
    monkeypatch.setattr(replaying, "dimmer_from_manifest", lambda *given: asked.append(given) or dict)
    monkeypatch.setattr(replaying, "originals", lambda *given: asked.append(given))
    pairs = open_pairs(folder / "out")
    replayer(pairs, ["a"], "profile")
    assert asked == [(pairs.manifest.settings, "profile"), (pairs, ["a"])]


@pytest.mark.needs("links")
def test_photos_are_found_behind_links(folder, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/linked").symlink_to(folder / "photos", target_is_directory=True)
    row = open_pairs(folder / "out").row(0)
    read = originals(open_pairs(folder / "out"), [str(tmp_path / "photos")])
    assert (
        read({**row, "name": f"linked/{row['name']}"}).data == (folder / "photos" / row["name"]).read_bytes()
    )


@pytest.mark.parametrize(("ending", "frame"), [("", ""), ("-first", "first"), ("-last", "last")])
def test_a_light_image_is_made_from_the_frame_that_its_key_names(ending, frame, folder, monkeypatch):
    def pixels(ref, data, frame):
        noted.append((ref.transform, data, frame))
        raise codec.ImageError("cannot be decoded", "because")

    noted, pairs, data = [], open_pairs(folder / "out"), b"a clip"
    monkeypatch.setattr(replaying, "light_pixels", pixels)
    clip = {"source_sha256": hashing.sha256(data), "light_key": f"folder-{hashing.sha256(data)[:16]}{ending}"}
    row = {**pairs.row(0), **clip, "transform": "frame-x0.3"}
    dimmer = dimmer_from_manifest(pairs.manifest.settings)()
    original = replaying.Original(data, is_light=False)
    assert replaying.replay_pair(pairs, row, dimmer, lambda row: original).stage == "decoded pixels"
    assert noted == [("frame-x0.3", data, frame)]


def test_a_photo_that_became_another_light_image_is_replayed_from_its_own_bytes(tmp_path):
    lights = tiny_lights(tmp_path / "photos", 1)
    [ref] = lights.listed
    lights.listed[:] = [replace(ref, transform="crop8", height=8, width=8)]
    for name, options in {"same": {}, "jpeg": {"light_format": "jpg"}}.items():
        make_tiny(lights, tmp_path / name, **options)
        pairs = open_pairs(tmp_path / name)
        assert pairs.row(0)["transform"] == ("crop8" if name == "same" else "crop8+jpeg")
        assert stages(pairs, tmp_path / "photos") == [""]


def test_a_share_of_the_pairs_is_replayed_with_the_photos_and_the_profile_that_are_given(folder, monkeypatch):
    def again(*given):
        assert given == (pairs, ["photos"], "profile")
        return lambda row: row["key"]

    pairs, begun, done = open_pairs(folder / "out"), [], []
    monkeypatch.setattr(replaying, "replayer", again)
    told = {"on_start": begun.append, "on_pair": lambda: done.append(1)}
    found = replaying.replay_some(pairs, 3, ["photos"], "profile", **told)
    assert found == [row["key"] for row in chosen_pairs(pairs, 3)]
    assert (begun, len(done)) == ([3], 3)
