"""The verdicts of earlier index passes: used again where nothing can have changed, distrusted otherwise."""

import os
import shutil
import time
import zipfile

import pytest
from PIL import Image
from skimage import data as photos

from dimmagen.core.storage import listing
from dimmagen.sources import SOURCES, scan_keys, scan_store
from dimmagen.sources import scan as scanning
from dimmagen.sources.folder import Folder
from dimmagen.sources.scan_keys import scan_versions
from dimmagen.sources.scene_hash import SceneHashes
from tests.commands import exit_code
from tests.dataset_helpers import file_hashes
from tests.sources.index_passes import FILES, look, plainly, run


def test_what_was_scanned_before_is_not_read_again(folder, cache, reads):
    first = look(folder)
    assert reads.total() == FILES
    reads.clear()
    counted = []
    assert look(folder, on_file=lambda: counted.append(1)) == first == plainly(folder)
    assert reads.total() == FILES  # those of the plain pass
    assert len(counted) == FILES


def test_only_new_and_changed_photos_are_read(folder, cache, reads):
    look(folder)
    reads.clear()
    Image.fromarray(photos.rocket()).save(folder / "new.png")
    shutil.copy(folder / "03.jpg", folder / "04.jpg")  # the same size, other bytes
    (folder / "05.jpg").unlink()
    found = look(folder)
    assert set(reads) == {"new.png", "04.jpg"}
    assert found == plainly(folder)


def test_a_photo_with_its_old_size_and_time_but_other_bytes_is_read(folder, cache, reads):
    """Programs set the time of the last modification back; the time of the last change they cannot set."""
    path = folder / "06.jpg"
    before = path.stat()
    look(folder)
    reads.clear()
    data = bytearray(path.read_bytes())
    data[-40] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    look(folder)
    assert set(reads) == {"06.jpg"}


def test_a_photo_written_a_moment_ago_is_read_again(folder, reads, monkeypatch, tmp_path):
    """It might be written once more within a tick of the clock of its file system."""
    monkeypatch.setenv("DIMMAGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(listing, "_UNSETTLED_NS", 3600 * 10**9)  # a long moment, for a busy machine
    look(folder)
    reads.clear()
    look(folder)
    assert reads.total() == FILES


def test_rescan_reads_everything_and_replaces_what_was_kept(folder, cache, reads, monkeypatch):
    real = scanning.rules.min_lightness
    monkeypatch.setattr(
        scanning.rules, "min_lightness", lambda mean, limit: scanning.rejected("wrong", "is wrong")
    )
    assert not any(one.row.accepted for one in look(folder))
    monkeypatch.setattr(scanning.rules, "min_lightness", real)
    assert not any(one.row.accepted for one in look(folder))  # the kept verdicts
    reads.clear()
    assert any(one.row.accepted for one in look(folder, rescan=True))
    assert reads.total() == FILES
    reads.clear()
    assert any(one.row.accepted for one in look(folder))
    assert reads.total() == 0


@pytest.mark.parametrize("choice", [{"min_lightness": 0}, {"resize": 256}, {"crop": 256}, {"stored": False}])
def test_other_choices_need_other_verdicts(choice, folder, cache, reads):
    look(folder)
    reads.clear()
    found = look(folder, **choice)
    assert reads.total() == FILES
    assert found != look(folder)


def test_other_excluded_scenes_need_other_verdicts(folder, cache, reads):
    look(folder)
    reads.clear()
    (folder.parent / "split").mkdir()
    shutil.copy(folder / "01.jpg", folder.parent / "split")
    found = look(folder, scenes=SceneHashes.from_paths([str(folder.parent / "split")]))
    assert reads.total() == FILES
    assert "excluded-scene" in {one.row.rule for one in found}


@pytest.mark.parametrize(
    "name", ["pillow", "numpy", "av", "scipy", "libheif", "dimmagen", "processor features"]
)
def test_other_versions_need_other_verdicts(name, folder, cache, reads, monkeypatch):
    look(folder)
    reads.clear()
    monkeypatch.setattr(scan_keys, "scan_versions", lambda: scan_versions() | {name: "another"})
    look(folder)
    assert reads.total() == FILES


def test_a_change_of_the_code_is_another_version(tmp_path, monkeypatch):
    room = tmp_path / "sources"
    room.mkdir()
    monkeypatch.setattr(scan_keys, "__file__", str(room / "scan_keys.py"))
    (room / "rules.py").write_text("LIMIT = 1\n")
    before = scan_keys._code_digest.__wrapped__()
    (room / "rules.py").write_text("LIMIT = 2\n")
    assert scan_keys._code_digest.__wrapped__() != before


def test_a_source_that_a_script_registers_is_always_asked(folder, cache, reads):
    """Nothing says which version of the script came to a verdict."""

    class Mine(Folder):
        name = "mine"

    SOURCES.register("mine")(Mine)
    try:
        look(f"mine={folder}")
        reads.clear()
        look(f"mine={folder}")
    finally:
        del SOURCES._loaded["mine"]
    assert reads.total() == FILES


def test_the_same_photos_from_another_source_are_judged_by_its_rule(folder, cache):
    look(folder)
    assert {one.row.rule for one in look(f"coco={folder}")} >= {"coco-min-500"}


def test_an_archive_that_was_made_again_is_read_again(folder, cache, reads):
    archive = folder.parent / "photos.zip"

    def pack(names):
        with zipfile.ZipFile(archive, "w") as file:
            for name in names:
                file.write(folder / name, name)

    pack(["01.jpg", "02.jpg"])
    first = look(archive)
    reads.clear()
    assert look(archive) == first
    assert reads.total() == 0
    pack(["03.jpg", "02.jpg"])
    assert look(archive) == plainly(archive)
    assert reads.total() == 4


def test_objects_are_known_by_their_etag(bucket, template, cache):
    for path in sorted(template.iterdir())[:5]:
        bucket.put(f"photos/{path.name}", path.read_bytes())
    first = look(f"folder={bucket.url}/photos")
    bucket.put("photos/00.jpg", (template / "07.jpg").read_bytes())
    bucket.server.counts()
    again = look(f"folder={bucket.url}/photos")
    assert bucket.server.counts()["GetObject"] == 1
    assert [one.row.name for one in again] == [one.row.name for one in first]
    assert again[0].row.sha256 != first[0].row.sha256
    assert again[1:] == first[1:]


def test_a_place_without_etags_is_always_read(template, cache):
    import fsspec

    files = fsspec.filesystem("memory")
    files.pipe("/no-etags/a.jpg", (template / "01.jpg").read_bytes())
    first = look("folder=memory://no-etags")
    files.pipe("/no-etags/a.jpg", (template / "02.jpg").read_bytes())
    assert look("folder=memory://no-etags") != first
    files.rm("/no-etags", recursive=True)


@pytest.mark.parametrize("damage", ["garbage", "empty", "cut", "record", "column"])
def test_a_damaged_cache_is_made_again(damage, folder, cache, reads, caplog):
    import sqlite3

    first = look(folder)
    (path,) = cache.iterdir()
    if damage in ("record", "column"):
        value = "substr(value, 1, 30) || x'00' || substr(value, 32)" if damage == "record" else "NULL"
        with sqlite3.connect(path) as database:
            database.execute(f"UPDATE verdicts SET value = {value}")
        database.close()
    else:
        data = path.read_bytes()
        path.write_bytes({"garbage": b"x" * 5000, "empty": b"", "cut": data[:6000]}[damage])
    reads.clear()
    assert look(folder) == first
    assert reads.total() == FILES
    told = [one.message for one in caplog.records if "cache of scanned photos" in one.message]
    assert len(told) == (damage != "empty")
    assert all("is damaged" in one and str(path) in one for one in told)
    reads.clear()
    assert look(folder) == first
    assert reads.total() == 0


def test_a_cache_that_cannot_be_written_is_told_once(folder, cache, caplog, monkeypatch):
    cache.write_bytes(b"a file where the folder should be")
    assert look(folder) == look(folder) == plainly(folder)
    told = [one.message for one in caplog.records if "cache of scanned photos" in one.message]
    assert len(told) == 1
    assert "DIMMAGEN_CACHE" in told[0]


@pytest.mark.needs("home")
@pytest.mark.parametrize("home", ["", "missing"])
def test_without_a_home_there_is_no_cache_and_no_home_is_made(home, folder, settled, caplog, monkeypatch):
    scan_store._warn_once.cache_clear()
    for name in ("DIMMAGEN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(folder.parent / home) if home else "")
    assert look(folder) == plainly(folder)
    assert "the cache of scanned photos has no place" in caplog.text
    assert not (folder.parent / "missing").exists()
    (folder.parent / "home").mkdir()
    monkeypatch.setenv("HOME", str(folder.parent / "home"))
    look(folder)
    assert (folder.parent / "home" / ".cache" / "dimmagen" / "scanned-1.sqlite").exists()


def test_a_cache_of_another_run_that_writes_is_waited_for_and_then_left(folder, cache, caplog, monkeypatch):
    import sqlite3

    look(folder)
    monkeypatch.setattr(scan_store, "_WAIT_SECONDS", 0.05)
    other = sqlite3.connect(next(cache.iterdir()))
    other.execute("BEGIN EXCLUSIVE")
    assert look(folder) == plainly(folder)
    other.rollback()
    other.close()
    assert "cannot be used" in caplog.text


def test_verdicts_that_nobody_asks_for_are_forgotten(folder, cache, reads, monkeypatch):
    look(folder)
    day = time.time() + 86400 * 181
    monkeypatch.setattr(scan_store.time, "time", lambda: day)
    reads.clear()
    look(folder)
    assert reads.total() == FILES


def test_the_command_uses_the_cache_tells_it_and_distrusts_it(folder, cache, tmp_path, reads, capsys):
    assert run("--source", folder, "--out", tmp_path / "a") == 0
    assert "scanned before" not in capsys.readouterr().err
    assert run("--source", folder, "--out", tmp_path / "b") == 0
    assert f"{FILES} of {FILES} files were scanned before" in capsys.readouterr().err
    assert reads.total() == FILES
    assert run("--source", folder, "--out", tmp_path / "c", "--rescan") == 0
    assert reads.total() == 2 * FILES
    assert file_hashes(tmp_path / "a") == file_hashes(tmp_path / "b") == file_hashes(tmp_path / "c")
    assert not (tmp_path / "a" / ".dimmagen").exists()


def test_dim_distrusts_it_as_well(folder, cache, tmp_path, reads, capsys):
    words = [
        "dim",
        "--profile",
        "linear",
        "--source",
        str(folder),
        "--shards",
        str(tmp_path / "out"),
        "--dry-run",
    ]
    for more, count in [([], FILES), ([], 0), (["--rescan"], FILES)]:
        reads.clear()
        assert exit_code(*words, *more) == 0
        assert reads.total() == count


def test_a_clock_that_was_ahead_once_keeps_no_verdict_for_ever(tmp_path, monkeypatch):
    def cache_of(day):
        monkeypatch.setattr(scan_store.time, "time", lambda: day * 86400)
        return scan_store.VerdictCache(tmp_path)

    cache_of(50_000).close()
    for day in (20_000, 20_200):
        cache = cache_of(day)
        cache.put([(str(day).encode(), b"record")])
        found = cache.get([b"20000", b"20200"])
        cache.close()
    assert found == {b"20200": b"record"}
