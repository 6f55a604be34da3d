"""assert_same_dataset accepts equal data sets and reports the first differences of others."""

import shutil

import pytest

from dimmagen import assert_same_dataset
from dimmagen.dataset.compare import (
    changed_files,
    dataset_differences,
    manifest_differences,
    stages_that_differ,
)
from dimmagen.dataset.manifest import Manifest
from dimmagen.dataset.reader import open_pairs
from tests.tiny_set import make_tiny, tiny_lights


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
    with pytest.raises(AssertionError) as difference:
        assert_same_dataset(folder / "one", tmp_path / "other")
    message = str(difference.value)
    assert "settings.seed is 0 here and 1 there" in message
    assert "shards/train-00000.tar differs: sample folder-" in message
    assert "gamma" in message


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
    assert (f"{count - 10} more" in message) is (count > 10)
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
    assert "settings.lights is 4 here and 3 there" in lines
    assert "counts.pairs is 4 here and 3 there" in lines
    changed = changed_files(one, other)
    assert f"{len(changed)} files differ, the first is {changed[0]}" in lines
    assert manifest_differences(one, one) == changed_files(one, one) == []


def test_a_setting_or_a_file_of_only_one_manifest_is_a_difference(folder):
    one = Manifest.load(str(folder / "one"))
    settings = {**one.settings, "group_by": "clip"}
    more = one.model_copy(update={"settings": settings, "shards": one.shards[:-1], "files": one.files[:-1]})
    missing = [one.shards[-1].name, one.shards[-1].metadata.name, one.files[-1].name]
    for left, right, line in (
        (one, more, "settings.group_by is None here and 'clip' there"),
        (more, one, "settings.group_by is 'clip' here and None there"),
    ):
        assert manifest_differences(left, right)[0] == line
        assert set(changed_files(left, right)) == set(missing)


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
