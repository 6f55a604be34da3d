"""The index pass by ranges, and the verdicts that are kept of earlier ones."""

import os
import shutil
import threading
import time
import zipfile
from collections import Counter
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image
from skimage import data as photos

from dimmagen.cli import main
from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.sources import SOURCES, archives, index_pass, parse_specs, scan_keys, scan_store
from dimmagen.sources import scan as scanning
from dimmagen.sources.folder import Folder
from dimmagen.sources.index_pass import ScanExecution, build_actor_worker, index_candidates
from dimmagen.sources.photo_selection import PhotoSelection
from dimmagen.sources.scan import list_candidate_files, scan
from dimmagen.sources.scan_keys import ScanSettings, scan_versions
from dimmagen.sources.scan_store import KeptRanges
from dimmagen.sources.scene_hash import Scenes
from tests.dataset_helpers import file_hashes
from tests.killing import kill, start, wait_for

FILES = 40  # three ranges


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Photos of which some are dark, small, damaged, or equal to one of another range."""
    folder = tmp_path_factory.mktemp("template")
    coffee = photos.coffee()[:300, :300]
    for number in range(FILES - 4):
        Image.fromarray(np.roll(coffee, 7 * number, axis=1)).save(folder / f"{number:02d}.jpg")
    Image.fromarray(coffee // 12).save(folder / "dark.png")
    Image.fromarray(coffee[:99]).save(folder / "small.png")
    (folder / "damaged.jpg").write_bytes((folder / "01.jpg").read_bytes()[:-3000])
    (folder / "same.jpg").write_bytes((folder / "02.jpg").read_bytes())
    return folder


@pytest.fixture
def folder(template, tmp_path):
    """A copy to change."""
    return shutil.copytree(template, tmp_path / "photos")


@pytest.fixture
def reads(monkeypatch):
    """How often each file was read since this was last cleared."""
    counts = Counter()

    def counting(locator):
        counts[os.path.basename(locator["path"])] += 1
        return archives.read_entry(locator)

    monkeypatch.setattr(scanning, "read_entry", counting)
    return counts


@pytest.fixture
def settled(monkeypatch):
    """Files may be taken for unchanged as soon as they are written."""
    monkeypatch.setattr(storage, "_UNSETTLED_NS", 0)


@pytest.fixture
def cache(settled, monkeypatch, tmp_path):
    """The folder of a user's cache."""
    scan_store._warn_once.cache_clear()
    monkeypatch.setenv("DIMMAGEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def look(*texts, kept=None, on_file=lambda: None, rescan=False, scenes=None, stored=True, **choices):
    files = list_candidate_files(parse_specs([str(text) for text in texts])).files
    settings = ScanSettings(scenes, PhotoSelection(**choices), stored)
    execution = ScanExecution(workers=2, rescan=rescan)
    return list(index_candidates(files, settings, execution, kept, on_file))


def plainly(*texts):
    return list(scan(list_candidate_files(parse_specs([str(text) for text in texts])).files))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_ranges_give_the_candidates_of_one_pass_over_all_files(threads, template):
    files = list_candidate_files(parse_specs([str(template), "sample"])).files
    counted = []
    found = index_candidates(
        files, ScanSettings(), ScanExecution(workers=threads), on_file=lambda: counted.append(1)
    )
    assert list(found) == plainly(template, "sample")
    assert len(counted) == len(files)


def test_the_order_in_which_ranges_end_changes_nothing(template, monkeypatch):
    def backwards(settings, threads, jobs, on_files):
        worker = index_pass.RangeWorker(settings)
        for job in reversed(list(jobs)):
            yield job, worker(job, lambda: on_files(1))

    monkeypatch.setattr(index_pass, "run_in_threads", backwards)
    assert look(template, "sample") == plainly(template, "sample")


def test_no_thread_waits_at_the_end_of_a_range(template, monkeypatch):
    """While the last file of the first range is looked at, the next range has begun."""
    files = list_candidate_files(parse_specs([str(template)])).files
    last, is_next_begun = files[15], threading.Event()

    def look_at(settings, file):
        if file in files[16:]:
            is_next_begun.set()
        elif file == last:
            assert is_next_begun.wait(10)
        return []

    monkeypatch.setattr(ScanSettings, "look_at", look_at)
    assert list(index_candidates(files, ScanSettings(), ScanExecution(workers=2, cached=False))) == []


def test_files_of_a_lost_worker_are_counted_once(template, monkeypatch):
    def losing(settings, threads, jobs, on_files):
        worker = index_pass.RangeWorker(settings)
        for job in jobs:
            on_files(5)
            on_files(-5)  # lost: another worker begins anew
            yield job, worker(job, lambda: on_files(1))

    monkeypatch.setattr(index_pass, "run_in_threads", losing)
    counted = []
    look(template, on_file=lambda: counted.append(1))
    assert len(counted) == FILES


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
    look(folder)
    reads.clear()
    look(folder)
    assert reads.total() == FILES


def test_rescan_reads_everything_and_replaces_what_was_kept(folder, cache, reads, monkeypatch):
    real = scanning.rules.lightness
    monkeypatch.setattr(
        scanning.rules, "lightness", lambda mean, limit: scanning.rejected("wrong", "is wrong")
    )
    assert not any(one.row.accepted for one in look(folder))
    monkeypatch.setattr(scanning.rules, "lightness", real)
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
    found = look(folder, scenes=Scenes.from_paths([str(folder.parent / "split")]))
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


def stop_after(count, monkeypatch):
    """Let a pass fail after some files."""
    real, left = scanning.read_entry, iter(range(count))

    def failing(locator):
        if next(left, None) is None:
            raise DimmagenError("the cable was pulled")
        return real(locator)

    monkeypatch.setattr(scanning, "read_entry", failing)


@pytest.mark.parametrize("url", [False, True])
def test_finished_ranges_of_a_run_that_was_stopped_are_kept(
    url, folder, settled, tmp_path, reads, monkeypatch
):
    place = "memory://kept-ranges/scan" if url else str(tmp_path / "out" / "scan")
    with monkeypatch.context() as stopped:
        stop_after(35, stopped)
        with pytest.raises(DimmagenError, match="cable"):
            look(folder, kept=KeptRanges(place))
    names = storage.list_names(place)
    assert len(names) == 2
    reads.clear()
    found = look(folder, kept=KeptRanges(place))
    assert reads.total() == FILES - 32
    assert found == plainly(folder)
    KeptRanges(place).discard()
    assert storage.list_names(place) == []


@pytest.mark.parametrize("damage", ["photo", "cut", "letter", "garbage", "gone"])
def test_a_kept_range_is_used_only_if_it_is_whole_and_its_photos_are_the_same(
    damage, folder, settled, tmp_path, reads
):
    place = str(tmp_path / "scan")
    look(folder, kept=KeptRanges(place))
    kept = KeptRanges(place)
    path = tmp_path / "scan" / storage.list_names(place)[0]
    if damage == "photo":
        shutil.copy(folder / "20.jpg", folder / "01.jpg")
    elif damage == "gone":
        path.unlink()
    else:
        data = path.read_bytes()
        changed = {
            "cut": data[:-500],
            "letter": data.replace(b'"verbatim"', b'"Verbatim"', 1),
            "garbage": b"x",
        }
        path.write_bytes(changed[damage])
    reads.clear()
    found = look(folder, kept=kept)
    assert 8 <= reads.total() <= 16  # one range
    assert found == plainly(folder)


def run(*words):
    with pytest.raises(SystemExit) as ended:
        main(["build-mixhq", *map(str, words)])
    return ended.value.code


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


def test_nothing_stays_where_no_photo_is_accepted(folder, settled, tmp_path, capsys):
    assert run("--source", folder, "--out", tmp_path / "out", "--min-lightness", 1) == 1
    assert "none of the" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_scanned(
    folder, tmp_path, reads, capsys
):
    (tmp_path / "file").write_text("")
    assert run("--source", folder, "--out", tmp_path / "file" / "out") == 2
    assert reads.total() == 0


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
        with pytest.raises(SystemExit) as ended:
            main([*words, *more])
        assert ended.value.code == 0
        assert reads.total() == count


@pytest.mark.needs("fork", "signals")
@pytest.mark.slow
def test_a_killed_build_goes_on_where_it_was(template, tmp_path):
    many = tmp_path / "many"
    many.mkdir()
    for number in range(160):
        shutil.copy(template / f"{number % 30:02d}.jpg", many / f"{number:03d}.jpg")
        with open(many / f"{number:03d}.jpg", "ab") as file:
            file.write(str(number).encode())  # another file
    time.sleep(2.1)  # as storage.stamp says
    assert run("--source", many, "--out", tmp_path / "whole") == 0
    words = ["build-mixhq", "--source", str(many), "--out", str(tmp_path / "out"), "--workers", "1"]
    killed = start(*words, log=tmp_path / "log")
    kept = tmp_path / "out" / ".dimmagen" / "scan"
    wait_for(lambda: kept.is_dir() and len(os.listdir(kept)) >= 2, killed)
    kill(killed.pid)
    assert killed.wait() == -9
    again = start(*words, log=tmp_path / "log")
    assert again.wait() == 0, (tmp_path / "log").read_text()
    assert "of 160 files were scanned before" in (tmp_path / "log").read_text()
    assert file_hashes(tmp_path / "out") == file_hashes(tmp_path / "whole")
    with suppress(FileNotFoundError):
        assert os.listdir(kept) == []


def test_a_machine_with_other_versions_looks_at_no_file():
    with pytest.raises(DimmagenError) as refused:
        build_actor_worker(ScanSettings(), scan_versions() | {"pillow": "1.0"})
    assert refused.value.code == "other-environment"
    assert "pillow: " in str(refused.value)
    assert "1.0 where the command runs" in str(refused.value)
    build_actor_worker(ScanSettings(), scan_versions())


def test_an_address_without_ray_is_refused():
    with pytest.raises(UsageError, match="address"):
        ScanExecution("serial", address="head:6379")
