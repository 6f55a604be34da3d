"""What systems leave in the folders that dimmagen writes is no file of somebody else."""

import pytest

from dimmagen.core import storage
from dimmagen.core.system_files import is_left_by_system, is_system_name
from dimmagen.dataset.compare import assert_same_dataset
from dimmagen.dataset.verify import verify_dataset
from dimmagen.dimmers.profile import BUNDLED, open_profile
from tests.tiny_set import make_tiny, tiny_lights

LEFT = (
    *(".DS_Store", "._manifest.json", "Thumbs.db", "desktop.ini", ".nfs00000a1b", ".fuse_hidden0001"),
    *(".gitattributes", ".~lock.README.md#"),  # of Hugging Face's Hub; of LibreOffice
    *(".gitkeep", ".keep"),  # of templates of projects, in folders for data that is still to be made
    *(".nextcloudsync.log", ".sync_0f3a.db", ".syncthing.a.tar.tmp"),  # of Nextcloud; of Syncthing
)
FOLDERS = ("@eaDir", "lost+found", "#snapshot", ".cache", ".git", ".ipynb_checkpoints", ".tmp.drivedownload")


def leave(folder):
    for name in LEFT:
        (folder / name).write_bytes(b"\0\5\26\7")
    for name in FOLDERS:
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "x").touch()


@pytest.mark.parametrize("name", [*LEFT, *FOLDERS, ".Trash-1000", "Icon\r"])
def test_what_systems_leave_is_known_by_its_name(name):
    assert is_left_by_system(name)
    assert is_system_name(name)


PROGRAMS = (".dimmagen", ".huggingface.yaml", ".train.tar.0a1b2c3d.7.tmp", "shards", "_a")


@pytest.mark.parametrize("name", PROGRAMS)
def test_names_of_programs_are_none_of_a_system(name):
    assert not is_left_by_system(name)


def test_a_data_set_stays_what_it_is_where_a_system_leaves_its_files(tmp_path):
    out, lights = tmp_path / "out", tiny_lights(tmp_path / "photos", 3)
    out.mkdir()
    leave(out)  # the root of a disk has a folder lost+found
    made = make_tiny(lights, out, samples_per_shard=2)
    for folder in (out, out / "shards", out / "metadata", out / "rejected"):
        folder.mkdir(exist_ok=True)
        leave(folder)
    assert verify_dataset(str(out)).faults == []
    more = make_tiny(lights, out, samples_per_shard=2, variants=2)
    assert more.shards[: len(made.shards)] == made.shards
    assert verify_dataset(str(out)).faults == []
    assert (out / "shards/.DS_Store").exists()
    (out / "mine.txt").touch()
    [fault] = verify_dataset(str(out)).faults
    assert str(fault) == "mine.txt: does not belong to the data set"


def test_a_folder_with_nothing_but_a_systems_files_is_removed_as_far_as_it_is_ours(tmp_path):
    leave(tmp_path)
    assert storage.list_names(tmp_path) == []
    storage.remove(tmp_path)
    assert (tmp_path / ".DS_Store").exists()
    (tmp_path / "mine").touch()
    with pytest.raises(OSError, match="not empty"):
        storage.remove(tmp_path)


def test_a_profile_that_was_looked_at_is_safe(tmp_path):
    folder = tmp_path / "phone"
    folder.mkdir()
    for file in (BUNDLED / "lol3").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    leave(folder)
    assert open_profile(folder).fingerprint == open_profile("lol3").fingerprint


def test_sets_are_equal_whatever_a_system_left_among_their_files(tmp_path):
    lights = tiny_lights(tmp_path / "photos", 2)
    for name in ("one", "other"):
        make_tiny(lights, tmp_path / name)
    leave(tmp_path / "other")
    leave(tmp_path / "other/shards")
    assert_same_dataset(tmp_path / "one", tmp_path / "other")
    (tmp_path / "other/shards/mine").touch()
    with pytest.raises(AssertionError, match="mine"):
        assert_same_dataset(tmp_path / "one", tmp_path / "other")
