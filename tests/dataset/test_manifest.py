"""What a manifest says of a run: its fingerprint, its command, what changed, and the bytes of the file."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.dataset.census import census
from dimmagen.dataset.command_line import choices_of, command_line, joined_choices
from dimmagen.dataset.manifest import EXCLUDE, Manifest, Run, changes, fingerprint
from dimmagen.sources.light_image import LightImageRef
from tests.tiny_set import tiny_set

SETTINGS = {
    "profile": "lol3",
    "model": "camera",
    "gamma_range": [0.3, 2.0],
    "temperature": 1.0,
    "variants": 2,
    "seed": 5,
    "samples_per_shard": 1000,
    "image_format": "png",
}
PLAIN = (
    "dimmagen dim --profile lol3 --source coco=COCO --source sample --shards out/ --variants 2 --seed 5 "
    "--gamma 0.3:2.0 --temperature 1.0 --model camera --compat default --samples-per-shard 1000 "
    "--image-format png"
)
HERE, THERE = '{"path": "here"}', '{"path": "there"}'
REF = LightImageRef("a-1", "a", "1.jpg", "1" * 64, "verbatim", "jpg", 4, 3, HERE)


def test_a_fingerprint_is_the_hash_of_all_settings_but_those_that_only_append_shards():
    text = '{"environment":{"machine":"x"},"settings":{"a":[1,2.5],"b":{"c":"d","e":true}}}'
    expected = hashlib.sha256(text.encode()).hexdigest()
    settings = {"b": {"e": True, "c": "d"}, "variants": 3, "a": [1, 2.5]}
    assert fingerprint(settings, {"machine": "x"}) == expected
    assert Run({**settings, "variants": 9}, {"machine": "x"}).fingerprint == expected
    for other in ({**settings, "a": [1, 2.6]}, {**settings, "f": 0}):
        assert fingerprint(other, {"machine": "x"}) != expected
    assert fingerprint(settings, {"machine": "y"}) != expected


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_setting_that_is_no_finite_number_has_no_fingerprint(value):
    with pytest.raises(ValueError, match="JSON"):
        fingerprint({"a": value}, {})


@pytest.mark.parametrize(
    ("more", "old", "new"),
    [
        ({}, "", ""),
        ({"without": ""}, "", ""),
        ({"without": "tails,jpeg"}, "--compat", "--without tails --without jpeg --compat"),
        ({"group_by": "clip"}, "--temperature", "--group-by clip --temperature"),
        (
            {"brightness": "as-pairs", "gamma_range": [1.0, 1.0]},
            "--gamma 0.3:2.0",
            "--brightness as-pairs",
        ),
        ({"compat": "reference"}, "--compat default", "--compat reference"),
        ({"ladder": [0.5, 2.0], "variants": 6}, "2 --seed 5 --gamma 0.3:2.0", "3 --seed 5 --ladder 0.5,2.0"),
        ({"profile": "my phone"}, "--profile lol3", "--profile 'my phone'"),
        ({EXCLUDE: "1"}, "--shards", "--exclude EXCLUDE --shards"),
        ({"labels": {"format": "yolo"}}, "--image-format png", "--image-format png --labels yolo=LABELS"),
    ],
)
def test_the_command_spells_out_every_setting_that_decides_a_byte(more, old, new):
    assert command_line({**SETTINGS, **more}, ["coco", "sample"]) == PLAIN.replace(old, new)


@pytest.mark.parametrize(
    ("more", "extensions", "end"),
    [
        ({}, (), ""),
        ({}, ("jpg",), ""),
        ({}, ("jpg", "png"), " --light-format same"),
        ({"light_format": "png"}, ("jpg",), " --light-format png"),
    ],
)
def test_the_command_names_the_light_format_where_one_was_chosen_or_files_of_several_types_are_kept(
    more, extensions, end
):
    assert command_line({**SETTINGS, **more}, ["coco", "sample"], extensions) == PLAIN + end


def test_changes_name_what_differs_wherever_it_is_and_let_variants_grow():
    old = Run({"seed": 1, "variants": 2, "a": 1, "gone": 0}, {"libraries": {"numpy": "1", "torch": "2"}})
    new = Run({"seed": 2, "variants": 3, "a": 1, "come": [0]}, {"libraries": {"numpy": "9", "torch": "2"}})
    names = ["come", "environment.libraries.numpy", "gone", "seed"]
    lines = changes(old, new)
    assert [line.split(":")[0] for line in lines] == names
    assert lines[1].endswith("1 → 9")
    assert (lines[0], lines[2]) == ("come: not set → [0]", "gone: 0 → not set")
    assert [line.split(":")[0] for line in changes(new, old)] == [*names, "variants"]
    assert changes(old, old) == []


def test_of_a_changed_list_of_records_the_number_and_the_hash_are_shown():
    old, new = (Run({"removed": [{"key": key}], "range": [1, 2]}, {}) for key in ("a-1", "a-2"))
    first, second = (hashlib.sha256(b'[{"key":"%b"}]' % key).hexdigest()[:8] for key in (b"a-1", b"a-2"))
    assert changes(old, new) == [f"removed: 1 with SHA-256 {first} → 1 with SHA-256 {second}"]
    assert changes(Run({"range": [1, 3]}, {}), Run({"range": []}, {})) == ["range: [1, 3] → []"]


def test_a_census_counts_what_reaches_the_output_wherever_it_lies():
    refs = [replace(REF, source="b", extension="png", key="b-1"), REF, replace(REF, key="a-2")]
    found = census(refs)
    assert (found.count, found.by_source, found.extensions) == (3, {"a": 2, "b": 1}, ["jpg", "png"])
    assert [*found.by_extension.items()] == [("jpg", 2), ("png", 1)]
    elsewhere = census([replace(ref, locator=THERE) for ref in refs])
    assert elsewhere == found
    changed = {"key": "c", "source": "c", "name": "c", "sha256": "2" * 64, "transform": "gray"}
    for name, value in {**changed, "extension": "webp", "width": 5, "height": 5}.items():
        assert census([replace(REF, **{name: value}), *refs[1:]]).sha256 != found.sha256, name
    assert census(refs[::-1]).sha256 != found.sha256


def test_a_census_hashes_a_line_of_json_for_each_light_image_without_its_place():
    values = {name: getattr(REF, name) for name in LightImageRef.__slots__ if name != "locator"}
    line = json.dumps(values, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    assert census([REF, REF]).sha256 == hashlib.sha256(2 * line).hexdigest()


def test_a_census_has_the_steps_that_are_done_when_photos_are_read_and_all_sizes():
    of_photo = replace(REF, transform="exif+icc+short512+crop256")
    stored = replace(REF, transform="heif+crop256", locator='{"stored": true}')
    assert census([REF]).steps == frozenset()
    assert census([of_photo]).steps == {"exif", "icc", "short512", "crop256"}
    assert (census([stored]).steps, census([stored]).sizes) == (frozenset(), {"crop": 256})
    assert census([of_photo, stored]).sizes == {"resize": 512, "crop": 256}


def test_the_command_names_the_sizes_in_the_order_in_which_they_are_done():
    command = command_line(SETTINGS, ["sample"], sizes={"crop": 256, "resize": 512})
    assert "--source sample --resize 512 --crop 256 --shards out/" in command


def test_the_command_names_the_choices_among_photos_and_they_are_read_from_it_again():
    choices = {"limit": 5, "min_lightness": 0.0123456789, "names": True, "follow_links": True}
    command = command_line(SETTINGS, ["sample"], sizes={"crop": 256}, choices=choices)
    options = "--crop 256 --min-lightness 0.0123456789 --limit 5 --list LIST --follow-links"
    assert f"--source sample {options} --shards out/" in command
    assert choices_of(command) == {**choices, "crop": 256}
    assert choices_of(command_line(SETTINGS, ["sample"])) == {}


def test_of_a_set_that_grew_a_list_is_named_where_all_photos_are_of_one():
    assert joined_choices({"names": True, "crop": 9}, {"min_lightness": 0.1}) == {
        "crop": 9,
        "min_lightness": 0.1,
    }
    assert joined_choices({"names": True}, {"names": True}) == {"names": True}


@pytest.mark.parametrize("command", ["dim --limit", "dim --limit many", "dim 'quoted", ""])
def test_a_command_that_somebody_changed_names_no_choice(command):
    assert choices_of(command) == {}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """The folder of a data set."""
    return Path(tiny_set(tmp_path_factory.mktemp("made") / "out", 1).out)


def test_the_file_is_indented_json_with_its_version_first_and_a_last_line_end(made):
    data = (made / "manifest.json").read_bytes()
    assert data.startswith(b'{\n "schema_version": 1,\n "fingerprint": "')
    assert data.endswith(b"\n}\n")
    assert data == Manifest.load(str(made)).dump()
    assert data == json.dumps(json.loads(data), indent=1).encode() + b"\n"


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        (("manifest.json", "shards", "catalog"), "is a MixHQ: light images only"),
        (("export.json", "manifest.json", "shards"), "is an export, not a data set"),
    ],
)
def test_a_folder_of_another_kind_is_refused_with_what_it_is(marks, said, tmp_path):
    for mark in marks:
        (tmp_path / mark).mkdir()
    with pytest.raises(DimmagenError, match=said) as refusal:
        Manifest.load(str(tmp_path))
    assert (refusal.value.code, refusal.value.fields["path"]) == ("wrong-format", str(tmp_path))


def test_a_manifest_of_a_url_is_read_without_a_listing(made, monkeypatch):
    data = (made / "manifest.json").read_bytes()
    fsspec.filesystem("memory").pipe_file("/of-a-url/manifest.json", data)
    monkeypatch.setattr(storage, "list_names", None)
    assert Manifest.load("memory://of-a-url").dump() == data


def test_a_manifest_is_found_by_its_folder_or_its_own_path(made, tmp_path):
    manifest = Manifest.load(str(made))
    assert Manifest.find(str(made)) == Manifest.find(str(made / "manifest.json")) == manifest
    path = str(tmp_path / "manifest.json")
    with pytest.raises(UsageError, match="there is no manifest at") as refusal:
        Manifest.find(path)
    assert refusal.value.fields == {"path": path}
    with pytest.raises(UsageError, match=r"manifest\.json is not a folder: give the folder"):
        Manifest.load(str(made / "manifest.json"))
    with pytest.raises(UsageError, match=r"manifest\.json does not exist: give the folder"):
        Manifest.load(path)


@pytest.mark.parametrize(
    ("change", "said", "code"),
    [
        (
            lambda text: "",
            "is damaged and not a manifest any more: Invalid JSON.*: copy the data set again",
            "damaged",
        ),
        (
            lambda text: text[:300],
            "is damaged and not a manifest any more: Invalid JSON.*: copy the data set again",
            "damaged",
        ),
        (
            lambda text: text.replace('"schema_version": 1', '"schema_version": 7'),
            r"was written by a later version of dimmagen \(schema_version 7\): install a later version",
            "wrong-format",
        ),
        (
            lambda text: json.dumps({**json.loads(text), "shards": []}),
            "is not a manifest of this version: shards: List should have at least 1 item",
            "wrong-format",
        ),
        (
            lambda text: text.replace('"schema_version": 1', '"schema_version": 0'),
            "is not a manifest of this version: schema_version: .*: make the data set again",
            "wrong-format",
        ),
    ],
    ids=["emptied", "cut", "of a later version", "without a shard", "of no version"],
)
def test_a_manifest_that_cannot_be_read_says_what_to_do(made, tmp_path, change, said, code):
    text = (made / "manifest.json").read_text()
    (tmp_path / "manifest.json").write_text(change(text))
    with pytest.raises(DimmagenError, match=said) as refused:
        Manifest.load(str(tmp_path))
    assert refused.value.code == code
