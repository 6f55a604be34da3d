"""Readers that pair by the order in which a file system lists two folders find the right partners."""

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest

from dimmagen.core import storage
from dimmagen.dataset.reader import open_pairs
from dimmagen.export import publishing, stores
from dimmagen.export.checking import check_export
from dimmagen.export.layouts import LAYOUTS
from dimmagen.export.publishing import begin_folder, publish
from dimmagen.export.readers import READERS
from dimmagen.export.record import BEGUN, DONE
from dimmagen.export.writing import export_pairs

MEMORY = Path("/dev/shm")  # tmpfs lists the names of a folder by the order in which they were added


@pytest.fixture(scope="module")
def pairs(pair_set):
    return open_pairs(pair_set)


@pytest.fixture
def ordered():
    """A folder to export to, on a file system whose listings show the order in which names were added."""
    folder = tempfile.mkdtemp(dir=MEMORY, prefix="export-")
    yield Path(folder) / "to"
    shutil.rmtree(folder)


def listings(to, layout):
    return [
        os.listdir(to / folder)
        for places in LAYOUTS[layout].splits.values()
        for place in places
        for folder in place
    ]


@pytest.mark.needs("shm")
@pytest.mark.parametrize("layout", ["lol-v1", "lol-v2"])
@pytest.mark.parametrize("workers", [1, 8])
def test_all_folders_list_their_files_in_one_order_whatever_the_number_of_workers(
    pairs, ordered, layout, workers
):
    export_pairs(pairs, LAYOUTS[layout], ordered, workers=workers)
    for names in listings(ordered, layout):
        assert names in (sorted(names), sorted(names, reverse=True))
    assert check_export(LAYOUTS[layout], ordered).notes == []


@pytest.mark.needs("shm")
@pytest.mark.parametrize("step", ["made", "published"])
def test_the_order_is_the_same_after_a_stop_at_any_moment(pairs, ordered, step, monkeypatch):
    module, name = {"made": (stores, "encode_image"), "published": (stores, "publish")}[step]
    whole = getattr(module, name)
    for stop in (0, 1, 5, 2):
        left = iter(range(stop))

        def stopping(*arguments, left=left, **options):
            if next(left, None) is None:
                raise KeyboardInterrupt
            return whole(*arguments, **options)

        monkeypatch.setattr(module, name, stopping)
        with pytest.raises(KeyboardInterrupt):
            export_pairs(pairs, LAYOUTS["lol-v2"], ordered, workers=1)
    monkeypatch.setattr(module, name, whole)
    export_pairs(pairs, LAYOUTS["lol-v2"], ordered, workers=4)
    for names in listings(ordered, "lol-v2"):
        assert names in (sorted(names), sorted(names, reverse=True))
    assert check_export(LAYOUTS["lol-v2"], ordered).faults == []
    assert not (ordered / publishing.STAGE).exists()


@pytest.mark.parametrize("layout", ["basicsr", "filelist"])
def test_a_list_that_a_killed_export_had_half_written_is_gone(layout, pairs, tmp_path):
    export_pairs(pairs, LAYOUTS[layout], tmp_path, workers=1)
    whole = [file for file in tmp_path.rglob("*") if not file.name.startswith(".")]
    lists = [file for file in whole if file.suffix == ".txt"]
    assert lists
    for file in lists:
        file.with_name(storage.unfinished_name(file.name)).write_bytes(b"half")
    (tmp_path / DONE).rename(tmp_path / BEGUN)  # as it was then
    export_pairs(pairs, LAYOUTS[layout], tmp_path, workers=1)
    assert sorted(tmp_path.rglob("*")) == sorted(whole)


def test_what_another_command_writes_into_the_repository_meanwhile_stays(pairs, tmp_path, monkeypatch):
    monkeypatch.setattr("dimmagen.core.storage.writing._ENDING_SECONDS", 0)
    with storage.atomic_writer(tmp_path / "notes.html") as file:
        export_pairs(pairs, LAYOUTS["filelist"], tmp_path, workers=1, repository=tmp_path)
        file.write(b"whole")
    assert (tmp_path / "notes.html").read_bytes() == b"whole"
    assert not list(filter(storage.is_unfinished, os.listdir(tmp_path)))


def test_a_folder_with_a_gap_is_filled_again_from_the_beginning(tmp_path):
    names = [f"{number}.png" for number in range(6)]
    (tmp_path / "folder").mkdir()
    for name in ("0.png", "2.png", "notes.txt"):
        (tmp_path / "folder" / name).touch()
    begin_folder(tmp_path / "folder", names)
    assert os.listdir(tmp_path / "folder") == ["notes.txt"]
    (tmp_path / "folder" / "0.png").touch()
    begin_folder(tmp_path / "folder", names)
    assert (tmp_path / "folder" / "0.png").exists()


def test_a_published_file_is_linked_while_it_has_more_names_and_then_moved(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"bytes")
    publish(file, tmp_path / "one", keep=True)
    publish(file, tmp_path / "two", keep=False)
    assert not file.exists()
    assert (tmp_path / "one").samefile(tmp_path / "two")


@pytest.mark.needs("shm")
def test_the_check_tells_folders_that_are_listed_in_different_orders(pairs, ordered):
    export_pairs(pairs, LAYOUTS["lol-v1"], ordered)
    folder = ordered / "our485/high"
    first = folder / sorted(os.listdir(folder))[0]
    data = first.read_bytes()
    first.unlink()
    first.write_bytes(data)  # now the last one that was added
    plain = check_export(LAYOUTS["lol-v1"], ordered)
    assert plain.faults == []
    assert len(plain.notes) == 1
    assert plain.notes[0].startswith("our485/low: HVI-CIDNet pairs files as the file system lists them, and")
    faults = check_export(LAYOUTS["lol-v1"], ordered, reader=READERS["hvi-cidnet"]).faults
    assert plain.notes[0] in faults
    assert check_export(LAYOUTS["lol-v1"], ordered, reader=READERS["kind-plus"]).faults == []


def test_names_are_published_in_their_order_also_where_numbers_outgrow_them(tmp_path, monkeypatch):
    """As 100000.png, which comes before 99999.png; the light image of the last pair is that of the second."""
    published = []
    monkeypatch.setattr(stores, "publish", lambda file, target, keep: published.append((file.name, keep)))
    made = np.arange(12)
    made[11] = 1
    side = stores._SideFiles(tmp_path, ["target"], lambda index: f"{index}.png", np.arange(12), made)
    assert side.begin().tolist() == [True] * 11 + [False]
    side.publish()
    order = sorted(f"{index}.png" for index in range(12))
    assert published == [("1.png" if name == "11.png" else name, name == "1.png") for name in order]
