"""The index pass by ranges of the listing, and the finished ranges of a run that was stopped."""

import os
import shutil
import threading
import time
from contextlib import suppress

import pytest

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.sources import index_pass, parse_specs
from dimmagen.sources import scan as scanning
from dimmagen.sources.candidate_files import list_candidate_files
from dimmagen.sources.index_pass import ScanExecution, build_actor_worker, index_candidates
from dimmagen.sources.scan_keys import ScanSettings, scan_versions
from dimmagen.sources.scan_store import KeptRanges
from tests.dataset_helpers import file_hashes
from tests.killing import Held, files_below, kill, start, wait_for
from tests.sources.index_passes import FILES, look, plainly, run


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
            assert is_next_begun.wait(60)
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
    held, kept = Held(tmp_path), tmp_path / "out" / ".dimmagen" / "scan"
    held.hold(f"{kept}/*", 2)
    killed = start(*words, log=tmp_path / "log", held=held)
    wait_for(lambda: len(files_below(kept)) >= 2, killed)
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
