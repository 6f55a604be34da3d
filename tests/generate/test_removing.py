"""Taking photos out of a data set: what goes, what stays, what is remembered."""

import json
import os
import shutil

import pytest

from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.dataset.compare import assert_same_dataset
from dimmagen.dataset.manifest import Manifest
from dimmagen.dataset.reader import open_pairs
from dimmagen.dataset.sheet import choose_rows
from dimmagen.dataset.verify import verify_dataset
from dimmagen.generate.finalize import SHEET_PAIRS
from dimmagen.generate.removing import remove_from_dataset
from tests.dataset_helpers import file_hashes, make, write_photos
from tests.generate.test_growing import SETTINGS, _reproduced, add


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """8 photos, one of them twice, and one that is too small."""
    folder = write_photos(tmp_path_factory.mktemp("photos") / "photos", 8)
    (folder / "twin.png").write_bytes((folder / "photo02.png").read_bytes())
    return folder


@pytest.fixture(scope="module")
def whole(photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "out"
    make(photos, out, **SETTINGS)
    return out


@pytest.fixture
def copy(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "out")


def names_in(out):
    return b"".join(path.read_bytes() for path in out.rglob("*") if path.is_file())


def test_what_is_left_is_what_a_set_without_these_photos_holds(copy, whole, photos, tmp_path):
    done = remove_from_dataset(str(copy), ["photo02.png", "photo05.jpg"])
    assert (done.photos, done.samples, done.rejected) == (2, 4, 1)
    fewer = shutil.copytree(photos, tmp_path / "photos")
    for name in ("photo02.png", "twin.png", "photo05.jpg"):
        (fewer / name).unlink()
    make(fewer, tmp_path / "without", **SETTINGS)
    assert_same_dataset(copy, tmp_path / "without", order=False)
    assert verify_dataset(str(copy)).faults == []
    with pytest.raises(AssertionError):
        assert_same_dataset(copy, whole, order=False)


def test_only_the_shards_that_hold_them_are_written_anew(copy, whole):
    rows = open_pairs(whole).rows()
    hit = {row["shard"] for row in rows if row["name"] == "photo02.png"}
    done = remove_from_dataset(str(copy), ["photo02.png"])
    before, after = file_hashes(whole), file_hashes(copy)
    shards = {name for name in before if name.startswith("shards/")}
    assert len(hit) == done.shards == 2
    assert {name: before[name] for name in shards - hit}.items() <= after.items()
    assert not hit & after.keys()


@pytest.mark.parametrize("of", ["name", "key", "light_key"])
def test_a_photo_is_named_by_its_name_or_by_its_keys(copy, of):
    row = next(row for row in open_pairs(copy).rows() if row["name"] == "photo01.jpg")
    remove_from_dataset(str(copy), [row[of]])
    assert "photo01.jpg" not in open_pairs(copy).table["name"].to_pylist()
    assert len(open_pairs(copy)) == 14


def test_the_names_are_nowhere_any_more_and_the_manifest_has_numbers_and_hashes(copy, whole):
    assert names_in(whole).count(b"photo02.png") > 4
    remove_from_dataset(str(copy), ["photo02.png"])
    everything = names_in(copy)
    assert b"photo02.png" not in everything
    assert b"twin.png" not in everything
    manifest = Manifest.load(str(copy))
    (removal,) = manifest.settings["removed"]
    assert (removal["pairs"], removal["shards"], len(removal["photos"])) == (2, 2, 1)
    assert (manifest.counts.lights, manifest.counts.pairs, manifest.counts.rejected) == (7, 14, 1)
    assert "Taken out since: 1 photos with 2 pairs." in (copy / "README.md").read_text()


def test_the_sheet_shows_it_no_more(copy, whole):
    shown = choose_rows(iter([open_pairs(whole).table]), 2, SHEET_PAIRS)
    remove_from_dataset(str(copy), [shown[0]["key"]])
    assert (copy / "sheet.jpg").read_bytes() != (whole / "sheet.jpg").read_bytes()


def test_what_was_taken_out_does_not_come_back(copy, photos, tmp_path):
    remove_from_dataset(str(copy), ["photo02.png"])
    assert add(photos, copy) is None
    more = write_photos(shutil.copytree(photos, tmp_path / "photos"), 9)
    add(more, copy)
    names = open_pairs(copy).table["name"].to_pylist()
    assert "photo08.png" in names
    assert b"photo02.png" not in names_in(copy)
    assert verify_dataset(str(copy)).faults == []


def test_a_shard_without_a_pair_left_is_dropped(copy, whole):
    first = open_pairs(whole).manifest.shards[0].name
    keys = [row["key"] for row in open_pairs(whole).rows() if row["shard"] == first]
    remove_from_dataset(str(copy), keys)
    manifest = Manifest.load(str(copy))
    assert manifest.counts.shards == 4
    assert verify_dataset(str(copy)).faults == []


def test_it_is_made_again_from_the_photos_with_and_without_those_that_were_taken_out(copy, photos, tmp_path):
    remove_from_dataset(str(copy), ["photo02.png", "photo05.jpg"])
    add(write_photos(shutil.copytree(photos, tmp_path / "more"), 10), copy)
    remove_from_dataset(str(copy), ["photo08.png"])
    _reproduced(copy, tmp_path / "more", tmp_path / "again")
    assert_same_dataset(copy, tmp_path / "again")
    for name in ("photo02.png", "twin.png", "photo05.jpg", "photo08.png"):
        (tmp_path / "more" / name).unlink()
    _reproduced(copy, tmp_path / "more", tmp_path / "later")
    assert_same_dataset(copy, tmp_path / "later")


def test_hard_links_to_the_old_shards_keep_them(copy, whole, tmp_path):
    linked = tmp_path / "linked"
    shutil.copytree(copy, linked, copy_function=os.link)
    remove_from_dataset(str(copy), ["photo02.png"])
    assert file_hashes(linked) == file_hashes(whole)


def test_what_is_not_there_is_refused_unless_told(copy, whole):
    with pytest.raises(UsageError, match=r"nothing of these names: nobody\.png"):
        remove_from_dataset(str(copy), ["photo02.png", "nobody.png"])
    assert file_hashes(copy) == file_hashes(whole)
    done = remove_from_dataset(str(copy), ["photo02.png", "nobody.png"], ignore_unknown=True)
    assert (done.photos, done.unknown) == (1, ("nobody.png",))


def test_the_same_list_again_changes_nothing(copy):
    remove_from_dataset(str(copy), ["photo02.png"])
    before = file_hashes(copy)
    assert remove_from_dataset(str(copy), ["photo02.png"]).photos == 0
    assert file_hashes(copy) == before


def test_a_rejected_candidate_is_named_no_more(copy):
    done = remove_from_dataset(str(copy), ["tiny.png"])
    assert (done.photos, done.samples, done.shards, done.rejected) == (1, 0, 0, 1)
    assert b"tiny.png" not in names_in(copy)
    assert verify_dataset(str(copy)).faults == []


def test_not_everything_can_be_taken_out(copy, whole):
    with pytest.raises(UsageError, match="no pair"):
        remove_from_dataset(str(copy), open_pairs(copy).table["name"].to_pylist())
    assert file_hashes(copy) == file_hashes(whole)


def test_a_damaged_shard_ends_it_before_anything_is_published(copy):
    before = json.loads((copy / "manifest.json").read_text())
    shard = next((copy / "shards").glob("*.tar"))
    data = bytearray(shard.read_bytes())
    data[2000] ^= 1
    shard.write_bytes(data)
    rows = [row for row in open_pairs(copy).rows() if row["shard"] == f"shards/{shard.name}"]
    with pytest.raises(DimmagenError, match="are not those of its row"):
        remove_from_dataset(str(copy), [rows[-1]["name"]])
    assert json.loads((copy / "manifest.json").read_text()) == before
