"""What a killed process leaves of a file is removed by the next one, and what a living one writes is not."""

import errno
import os
import time

import pytest

from dimmagen.core import abandoned, storage
from dimmagen.core.storage import remove_abandoned, write_result
from tests.killing import KILLED, is_killed

DAYS = 24 * 3600


def leave(path, what=storage.atomic_writer):
    """Begin to write a file or folder in a process that is killed."""

    def work():
        with what(path):
            os._exit(KILLED)

    assert is_killed(work)


def age(path, days):
    then = time.time() - days * DAYS
    os.utime(path, (then, then))


@pytest.mark.needs("fork")
def test_a_result_is_written_without_what_a_killed_process_left_of_it(tmp_path):
    for name in ("a.html", "b.html"):
        leave(tmp_path / name)
    assert len(os.listdir(tmp_path)) == 2
    write_result(tmp_path / "a.html", b"whole")
    hidden, whole = sorted(os.listdir(tmp_path))
    assert (whole, hidden.startswith(".b.html.")) == ("a.html", True)


@pytest.mark.needs("fork")
def test_the_folder_that_a_killed_process_left_is_removed_by_the_next_of_its_name(tmp_path):
    for name in ("one", "other"):
        leave(tmp_path / name, storage.unfinished_folder)
    with storage.unfinished_folder(tmp_path / "one") as folder:
        (folder / "file").write_bytes(b"data")
        remove_abandoned(tmp_path, ["one"])  # as another process would
        folder.rename(tmp_path / "one")
    assert [name for name in sorted(os.listdir(tmp_path)) if not name.startswith(".other")] == ["one"]
    assert os.listdir(tmp_path / "one") == ["file"]
    with pytest.raises(ZeroDivisionError), storage.unfinished_folder(tmp_path / "two"):
        raise ZeroDivisionError
    assert len(os.listdir(tmp_path)) == 2


def test_a_disk_that_numbers_its_files_differently_each_time_has_one_temporary_file(tmp_path, monkeypatch):
    """As some FUSE and SMB mounts do: it was taken for another file, and a new one made, for ever."""
    tokens = iter(["0001", "0002"])
    monkeypatch.setattr("dimmagen.core.storage.writing.secrets.token_hex", lambda _: next(tokens))
    monkeypatch.setattr(os.path, "samestat", lambda one, other: False)
    storage.atomic_write(tmp_path / "a", b"whole")
    with storage.unfinished_folder(tmp_path / "b") as folder:
        assert sorted(os.listdir(tmp_path)) == [folder.name, "a"]


def test_a_disk_that_says_of_every_lock_that_it_is_taken_is_written_to(tmp_path, monkeypatch):
    """As with EACCES, which is also what some disks say of a lock that is held."""
    tries = iter(range(100))
    monkeypatch.setattr(abandoned, "lock_descriptor", lambda *_, **__: next(tries) < 0)
    storage.atomic_write(tmp_path / "a", b"whole")
    with storage.unfinished_folder(tmp_path / "b") as folder:
        assert sorted(os.listdir(tmp_path)) == [folder.name, "a"]
    assert os.listdir(tmp_path) == ["a"]


def test_what_a_living_process_writes_stays_however_old_it_is(tmp_path):
    with storage.atomic_writer(tmp_path / "a.html") as file:
        [name] = os.listdir(tmp_path)
        for days in (0, 1000):
            age(tmp_path / name, days)
            remove_abandoned(tmp_path, ["a.html"])
            assert os.listdir(tmp_path) == [name]
        file.write(b"whole")
    assert os.listdir(tmp_path) == ["a.html"]


@pytest.mark.skipif(os.name == "nt", reason="Windows locks no unfinished file")
def test_a_run_that_has_a_folder_for_itself_removes_at_once_what_nobody_holds(tmp_path, monkeypatch):
    monkeypatch.setattr("dimmagen.core.storage.writing._ENDING_SECONDS", 0)
    with storage.atomic_writer(tmp_path / "a.html") as file:
        [held] = os.listdir(tmp_path)
        others = [".b.html.0000abcd.7.tmp", ".profile.0000abcd.7.tmp"]  # of another host
        (tmp_path / others[0]).write_bytes(b"")
        (tmp_path / others[1] / "in it").mkdir(parents=True)
        assert sorted(storage.remove_unfinished(tmp_path)) == others
        assert os.listdir(tmp_path) == [held]
        file.write(b"whole")
    assert os.listdir(tmp_path) == ["a.html"]


@pytest.mark.skipif(os.name == "nt", reason="Windows locks no unfinished file")
def test_a_run_waits_for_what_a_killed_process_holds_until_it_has_ended(tmp_path, monkeypatch):
    left = tmp_path / storage.unfinished_name("a.html")
    left.write_bytes(b"half")
    descriptor = os.open(left, os.O_RDONLY)
    assert abandoned.claim(descriptor, left)
    monkeypatch.setattr(time, "sleep", lambda _: os.close(descriptor))
    assert storage.remove_unfinished(tmp_path) == [left.name]
    assert os.listdir(tmp_path) == []


def test_a_file_belongs_to_its_writer_until_it_has_its_name(tmp_path, monkeypatch):
    """Between closing and renaming it another process would take it for abandoned."""
    replace = os.replace

    def renamed_late(old, new):
        remove_abandoned(tmp_path, ["a.html"])
        replace(old, new)

    monkeypatch.setattr(os, "replace", renamed_late)
    storage.atomic_write(tmp_path / "a.html", b"whole")
    assert (tmp_path / "a.html").read_bytes() == b"whole"


@pytest.mark.parametrize("number", [errno.EACCES, errno.ETXTBSY])
def test_where_no_open_file_can_be_renamed_it_is_closed_before(number, tmp_path, monkeypatch):
    replace, files = os.replace, []

    def refused_while_open(old, new):
        if not files[0].closed:
            raise OSError(number, os.strerror(number))
        replace(old, new)

    monkeypatch.setattr(os, "replace", refused_while_open)
    with storage.atomic_writer(tmp_path / "a.html") as file:
        files.append(file)
        file.write(b"whole")
    assert (tmp_path / "a.html").read_bytes() == b"whole"
    assert os.listdir(tmp_path) == ["a.html"]


def test_a_file_that_was_taken_for_abandoned_before_it_was_locked_is_made_again(tmp_path, monkeypatch):
    claim, removed = abandoned.claim, []

    def claimed_late(descriptor, path):
        if not removed:
            removed.append(path.name)
            path.unlink()
        return claim(descriptor, path)

    monkeypatch.setattr(abandoned, "claim", claimed_late)
    storage.atomic_write(tmp_path / "a.html", b"whole")
    assert (tmp_path / "a.html").read_bytes() == b"whole"
    assert len(removed) == 1


@pytest.mark.parametrize("case", ["another host", "no locks"])
def test_where_a_lock_says_nothing_a_file_is_abandoned_after_a_day(case, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    if case == "no locks":
        monkeypatch.setattr(abandoned, "lock_descriptor", refuse)
    mark = "0000" if case == "another host" else abandoned.host_mark()
    file = tmp_path / f".a.html.{mark}0000.77.tmp"
    file.write_bytes(b"")
    age(file, 0.9)
    write_result(tmp_path / "a.html", b"whole")
    assert file.exists()
    age(file, 1.1)
    write_result(tmp_path / "a.html", b"whole")
    assert os.listdir(tmp_path) == ["a.html"]


@pytest.mark.parametrize(
    "name", [".a.html.2024.tmp", ".a.html.00000000.tmp", "a.html.00000000.7.tmp", ".b.html.00000000.7.tmp"]
)
def test_other_files_are_not_touched(name, tmp_path):
    (tmp_path / name).write_bytes(b"mine")
    age(tmp_path / name, 1000)
    write_result(tmp_path / "a.html", b"whole")
    assert sorted(os.listdir(tmp_path)) == sorted(["a.html", name])


def test_a_folder_that_cannot_be_listed_is_written_to(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", refuse)
        write_result(tmp_path / "a.html", b"whole")
    assert os.listdir(tmp_path) == ["a.html"]


@pytest.mark.needs("links")
def test_a_link_in_place_of_a_file_is_not_followed(tmp_path):
    (tmp_path / "mine").write_bytes(b"mine")
    link = tmp_path / f".a.html.{abandoned.host_mark()}0000.77.tmp"
    link.symlink_to("mine")
    write_result(tmp_path / "a.html", b"whole")
    assert (tmp_path / "mine").read_bytes() == b"mine"


@pytest.mark.skipif(os.name == "nt", reason="Windows locks no unfinished file")
@pytest.mark.parametrize("what", [storage.atomic_writer, storage.unfinished_folder])
def test_a_signal_in_the_instant_in_which_something_is_made_leaves_nothing_of_it(what, tmp_path, monkeypatch):
    def stopped(descriptor, path):
        assert os.listdir(tmp_path) == [path.name]
        raise KeyboardInterrupt

    monkeypatch.setattr(abandoned, "claim", stopped)
    with pytest.raises(KeyboardInterrupt), what(tmp_path / "a"):
        pytest.fail("it was claimed")
    assert os.listdir(tmp_path) == []
