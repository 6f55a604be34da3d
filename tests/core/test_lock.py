"""Two runs in one folder: the second is refused, whatever the commands are."""

import errno
import multiprocessing
import os
import subprocess
import sys

import pytest

from dimmagen.core import lock, storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.lock import STATE, exclusive
from tests.commands import exit_code
from tests.dataset_helpers import make, write_photos


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("locked")
    make(write_photos(folder / "photos", 4), folder / "shards")
    return folder / "shards"


@pytest.mark.needs("fork")
def test_a_process_that_the_run_forked_does_not_keep_its_lock(tmp_path):
    """A reader process of a killed training survives for a while, and must not block the next run."""
    with exclusive(str(tmp_path)):
        (began, tell), (reader, writer) = os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:
            os.close(writer)
            os.write(tell, b".")
            os.read(reader, 1)  # until the parent ends it
            os._exit(0)
        os.read(began, 1)
        (held,) = lock._held
        lock._held.clear()  # as after a kill: nothing is cleaned up ...
        os.close(held)  # ... but the kernel closes open files
    try:
        with exclusive(str(tmp_path)):
            pass
    finally:
        for descriptor in (began, tell, reader, writer):
            os.close(descriptor)
        os.waitpid(child, 0)


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("dim --profile linear --source sample --executor serial --shards OUT", "--shards"),
        ("build-mixhq --source sample --out OUT", "--out"),
        ("export SHARDS --layout lol-v1 --out OUT", "--out"),
        (
            "train --data SHARDS --iterations 1 --validation-photos 2 --perceptual none --out OUT",
            "--out",
        ),
    ],
)
def test_a_second_run_is_refused_and_writes_nothing(command, option, shards, tmp_path, capsys):
    out = tmp_path / "out"
    with exclusive(str(out)):
        assert exit_code(*command.replace("OUT", str(out)).replace("SHARDS", str(shards)).split()) == 1
        message = capsys.readouterr().err
        assert f"another run is writing to {out}" in message
        assert option in message
        assert os.listdir(out) == [STATE]
    assert not out.exists()


def _hold(out, ready):
    with exclusive(out):
        ready.set()
        multiprocessing.Event().wait()


def test_the_lock_of_a_killed_run_is_free(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=_hold, args=(str(tmp_path / "out"), ready))
    holder.start()
    assert ready.wait(600)
    with pytest.raises(DimmagenError, match="another run"), exclusive(str(tmp_path / "out")):
        raise AssertionError("two runs hold one lock")
    holder.kill()
    holder.join()
    with exclusive(str(tmp_path / "out")):
        (tmp_path / "out/made").touch()
    assert os.listdir(tmp_path / "out") == ["made"]


def test_a_folder_that_cannot_be_created_is_reported(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written to"), exclusive(f"{tmp_path}/file/out"):
        raise AssertionError("the folder does not exist")


def _in_another_process(out):
    """The error output of another process that takes the lock."""
    code = f"from dimmagen.core.lock import exclusive\nwith exclusive({str(out)!r}): pass"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr


def test_a_lock_that_its_owner_removed_meanwhile_is_not_taken(tmp_path, monkeypatch):
    """A run ends between our opening and locking of its lock file: a lock on a removed file is useless."""
    real, paths = lock.lock_descriptor, [tmp_path / STATE / "lock"]

    def lock_removed_file(descriptor, blocking):
        if paths:
            paths.pop().unlink()
        return real(descriptor, blocking=blocking)

    monkeypatch.setattr(lock, "lock_descriptor", lock_removed_file)
    with exclusive(str(tmp_path)):
        assert not paths
        assert "another run is writing" in _in_another_process(tmp_path)


def test_where_open_files_cannot_be_removed_the_lock_file_is_removed_after_closing(tmp_path, monkeypatch):
    """As on Windows."""

    def unlink(path):
        if lock._held:
            raise PermissionError(errno.EACCES, "used by another process", path)
        os.remove(path)

    monkeypatch.setattr(lock.os, "unlink", unlink)
    with exclusive(str(tmp_path / "out")):
        assert "another run is writing" in _in_another_process(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_that_the_disk_keeps_until_it_is_closed_leaves_no_folder(tmp_path, monkeypatch):
    """FUSE and NFS rename a file that is removed while it is open."""
    state, kept = tmp_path / "out" / lock.STATE, tmp_path / "out" / lock.STATE / ".nfs0001"
    close = os.close

    def closed(descriptor):
        close(descriptor)
        if kept.exists():
            os.remove(kept)

    monkeypatch.setattr(lock.os, "unlink", lambda path: os.rename(path, kept))
    monkeypatch.setattr(lock.os, "close", closed)
    with exclusive(str(tmp_path / "out")):
        assert state.is_dir()
    assert not (tmp_path / "out").exists()


def test_a_disk_that_cannot_remove_open_files_does_not_hide_what_went_wrong(tmp_path, monkeypatch):
    def unlink(path):
        if lock._held:
            raise OSError(errno.ENOSYS, "Function not implemented", path)
        os.remove(path)

    monkeypatch.setattr(lock.os, "unlink", unlink)
    with pytest.raises(ZeroDivisionError), exclusive(str(tmp_path / "out")):
        raise ZeroDivisionError
    assert not (tmp_path / "out").exists()


def test_a_state_folder_that_another_run_removes_while_it_ends_is_made_again(tmp_path, monkeypatch):
    made, real = [], os.makedirs

    def makedirs(path, exist_ok=False):
        real(path, exist_ok=exist_ok)
        if path.endswith(lock.STATE):
            made.append(path)
            if len(made) == 1:
                os.rmdir(path)

    monkeypatch.setattr(lock.os, "makedirs", makedirs)
    with exclusive(str(tmp_path / "out")):
        assert len(made) == 2


def test_a_released_lock_is_removed_while_no_one_else_can_take_it(tmp_path, monkeypatch):
    """After its release, the file could already belong to the next run."""
    held_at_removal = []
    real = os.unlink
    monkeypatch.setattr(
        lock.os, "unlink", lambda path: (held_at_removal.append(bool(lock._held)), real(path))
    )
    with exclusive(str(tmp_path / "out")):
        pass
    assert held_at_removal == [True]


@pytest.mark.parametrize("said", ["ENOSYS", "EOPNOTSUPP", "ENOLCK", "EINVAL", "EPERM", "EIO", "EBADF"])
def test_a_file_system_without_locks_is_written_to_with_a_warning(tmp_path, monkeypatch, caplog, said):
    def unsupported(*_, **__):
        raise OSError(getattr(errno, said), os.strerror(getattr(errno, said)))

    monkeypatch.setattr(lock, "lock_descriptor", unsupported)
    with exclusive(str(tmp_path / "out")):
        (tmp_path / "out/made").touch()
    assert os.listdir(tmp_path / "out") == ["made"]
    (message,) = caplog.messages
    assert message.startswith(f"the file system of {tmp_path / 'out'} does not support locks")


def test_a_disk_that_numbers_its_files_anew_each_time_is_written_to(tmp_path, monkeypatch):
    monkeypatch.setattr(os.path, "samestat", lambda one, other: False)
    with exclusive(str(tmp_path / "out")):
        assert "another run is writing" in _in_another_process(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_goes_away_meanwhile_is_no_success(tmp_path):
    """What is written later makes it again, without what was written before."""
    out = str(tmp_path / "out")
    lock.refuse_gone(out)  # nobody has locked it
    gone = pytest.raises(DimmagenError, match="out was removed or moved while it was written to")
    with gone as caught, exclusive(out):
        lock.refuse_gone(out)
        os.rename(out, tmp_path / "elsewhere")
        storage.atomic_write(tmp_path / "out/shards/a.tar", b"")
    assert caught.value.code == "missing-path"
