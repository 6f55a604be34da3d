"""Machines that lack something: open files, file sizes, memory, a home, a writable place, a terminal."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.attacks.commands import COUNT, DIM, dimmagen, is_clear
from tests.dataset_helpers import file_hashes, make, write_photos

pytestmark = [pytest.mark.slow, pytest.mark.needs("fork", "limits")]
is_thorough = pytest.mark.skipif(COUNT < 84, reason="as other tests that stay: make test-attacks")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resources")
    write_photos(folder / "photos", 4)
    make(folder / "photos", folder / "whole", variants=2, samples_per_shard=2, light_format="auto")
    return folder


def check(place, code, text):
    """The command has made the bytes, or has ended clearly and makes them when it is run again."""
    out = place / "out"
    try:
        if code:
            assert is_clear(code, text), f"exit {code}: {text}"
            code, text = dimmagen(DIM.replace("OUT", str(out)), place)
        assert code == 0, text
        assert file_hashes(out) == file_hashes(place / "whole")
    finally:
        shutil.rmtree(out, ignore_errors=True)


@pytest.mark.parametrize(
    ("kind", "limit"),
    [
        *(("FSIZE", 4096), ("FSIZE", 200_000), ("NOFILE", 40), ("STACK", 2**20)),
        *(pytest.param(*limit, marks=is_thorough) for limit in (("NOFILE", 24), ("CORE", 0))),
    ],
)
def test_a_limit_of_the_shell(kind, limit, place):
    import resource

    def restrict():
        number = getattr(resource, f"RLIMIT_{kind}")
        resource.setrlimit(number, (limit, limit))

    check(place, *dimmagen(DIM.replace("OUT", str(place / "out")), place, limit=restrict))


@pytest.mark.needs("mounts")
@pytest.mark.parametrize("size", ["16k", pytest.param("64k", marks=is_thorough), "1m"])
def test_a_small_file_system_that_fills(size, place):
    """The data set does not fit; with room it is made."""
    (place / "out").mkdir()
    mount = f'mount -t tmpfs -o size={size} tmpfs {place / "out"} && exec "$@"'
    words = DIM.replace("OUT", str(place / "out/set"))
    code, text = dimmagen(words, place, before=["unshare", "--mount", "sh", "-c", mount, "sh"])
    (place / "out").rmdir()
    assert is_clear(code, text), f"exit {code}: {text}"
    assert "the disk is full" in text
    check(place, code, text)


@pytest.mark.needs("mounts")
@pytest.mark.parametrize("size", ["64k", "200k", pytest.param("500k", marks=is_thorough)])
def test_an_lmdb_that_fills_a_small_file_system(size, place):
    (place / "full").mkdir()
    mount = f'mount -t tmpfs -o size={size} tmpfs {place / "full"} && exec "$@"'
    words = f"export whole --layout basicsr-lmdb --out {place / 'full/export'}"
    code, text = dimmagen(words, place, before=["unshare", "--mount", "sh", "-c", mount, "sh"])
    (place / "full").rmdir()
    assert is_clear(code, text), f"exit {code}: {text}"
    assert "lq.lmdb" in text, text
    assert "could not be written" in text, text


@pytest.mark.needs("mounts", "setpriv")
@pytest.mark.parametrize("home", ["", pytest.param("/nonexistent", marks=is_thorough)])
def test_a_container_with_a_read_only_root_and_without_a_home(home, place):
    """Nothing can be written but the output, and no capability makes up for it."""
    (place / "out").mkdir()
    python = Path(sys.executable).absolute()
    mounts = f'mount --bind {place / "out"} {place / "out"} && mount -o remount,ro,bind / && exec "$@"'
    drop = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"]
    code, text = dimmagen(
        DIM.replace("OUT", str(place / "out/set")),
        place,
        before=["unshare", "--mount", "sh", "-c", mounts, "sh", *drop],
        environment={"HOME": home, "XDG_CACHE_HOME": "", "NUMBA_CACHE_DIR": "", "TMPDIR": str(place / "out")},
        python=str(python),
    )
    assert code == 0, text
    assert file_hashes(place / "out/set") == file_hashes(place / "whole")
    shutil.rmtree(place / "out")
    assert "Traceback" not in text
    assert "numba's cache has no place" in text


@pytest.mark.needs("root", "setpriv")
def test_a_folder_of_another_user_is_refused_by_name(place):
    (place / "theirs").mkdir(mode=0o755)
    os.chown(place / "theirs", 54321, 54321)
    words = DIM.replace("OUT", str(place / "theirs/set"))
    code, text = dimmagen(words, place, before=["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"])
    assert is_clear(code, text), text
    assert "theirs" in text
    assert "Permission denied" in text


@pytest.mark.parametrize(
    ("locale", "order"),
    [("C", "backwards"), ("POSIX", "forwards"), ("C.UTF-8", "forwards"), ("tr_TR.UTF-8", "backwards")],
)
def test_files_made_in_another_order_under_another_locale(locale, order, place, tmp_path):
    """A file system lists a folder by the order in which it was filled, or by hashes of the names."""
    names = sorted((place / "photos").iterdir(), reverse=order == "backwards")
    (tmp_path / "photos").mkdir()
    for path in names:
        (tmp_path / "photos" / path.name).write_bytes(path.read_bytes())
    variables = {"LC_ALL": locale, "LANG": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    code, text = dimmagen(DIM.replace("OUT", str(tmp_path / "out")), tmp_path, environment=variables)
    assert code == 0, text
    assert file_hashes(tmp_path / "out") == file_hashes(place / "whole")


def test_without_a_terminal_and_a_home_nothing_but_lines_is_printed(place):
    code, text = dimmagen(
        DIM.replace("OUT", str(place / "out")), place, environment={"HOME": "", "TERM": "", "COLUMNS": ""}
    )
    assert "\x1b" not in text
    assert "\r" not in text
    check(place, code, text)


TRAIN = "train --data whole --out run --iterations 2 --perceptual none --crop 32 --loaders 2"
QUICK = "--validate-every 2 --validation-photos 1"


@pytest.mark.needs("mounts", "shm")
@is_thorough
@pytest.mark.parametrize(
    ("words", "mount"),
    [
        (f"{TRAIN} {QUICK}", "ro"),
        (f"{TRAIN} {QUICK}", "size=16k"),
        (f"{TRAIN} {QUICK}", "size=130k"),
        (DIM.replace("serial", "ray").replace("OUT", "out"), "ro"),
        (DIM.replace("serial", "ray").replace("OUT", "out"), "size=16k"),
    ],
    ids=["train-ro", "train-16k", "train-130k", "dim-ro", "dim-16k"],
)
def test_shared_memory_that_is_full_or_cannot_be_written_to(words, mount, place):
    """As in a container: Ray does without it, and loaders say what to do."""
    mounted = f'mount -t tmpfs -o {mount} tmpfs /dev/shm && exec "$@"'
    code, text = dimmagen(words, place, before=["unshare", "--mount", "sh", "-c", mounted, "sh"])
    shutil.rmtree(place / "run", ignore_errors=True)
    if words.startswith("train"):
        assert is_clear(code, text), text
        assert "the shared memory of this machine (/dev/shm on Linux)" in text
        assert "--loaders 0" in text
    else:
        check(place, code, text)
