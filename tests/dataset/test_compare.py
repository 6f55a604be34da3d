"""assert_same_dataset accepts equal data sets and reports the first differences of others."""

import json
import shutil
from dataclasses import fields, replace
from pathlib import Path

import pytest

from dimmagen import assert_same_dataset
from dimmagen.core.errors import DimmagenError
from dimmagen.core.hashing import sha256
from dimmagen.dataset import compare_unordered
from dimmagen.dataset.compare import (
    changed_files,
    dataset_differences,
    manifest_differences,
    stages_that_differ,
)
from dimmagen.dataset.compare_unordered import unordered_differences
from dimmagen.dataset.manifest import Manifest, changed_values, fingerprint
from dimmagen.dataset.reader import open_pairs
from dimmagen.generate.pair import PairSettings
from dimmagen.generate.run import Execution, generate_dataset
from dimmagen.sources.catalog import CatalogRow
from dimmagen.sources.labels.index import open_labels
from tests.dataset_helpers import build_dimmer
from tests.tiny_set import make_tiny, rejected_row, tiny_lights


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    make_tiny(tiny_lights(folder / "photos", 4), folder / "one")
    return folder


def test_a_copy_is_equal(folder, tmp_path):
    shutil.copytree(folder / "one", tmp_path / "copy")
    assert_same_dataset(folder / "one", tmp_path / "copy")


def test_another_seed_is_reported_with_the_setting_the_sample_and_the_columns(folder, tmp_path):
    make_tiny(tiny_lights(tmp_path / "photos", 4), tmp_path / "other", seed=1)
    (tmp_path / "other/extra").write_text("")
    with pytest.raises(AssertionError) as difference:
        assert_same_dataset(folder / "one", tmp_path / "other")
    message = str(difference.value)
    assert "extra is only in" in message
    assert "settings.seed: 0 → 1" in message
    key = open_pairs(folder / "one").row(0)["key"]
    assert f"shards/train-00000.tar differs: sample {key}, first in its draws: seed, gamma, " in message


def test_a_pair_of_another_name_is_reported_as_such(folder, tmp_path):
    lights = tiny_lights(tmp_path / "photos", 4)
    lights.listed[0] = replace(lights.listed[0], name="other.png")
    make_tiny(lights, tmp_path / "other")
    lines = dataset_differences(str(folder / "one"), str(tmp_path / "other"))
    key = lights.listed[0].key
    assert [line for line in lines if "names" in line] == [
        f"shards/train-00000.tar differs: sample {key}-v0, first in its names: name, json_size"
    ]


def test_a_folder_that_cannot_be_listed_is_no_empty_one(folder, tmp_path):
    with pytest.raises(FileNotFoundError):
        dataset_differences(str(folder / "one"), str(tmp_path / "gone"))


def test_a_changed_image_is_reported_with_its_member(folder, tmp_path):
    other = shutil.copytree(folder / "one", tmp_path / "other")
    data = bytearray((other / "shards/train-00000.tar").read_bytes())
    data[600] ^= 1
    (other / "shards/train-00000.tar").write_bytes(data)
    with pytest.raises(AssertionError, match=r"the bytes of folder-[0-9a-f]{16}-v0\.dark\.png"):
        assert_same_dataset(folder / "one", other)


def test_an_additional_file_is_reported(folder, tmp_path):
    other = shutil.copytree(folder / "one", tmp_path / "other")
    (other / "extra").write_text("")
    with pytest.raises(AssertionError, match="extra is only in"):
        assert_same_dataset(folder / "one", other)


def test_files_of_one_data_set_only_and_files_that_differ_are_all_reported(folder, tmp_path):
    other = shutil.copytree(folder / "one", tmp_path / "other")
    (other / "extra").write_text("")
    (other / "sheet.jpg").unlink()
    (other / "README.md").write_text("another card")
    lines = dataset_differences(str(folder / "one"), str(other))
    assert lines == [
        f"sheet.jpg is only in {folder / 'one'}",
        f"extra is only in {other}",
        "README.md differs",
    ]


@pytest.mark.parametrize("count", [10, 11, 14])
def test_of_many_differences_ten_are_shown_and_the_others_counted(count, folder, tmp_path):
    other = shutil.copytree(folder / "one", tmp_path / "other")
    for index in range(count):
        (other / f"extra{index:02d}").write_text("")
    with pytest.raises(AssertionError) as difference:
        assert_same_dataset(folder / "one", other)
    message = str(difference.value)
    assert [f"extra{index:02d}" in message for index in range(count)] == [True] * 10 + [False] * (count - 10)
    assert (f"... and {count - 10} more" in message) is (count > 10)
    assert ("more" in message) is (count > 10)


def without(index, target):
    """A data set of all light images except the one with that index."""
    lights = tiny_lights(target / "photos", 4)
    del lights.listed[index]
    make_tiny(lights, target / "out")
    return target / "out"


@pytest.fixture(scope="module")
def fewer(tmp_path_factory):
    return without(-1, tmp_path_factory.mktemp("fewer"))


def test_manifests_of_different_images_differ_in_settings_counts_and_files(folder, fewer):
    one, other = (Manifest.load(str(out)) for out in (folder / "one", fewer))
    lines = manifest_differences(one, other)
    assert "settings.lights: 4 → 3" in lines
    assert "counts.pairs: 4 → 3" in lines
    changed = changed_files(one, other)
    assert f"{len(changed)} files differ, the first is {changed[0]}" in lines
    assert manifest_differences(one, one) == changed_files(one, one) == []


def test_a_setting_or_a_file_of_only_one_manifest_is_a_difference(folder):
    one = Manifest.load(str(folder / "one"))
    settings = {**one.settings, "group_by": "clip"}
    more = one.model_copy(update={"settings": settings, "shards": one.shards[:-1], "files": one.files[:-1]})
    missing = [one.shards[-1].name, one.shards[-1].metadata.name, one.files[-1].name]
    for left, right, line in (
        (one, more, "settings.group_by: not set → clip"),
        (more, one, "settings.group_by: clip → not set"),
    ):
        assert manifest_differences(left, right)[0] == line
        assert set(changed_files(left, right)) == set(missing)


def test_a_mapping_without_values_is_not_one_that_is_absent():
    assert changed_values({"labels": {}}, {}, "settings") == ["settings.labels: {} → not set"]


def test_no_difference_of_manifests_is_written_as_python_writes_mappings(folder):
    one = Manifest.load(str(folder / "one"))
    excluded = {"pictures": 15, "sha256": "57" * 32, "bits": 80}
    settings = {**one.settings, "exclude": excluded, "without": ""}
    environment = {**one.environment, "versions": {**one.environment["versions"], "littlecms": "2.19"}}
    other = one.model_copy(update={"settings": settings, "environment": environment})
    assert manifest_differences(one, other) == [
        "settings.exclude: not set → 15 pictures (SHA-256 57575757, 80 bits)",
        "settings.without: not set → empty",
        "environment.versions.littlecms: not set → 2.19",
    ]


def test_pairs_are_counted_by_the_first_stage_in_which_they_differ(folder, fewer, tmp_path):
    make_tiny(tiny_lights(tmp_path / "photos", 4), tmp_path / "other", seed=1)
    one, other, less = (open_pairs(out) for out in (folder / "one", tmp_path / "other", fewer))
    assert stages_that_differ(one, one) == {}
    assert stages_that_differ(one, other) == {"draws": 4}
    assert stages_that_differ(one, less) == stages_that_differ(less, one) == {"missing": 1}


def test_a_shard_with_more_samples_is_distinguished_from_one_with_other_samples(folder, fewer, tmp_path):
    """Four images give two shards of two, three images one of three."""
    others = without(0, tmp_path)
    first, second = (open_pairs(folder / "one").row(index)["key"] for index in (0, 1))
    for out, difference in (
        (fewer, "2 samples here, 3 there"),
        (others, f"sample {first} here, {second} there"),
    ):
        lines = dataset_differences(str(folder / "one"), str(out))
        assert f"shards/train-00000.tar differs: {difference}" in lines


def test_a_difference_outside_the_samples_is_reported_as_such(folder, tmp_path):
    other = shutil.copytree(folder / "one", tmp_path / "other")
    with open(other / "shards/train-00000.tar", "ab") as tar:
        tar.write(bytes(512))
    (line,) = dataset_differences(str(folder / "one"), str(other))
    assert "outside the data of its samples" in line


def compared(one, other, **changes) -> list[str]:
    """What differs between the contents of two sets, once one of them has another manifest."""
    if changes:
        path = other / "manifest.json"
        content = json.loads(path.read_text())
        for part, values in changes.items():
            content[part].update(values)
        content["fingerprint"] = fingerprint(content["settings"], content["environment"])
        path.write_text(json.dumps(content))
    return unordered_differences(str(one), str(other))


@pytest.fixture
def other(folder, tmp_path):
    return shutil.copytree(folder / "one", tmp_path / "other")


def test_when_photos_came_and_how_they_were_sharded_does_not_count_without_order(folder, other):
    history = {"lights_sha256": "0" * 64, "generations": [], "removed": []}
    assert compared(folder / "one", other, settings=history, counts={"shards": 9}) == []
    assert_same_dataset(folder / "one", other, order=False)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"settings": {"seed": 7}}, "settings.seed: 0 → 7"),
        ({"settings": {"group_by": "clip"}}, "settings.group_by: not set → clip"),
        ({"environment": {"machine": "vax"}}, "environment.machine: "),
        ({"environment": {"generations": 1}}, "environment.generations: not set → 1"),
        ({"environment": {"labels": {"sha256": 1}}}, "environment.labels.sha256: not set → 1"),
        ({"counts": {"lights": 9}}, "counts.lights: 4 → 9"),
        ({"counts": {"pairs": 9}}, "counts.pairs: 4 → 9"),
        ({"counts": {"rejected": 9}}, "counts.rejected: 1 → 9"),
        ({"counts": {"lights_by_source": {"folder": 3}}}, "counts.lights_by_source.folder: 4 → 3"),
    ],
)
def test_settings_environment_and_counts_count_without_order(changes, line, folder, other):
    [found] = compared(folder / "one", other, **changes)
    assert found.startswith(line)
    [turned] = unordered_differences(str(other), str(folder / "one"))
    assert turned.split(": ")[0] == line.split(": ")[0]


def test_pairs_and_candidates_of_one_set_alone_are_named(folder, fewer):
    one, key = folder / "one", open_pairs(folder / "one").row(3)["key"]
    for left, right in ((one, fewer), (fewer, one)):
        lines = unordered_differences(str(left), str(right))
        assert [line for line in lines if line.startswith("pair ")] == [f"pair {key} is only in {one}"]
    assert "settings.lights: 4 → 3" in unordered_differences(str(one), str(fewer))


def test_a_pair_that_differs_is_named_with_its_columns_those_of_the_earliest_stage_first(folder, tmp_path):
    lights = tiny_lights(tmp_path / "photos", 4)
    make_tiny(lights, tmp_path / "out", seed=1)
    lines = unordered_differences(str(folder / "one"), str(tmp_path / "out"))
    rows = open_pairs(folder / "one").rows()
    others = {row["key"]: row for row in open_pairs(tmp_path / "out").rows()}
    expected = ["settings.seed: 0 → 1"]
    for row in rows:
        new = others[row["key"]]
        order = ("gamma", "noise_seed", "lightness_after", "dark_pixel_sha256", "dark_sha256")
        rest = ("seed", "dark_size", "json_size")
        names = [name for name in (*order, *rest) if row[name] != new[name]]
        expected.append(f"pair {row['key']} differs in {', '.join(names)}")
    assert lines == expected


def test_candidates_that_were_rejected_count_by_what_they_are(folder, tmp_path):
    lights = tiny_lights(tmp_path / "photos", 4)
    changed, more = {**lights.rejects[0], "reason": "9x9"}, rejected_row("x.png", frame="last")
    lights.rejects[:] = [changed, more]
    make_tiny(lights, tmp_path / "out")
    one, two = str(folder / "one"), str(tmp_path / "out")
    assert unordered_differences(one, two) == [
        "counts.rejected: 1 → 2",
        f"candidate folder=x.png last{more['sha256']} is only in {two}",
        f"candidate folder=small.png {changed['sha256']} differs in reason",
    ]
    assert unordered_differences(two, one)[1].endswith(f"is only in {two}")


@pytest.mark.parametrize("side", ["dark", "light"])
def test_a_damaged_image_of_either_set_is_a_difference_without_order(side, folder, other):
    row = open_pairs(other).row(2)
    with open(other / row["shard"], "r+b") as file:
        file.seek(row[f"{side}_offset"])
        file.write(b"?")
    line = f"{row['shard']}: the bytes of {row[f'{side}_member']} are not those of its row"
    assert unordered_differences(str(folder / "one"), str(other)) == [line]
    assert unordered_differences(str(other), str(folder / "one")) == [line]


class Catalog:
    """What a reader of MixHQs finds: a manifest's inputs, and rows whose light images lie in one file."""

    def __init__(self, folder, inputs, **changed):
        names = {field.name: "" for field in fields(CatalogRow)}
        data = [b"first", b"second"]
        folder.mkdir()
        (folder / "a.tar").write_bytes(b"".join(data))
        self.inputs, self.rows, offset = inputs, [], 0
        for number, one in enumerate(data):
            light = {"shard": "a.tar", "member": f"{number}.png", "offset": offset, "light_bytes": len(one)}
            values = {
                **names,
                **light,
                "light_sha256": sha256(one),
                "name": f"{number}.jpg",
                "accepted": True,
            }
            self.rows.append(CatalogRow(**values))
            offset += len(one)
        rejected = {**names, "name": "x.jpg", "accepted": False, "shard": "none", **changed}
        self.rows.append(CatalogRow(**rejected))

    def read(self, inputs):
        assert inputs == self.inputs
        return iter(self.rows)


@pytest.fixture
def mixhqs(monkeypatch, tmp_path):
    """Names of MixHQs by what they hold."""
    found = {}

    def make(inputs, **changed):
        path = str(tmp_path / str(len(found)))
        found[path] = Catalog(Path(path), inputs, **changed)
        return path

    monkeypatch.setattr(compare_unordered, "is_mixhq", found.__contains__)
    monkeypatch.setattr(compare_unordered, "read_mixhq_manifest", lambda path: {"inputs": found[path].inputs})
    monkeypatch.setattr(compare_unordered, "catalog_parts", lambda manifest: [manifest["inputs"]])
    monkeypatch.setattr(compare_unordered, "read_catalog", lambda path, parts: found[path].read(*parts))
    return make


def test_two_mixhqs_are_compared_by_their_inputs_rows_and_light_images(mixhqs, folder):
    one, same = mixhqs({"sources": {"a": 1}, "rule": 2}), mixhqs({"sources": {}, "rule": 2})
    assert unordered_differences(one, same) == []
    other = mixhqs({"rule": 3, "more": 0}, reason="dark", offset=7)
    lines = ["inputs.more: not set → 0", "inputs.rule: 2 → 3"]
    assert unordered_differences(one, other) == [*lines, "candidate =x.jpg  differs in reason"]
    another = mixhqs({"rule": 2}, name="y.jpg")
    alone = [f"candidate =x.jpg  is only in {one}", f"candidate =y.jpg  is only in {another}"]
    assert unordered_differences(one, another) == alone
    (Path(same) / "a.tar").write_bytes(b"firstsecone")
    line = f"{same}/a.tar: 1.png is not what the catalog says"
    assert unordered_differences(one, same) == unordered_differences(same, one) == [line]
    with pytest.raises(DimmagenError):  # a MixHQ is nothing that a data set is compared with
        unordered_differences(str(folder / "one"), one)


def test_of_labels_the_kind_and_the_files_count_and_not_the_hash_of_them_all(tmp_path):
    lights = tiny_lights(tmp_path / "lights", 2)
    (tmp_path / "labels").mkdir()
    for number in range(2):
        (tmp_path / "labels" / f"{number}.json").write_text(f'{{"number": {number}}}')
    labels, settings = open_labels(f"json={tmp_path / 'labels'}", lights), PairSettings(samples_per_shard=2)
    one, two = tmp_path / "one", tmp_path / "two"
    generate_dataset(lights, build_dimmer, str(one), settings, Execution("serial"), labels=labels)
    shutil.copytree(one, two)
    kind = Manifest.load(str(one)).settings["labels"]
    assert compared(one, two, settings={"labels": {**kind, "sha256": "0" * 64}}) == []
    [line] = compared(one, two, settings={"labels": {**kind, "categories": ["cat"]}})
    assert line == "settings.labels.categories: [] → ['cat']"
    row = open_pairs(two).row(1)
    with open(two / row["shard"], "r+b") as file:
        file.seek(row["labels_offset"])
        file.write(b"?")
    [_, line] = unordered_differences(str(one), str(two))
    assert f"the bytes of {row['labels_member']} are not" in line
