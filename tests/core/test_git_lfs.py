"""A folder that was cloned without Git LFS has pointers in the place of its large files."""

import shutil

import pytest

from dimmagen.core.errors import DimmagenError
from dimmagen.core.git_lfs import refuse_pointer
from dimmagen.dataset.reader import open_pairs
from dimmagen.dimmers.profile import BUNDLED, open_profile
from dimmagen.enhance.checkpoints import load_network
from tests.tiny_set import memory_url, tiny_set

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.fixture
def profile(tmp_path):
    return shutil.copytree(BUNDLED / "lol3", tmp_path / "phone", copy_function=shutil.copyfile)


def test_a_profile_of_pointers_says_how_to_fetch_it(profile):
    (profile / "camera.safetensors").write_text(POINTER)
    with pytest.raises(DimmagenError, match=r"camera\.safetensors is a Git LFS pointer.*: .*git lfs pull"):
        open_profile(profile)


def test_a_network_that_is_a_pointer_says_how_to_fetch_it(tmp_path):
    path = tmp_path / "best.safetensors"
    path.write_text(POINTER)
    with pytest.raises(DimmagenError, match=r"best\.safetensors is a Git LFS pointer.*: .*git lfs pull"):
        load_network(path)


def test_the_rows_of_a_data_set_that_are_pointers_say_how_to_fetch_them(tmp_path):
    out = tiny_set(tmp_path / "out", 1).out
    (tmp_path / "out/metadata/train-00000.parquet").write_text(POINTER)
    with pytest.raises(DimmagenError, match=r"00000\.parquet is a Git LFS pointer.*: .*git lfs pull"):
        open_pairs(out)


def test_other_files_and_missing_ones_are_no_pointers(tmp_path):
    (tmp_path / "short").write_bytes(b"v")
    refuse_pointer(str(tmp_path / "short"))
    refuse_pointer(str(tmp_path / "missing"))
    refuse_pointer(f"{memory_url()}/missing")


def test_a_profile_with_the_texts_of_a_hub_is_safe(profile):
    for name in ("README.md", "LICENSE", ".gitattributes"):
        (profile / name).write_text("# lol3")
    assert open_profile(profile).fingerprint == open_profile("lol3").fingerprint
    (profile / "model.pkl").touch()
    with pytest.raises(DimmagenError, match=r"holds model\.pkl: only"):
        open_profile(profile)
