"""The package on systems that lack what Linux has: macOS, Windows; on Linux, with those names taken away."""

import ast
import itertools
import json
import multiprocessing
import ntpath
import os
import subprocess
import sys
from pathlib import Path

import fsspec
import numpy as np
import pytest
import torch
from skimage import data
from torch.utils.data import DataLoader

from dimmagen import PairDataset, pair_loader
from dimmagen.core import memory, storage
from dimmagen.core.disk_list import DiskIntegers, DiskList
from dimmagen.core.errors import UsageError
from dimmagen.core.storage import listing, paths, writing
from dimmagen.dataset.compare import assert_same_dataset
from dimmagen.dataset.reader import open_pairs
from dimmagen.enhance.batch import Crops
from dimmagen.enhance.checkpoints import CHECKPOINT
from dimmagen.enhance.data import ShardBatches
from dimmagen.enhance.run_folder import RunFolder
from dimmagen.enhance.training_shards import open_shards
from dimmagen.images.codec import encode_png
from dimmagen.sources import SourceSpec
from dimmagen.sources.archives import Entry, folders, list_entries, read_entry
from dimmagen.sources.scan import scan
from tests.dataset_helpers import make, write_photos

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("photos") / "photos", 5)


def environment(system: str) -> dict[str, str]:
    """Of a Python that shows dimmagen that system."""
    places = [str(ROOT / "tests" / "other_systems"), str(ROOT)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(places), "DIMMAGEN_TEST_SYSTEM": system}


@pytest.mark.needs("links")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("system", "executor"),
    [
        pytest.param("macos", "ray", marks=[pytest.mark.ray, pytest.mark.xdist_group("ray")]),
        ("windows", "serial"),
    ],
)
def test_every_command_works(system, executor, photos, tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    (place / "photos").symlink_to(photos)
    for side, divisor in (("low", 9), ("high", 1)):
        (place / "pairs" / side).mkdir(parents=True)
        for index, image in enumerate((data.astronaut(), data.coffee(), data.chelsea())):
            pixels = np.ascontiguousarray(image[50:178, 60:252] // divisor)
            (place / "pairs" / side / f"{index}.png").write_bytes(encode_png(pixels))
    own = {"DIMMAGEN_PROFILES": str(place / "own")}
    run = subprocess.run(
        [sys.executable, "-m", "tests.every_command", executor],
        cwd=place, env={**environment(system), **own}, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    outcomes = json.loads(run.stdout)
    assert len(outcomes) > 20
    for one in outcomes:
        assert one["code"] == one["expected"], f"{one['command']}\n{one['said']}"
    assert (place / "own/fitted/profile.json").is_file()  # it was not there already
    make(photos, tmp_path / "here", variants=2, light_format="auto")
    assert_same_dataset(place / "out", tmp_path / "here")


@pytest.fixture(params=[method for method in multiprocessing.get_all_start_methods() if method != "fork"])
def start_method(request):
    """How processes start: `spawn` on macOS and Windows, `forkserver` on Linux from Python 3.14 on."""
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method(request.param, force=True)
    yield request.param
    multiprocessing.set_start_method(before, force=True)


def test_processes_that_inherit_nothing_read_the_same_pairs(start_method, pair_set):
    """Everything that a reader needs is pickled on its way to it."""
    keys = open_pairs(pair_set).table["key"].to_pylist()
    by_index = DataLoader(PairDataset(pair_set, crop=32), batch_size=5, num_workers=1)
    assert [key for batch in by_index for key in batch["key"]] == keys
    streamed = pair_loader(pair_set, batch_size=5, crop=32, workers=1, buffer=0)
    assert [key for batch in streamed for key in batch["key"]] == keys
    shards, crops = open_shards(str(pair_set), 1, 32).shards, Crops(32, flip=True, seed=3)
    read_here, read_there = (
        list(itertools.islice(ShardBatches(shards, crops, 4, loaders).open(2), 3)) for loaders in (0, 1)
    )
    for here, there in zip(read_here, read_there, strict=True):
        assert here.keys == there.keys
        assert torch.equal(here.inputs, there.inputs)


def test_a_table_can_be_written_in_an_encoding_that_lacks_its_characters(pair_set):
    """A Windows console, or a file that its output goes to, may be of code page 1252."""
    run = subprocess.run(
        [sys.executable, "-m", "dimmagen", "stats", str(pair_set)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "cp1252"},
        capture_output=True,
    )
    assert run.returncode == 0, run.stderr.decode("cp1252")
    assert "12 pairs of 6 photos" in run.stdout.decode("cp1252")


class WindowsPaths:
    """`os` as a module finds it on Windows, as far as paths go."""

    path, sep, altsep, name = ntpath, "\\", "/", "nt"

    def __getattr__(self, name: str):
        return getattr(os, name)


@pytest.mark.parametrize(
    ("path", "is_url"),
    [
        (r"C:\photos", False),
        ("C:/photos", False),
        ("C://photos", False),
        ("c:photos", False),
        (r"\\server\share\photos", False),
        ("photos", False),
        ("s3://bucket/photos", True),
        ("file:///photos", True),
        ("simplecache::s3://bucket/photos", True),
    ],
)
def test_a_windows_path_is_no_url(path, is_url):
    assert storage.is_url(path) is is_url
    assert is_url or storage.is_local(path)


def test_a_file_url_of_a_drive_is_a_path_of_that_drive(monkeypatch):
    monkeypatch.setattr(paths, "os", WindowsPaths())
    assert storage.local_path("file:///C:/photos/a.jpg") == r"C:\photos\a.jpg"


def test_a_source_on_a_windows_drive_is_read_as_given(tmp_path, monkeypatch):
    assert SourceSpec.parse(r"coco=C:\photos\coco") == SourceSpec("coco", r"C:\photos\coco")
    assert SourceSpec.parse(r"C:\photos") == SourceSpec("folder", r"C:\photos")
    monkeypatch.chdir(tmp_path)
    (tmp_path / r"C:\of=2024").mkdir()  # here a name with a backslash
    assert SourceSpec.parse(r"C:\of=2024") == SourceSpec("folder", r"C:\of=2024")
    with pytest.raises(UsageError, match="no source"):
        SourceSpec.parse(r"cocoo=C:\photos")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (r"C:\LOL\our485\low", "low"),
        ("C:\\LOL\\low\\", "low"),
        ("C:/LOL/low/", "low"),
        ("s3://b/low/", "low"),
    ],
)
def test_the_last_part_of_a_windows_path(path, name, monkeypatch):
    monkeypatch.setattr(paths, "os", WindowsPaths())
    assert storage.last_part(path) == name


def test_the_folder_that_a_windows_user_names_counts_as_well(monkeypatch):
    """Of LOL, no dark picture is opened."""
    monkeypatch.setattr(paths, "os", WindowsPaths())
    entry = Entry("1.png", 100, {"kind": "file", "path": r"D:\lol\our485\low\1.png"})
    (found,) = scan([(SourceSpec("lol", r"D:\lol\our485\low"), entry)])
    assert found.row.rule == "lol-dark"


def test_names_below_a_windows_folder_are_posix_paths(monkeypatch):
    """They are written into catalogs, and the key of a photo's pairs must not depend on the system."""
    windows = WindowsPaths()
    windows.stat = lambda _: os.stat(__file__)
    monkeypatch.setattr(folders, "os", windows)
    assert folders._file_entry(r"C:\photos", r"C:\photos\2024\a.jpg", False).name == "2024/a.jpg"
    with pytest.raises(UsageError, match=r"no folder C:\\photos:"):
        list_entries(r"C:\photos\*\low*")


def test_names_below_a_url_are_posix_paths(monkeypatch):
    files = fsspec.filesystem("memory")
    files.pipe("/windows/2024/a.jpg", b"12")
    monkeypatch.setattr(listing, "os", WindowsPaths())
    try:
        assert storage.find_files("memory://windows") == [("2024/a.jpg", 2, "")]
    finally:
        files.rm("/windows", recursive=True)


def test_a_glob_finds_what_lies_below_its_fixed_part(tmp_path):
    for name in ("a/one.png", "b/one.png", "c/two.jpg"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"1")
    found = list_entries(f"{tmp_path}/*/one.png")
    assert [entry.name for entry in found] == ["a/one.png", "b/one.png"]
    assert [read_entry(entry.locator) for entry in found] == [b"1", b"1"]


def test_a_file_is_published_where_folders_cannot_be_opened(tmp_path, monkeypatch):
    def open_file(path, flags):
        raise PermissionError(13, "a folder", str(path))

    windows = WindowsPaths()
    windows.open, windows.path = open_file, os.path  # the file itself is written here
    monkeypatch.setattr(writing, "os", windows)
    storage.atomic_write(tmp_path / "new/file", b"all of it")
    assert (tmp_path / "new/file").read_bytes() == b"all of it"
    assert os.listdir(tmp_path / "new") == ["file"]


@pytest.mark.parametrize("fails", [False, True])
def test_an_upload_needs_no_file_of_a_descriptor(fails, tmp_path, monkeypatch):
    """Where a file cannot be opened by its descriptor, it has a name until it is sent, or given up."""
    monkeypatch.setattr(writing.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(writing, "_DESCRIPTORS", str(tmp_path / "none"))
    files = fsspec.filesystem("memory")
    try:
        with storage.atomic_writer("memory://windows/file") as file:
            file.write(b"all of it")
            assert len(os.listdir(tmp_path)) == 1
            if fails:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        assert not files.exists("/windows/file")
    else:
        assert files.cat_file("/windows/file") == b"all of it"
        files.rm("/windows", recursive=True)
    assert os.listdir(tmp_path) == []


def test_records_on_disk_are_read_where_files_have_one_place_only(monkeypatch):
    """Without pread, between two writes: the next one goes to the end all the same."""
    monkeypatch.delattr(os, "pread")
    kept, numbers = DiskList(), DiskIntegers()
    records = [bytes([number]) * number for number in range(200)]
    for count, record in enumerate(records, 1):
        kept.append(record)
        numbers.append(count)
        assert kept[count // 2] == records[count // 2]
        assert numbers[count // 2 : count].tolist() == list(range(count // 2 + 1, count + 1))
    assert list(kept) == records


@pytest.mark.needs("proc")
def test_a_checkpoint_that_was_loaded_can_be_replaced(tmp_path):
    """Windows does not replace a file of which a part is mapped into memory."""
    run = RunFolder(tmp_path)
    run.save(CHECKPOINT, {"weights": torch.arange(10_000.0)}, {})
    loaded = run.load(CHECKPOINT)
    assert loaded.tensors["weights"][-1] == 9999
    assert str(tmp_path / CHECKPOINT) not in Path("/proc/self/maps").read_text()


def test_peak_memory_is_told_without_proc():
    told = memory.peak_memory("/no/such/file")
    assert 2**20 < told < 2**40


def test_peak_memory_is_asked_of_windows(monkeypatch):
    class Kernel:
        class GetCurrentProcess:
            def __new__(cls):
                return -1

        class K32GetProcessMemoryInfo:
            def __new__(cls, process, counters, size):
                assert (process, size) == (-1, 72)
                counters._obj.PeakWorkingSetSize = 123
                return 1

    monkeypatch.setattr(memory.sys, "platform", "win32")
    monkeypatch.setattr(memory.ctypes, "WinDLL", lambda name: Kernel, raising=False)
    assert memory.peak_memory("/no/such/file") == 123


_POSIX_ONLY = {
    *(
        "fork",
        "pread",
        "sched_getaffinity",
        "register_at_fork",
        "killpg",
        "setsid",
        "uname",
        "getuid",
    ),
    *("SIGKILL", "SIGSTOP", "SIGCONT", "pthread_kill", "fcntl", "resource", "O_DIRECTORY", "WNOHANG"),
}
# Each is asked for first, or stands where only its system comes.
_GUARDED = {
    ("core/processors.py", "sched_getaffinity"),
    ("core/lock.py", "register_at_fork"),
    ("core/disk_list.py", "pread"),
    ("core/memory.py", "resource"),
    ("core/executors/ray_actor.py", "SIGKILL"),
    ("core/executors/ray_connected.py", "register_at_fork"),
    ("core/executors/ray_signals.py", "register_at_fork"),
    ("core/executors/ray_signals.py", "setsid"),
    ("images/pillow_settings.py", "register_at_fork"),
}


def test_no_module_uses_a_name_that_another_system_lacks():
    found = set()
    for path in (ROOT / "dimmagen").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.attr] if isinstance(node, ast.Attribute) else []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom):
                names = [node.module, *(alias.name for alias in node.names)]
            module = path.relative_to(ROOT / "dimmagen").as_posix()
            found |= {(module, name) for name in names if name in _POSIX_ONLY}
    assert found == _GUARDED
