"""assert_same_dataset accepts equal data sets and reports the first differences of others."""

import shutil

import pytest

from dimmagen import assert_same_dataset
from tests.dataset_helpers import make, write_photos


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    write_photos(folder / "photos", 4)
    make(folder / "photos", folder / "one")
    return folder


def test_a_copy_is_equal(folder, tmp_path):
    shutil.copytree(folder / "one", tmp_path / "copy")
    assert_same_dataset(folder / "one", tmp_path / "copy")


def test_another_seed_is_reported_with_the_setting_the_sample_and_the_columns(folder, tmp_path):
    make(folder / "photos", tmp_path / "other", seed=1)
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
