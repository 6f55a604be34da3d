"""Photos are taken out of a data set of tiny images: what is left, and what is recorded."""

from pathlib import Path

import fsspec
import pyarrow.parquet as pq

from dimmagen.core import hashing
from dimmagen.core.lock import STATE
from dimmagen.dataset.manifest import Manifest, Run
from dimmagen.dataset.reader import open_pairs
from dimmagen.dataset.rejected import rejected_entries
from dimmagen.dataset.sheet import choose_rows, pair_views
from dimmagen.dataset.verify import verify_dataset
from dimmagen.generate.finalize import SHEET_PAIRS, SHEET_WIDTH
from dimmagen.generate.growing import next_shard, open_base
from dimmagen.generate.removing import remove_from_dataset
from dimmagen.generate.resume import DatasetFolder
from dimmagen.images.sheets import contact_sheet, jpeg_bytes
from dimmagen.sources.takedown import Removed, hash_of_photo
from tests.dataset_helpers import file_hashes, refused
from tests.tiny_set import assert_described, memory_url


def rows_of(out, number=0) -> list[dict]:
    return [row for row in open_pairs(out).rows() if row["name"].startswith(f"{number}.")]


def test_a_photo_that_is_taken_out_leaves_numbers_and_hashes(copy, grown, parts):
    started, done = [], []
    before, rows = Manifest.load(str(copy)), open_pairs(copy).rows()
    lines = ["0.png", "c.png"]
    removed = remove_from_dataset(str(copy), lines, False, started.append, lambda: done.append(1))
    hit = sorted({row["shard"] for row in rows_of(grown)})
    kept = [row for row in rows if row["shard"] in hit and row["name"] != "0.png"]
    assert removed == Removed(2, 2, 2, 1, ())
    assert (started, len(done)) == ([len(kept)], len(kept))
    manifest = Manifest.load(str(copy))
    names = [entry.name for entry in before.shards]
    anew = dict(zip(hit, ("shards/train-00006.tar", "shards/train-00007.tar"), strict=True))
    assert [entry.name for entry in manifest.shards] == [anew.get(name, name) for name in names]
    assert sorted(path.name for path in (copy / "shards").iterdir()) == sorted(
        Path(entry.name).name for entry in manifest.shards
    )
    photos = sorted(map(hash_of_photo, (parts[0].listed[0].sha256, "c" * 64)))
    sha256 = hashing.sha256("\n".join(lines).encode())
    assert manifest.settings["removed"] == [
        {"list_sha256": sha256, "photos": photos, "pairs": 2, "shards": 2, "generations": 2}
    ]
    first_one, second_one = before.settings["generations"]
    changed = {"lights": 3, "by_source": {"folder": 3}, "rejected": "rejected/candidates-00002.parquet"}
    assert manifest.settings["generations"] == [{**first_one, **changed}, second_one]
    assert manifest.settings["lights"] == 6
    assert manifest.settings["lights_sha256"] == before.settings["lights_sha256"]
    assert manifest.counts.lights_by_source == {"coco": 3, "folder": 3}
    assert (manifest.counts.pairs, manifest.counts.rejected) == (12, 2)
    assert (manifest.command, manifest.environment) == (before.command, before.environment)
    assert verify_dataset(str(copy)).faults == []
    left = pq.read_table(copy / "rejected/candidates-00002.parquet").to_pylist()
    assert [row["name"] for row in left] == ["b.png"]
    assert not (copy / "rejected/candidates.parquet").exists()


def test_what_is_left_is_as_it_was_and_the_sheet_shows_it(copy, grown):
    remove_from_dataset(str(copy), ["0.png"])
    old = {row["key"]: row for row in open_pairs(grown).rows()}
    pairs = open_pairs(copy)
    for row in pairs.rows():
        same = {name for name in row if name != "shard" and not name.endswith("offset")}
        assert {name: row[name] for name in same} == {name: old[row["key"]][name] for name in same}
    shown = choose_rows(iter([pairs.table]), 2, SHEET_PAIRS)
    sheet = jpeg_bytes(contact_sheet(pair_views(pairs, shown), width=SHEET_WIDTH))
    assert (copy / "sheet.jpg").read_bytes() == sheet
    assert "jpg" in (copy / "README.md").read_text()


def test_a_shard_that_only_had_what_was_taken_out_is_dropped(copy, grown):
    [*_, last] = Manifest.load(str(copy)).shards
    keys = [row["key"] for row in open_pairs(grown).rows() if row["shard"] == last.name]
    removed = remove_from_dataset(str(copy), [*keys, "nobody"], ignore_unknown=True)
    assert removed == Removed(3, 6, 2, 0, ("nobody",))
    manifest = Manifest.load(str(copy))
    assert [entry.name for entry in manifest.shards] == [f"shards/train-0000{n}.tar" for n in range(4)]
    generation = manifest.settings["generations"][1]
    assert (generation["lights"], generation["by_source"], generation["shards"]) == (0, {}, 0)
    assert manifest.counts.lights_by_source == {"folder": 4}
    assert verify_dataset(str(copy)).faults == []
    assert next_shard(manifest) == 4


def test_a_second_removal_is_recorded_behind_the_first(copy):
    remove_from_dataset(str(copy), ["0.png"])
    before = file_hashes(copy)
    assert remove_from_dataset(str(copy), ["0.png"]) == Removed(0, 0, 0, 0, ("0.png",))
    assert file_hashes(copy) == before
    error = refused(remove_from_dataset, str(copy), ["0.png", "x", "coco-"])
    assert (error.code, error.fields["path"]) == ("unknown-name", str(copy))
    assert error.fields["names"] == ["0.png", "coco-", "x"]
    assert remove_from_dataset(str(copy), ["x"], ignore_unknown=True) == Removed(0, 0, 0, 0, ("x",))
    assert remove_from_dataset(str(copy), ["d.png"]) == Removed(1, 0, 0, 1, ())
    first_one, second_one = Manifest.load(str(copy)).settings["removed"]
    assert (first_one["pairs"], second_one["pairs"], second_one["shards"]) == (2, 0, 0)
    assert second_one["photos"] == [hash_of_photo("coco=d.png")]


def test_nothing_is_changed_where_no_pair_would_be_left_or_a_set_is_derived(copy, grown):
    names = {row["name"] for row in open_pairs(grown).rows()}
    error = refused(remove_from_dataset, str(copy), names)
    assert (error.code, error.fields) == ("no-match", {"path": str(copy)})
    assert file_hashes(copy) == file_hashes(grown)
    assert not (copy / STATE).exists()


def test_photos_of_several_shards_and_file_types_are_taken_out_at_once(copy):
    assert remove_from_dataset(str(copy), ["1.jpg", "3.jpg", "5.jpg"]) == Removed(3, 6, 6, 0, ())
    first_one, second_one = assert_described(copy, ["png"]).settings["generations"]
    assert (first_one["lights"], first_one["by_source"]) == (2, {"folder": 2})
    assert (second_one["lights"], second_one["by_source"]) == (2, {"coco": 2})


def test_every_file_of_rejected_candidates_that_names_a_photo_is_written_anew(copy):
    assert remove_from_dataset(str(copy), [f"folder-{'b' * 16}", "d.png"]) == Removed(2, 0, 0, 2, ())
    manifest = Manifest.load(str(copy))
    assert [entry.name for entry in rejected_entries(manifest)] == [
        "rejected/candidates-00002.parquet",
        "rejected/candidates-00003.parquet",
    ]
    names = [one["rejected"] for one in manifest.settings["generations"]]
    rows = [[row["name"] for row in pq.read_table(copy / name).to_pylist()] for name in names]
    assert rows == [["c.png"], []]


def test_photos_are_taken_out_of_a_set_at_a_url(copy):
    url = memory_url()
    fsspec.filesystem("memory").put(str(copy), url, recursive=True)
    for out in (url, str(copy)):
        assert remove_from_dataset(out, ["0.png"]) == Removed(1, 2, 2, 0, ())
    assert Manifest.load(url) == Manifest.load(str(copy))


def test_what_a_stopped_addition_left_goes_before_a_photo_does(copy):
    base = open_base(str(copy))
    run = Run({**base.manifest.settings, "lights": 8}, base.manifest.environment)
    DatasetFolder(str(copy)).begin_addition(base.manifest, run, {})
    (copy / "shards/train-00006.tar").write_bytes(b"of the addition")
    remove_from_dataset(str(copy), ["0.png"])
    assert verify_dataset(str(copy)).faults == []
    assert not (copy / STATE).exists()
