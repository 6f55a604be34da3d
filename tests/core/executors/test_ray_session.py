"""What a Ray of this machine leaves behind: nothing, neither files nor handlers of signals."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from threading import Event, Thread, Timer

import pytest

from dimmagen.core.executors import ray_cluster
from dimmagen.core.executors.ray_cluster import connect_ray
from dimmagen.core.executors.ray_folder import session_folder
from tests.killing import descendants


@pytest.mark.ray
@pytest.mark.parametrize("length", [0, 60])
def test_a_ray_of_this_machine_leaves_no_folder(length, monkeypatch):
    """Neither in the folder for temporary files nor, where its path is too long for a socket, in /tmp."""
    parent = tempfile.mkdtemp(prefix="t", dir="/tmp", suffix="x" * length)
    monkeypatch.setattr(tempfile, "tempdir", parent)
    made, make = [], tempfile.TemporaryDirectory

    def noted(*arguments, **options):
        made.append(make(*arguments, **options))
        return made[-1]

    monkeypatch.setattr(tempfile, "TemporaryDirectory", noted)
    with connect_ray(1, None):
        (session,) = made
        assert os.listdir(session.name)
        assert os.path.dirname(session.name) == ("/tmp" if length else parent)
    assert not os.path.exists(session.name)
    assert os.listdir(parent) == []
    os.rmdir(parent)


@pytest.mark.ray
@pytest.mark.parametrize("is_searched", [False, True])
def test_workers_look_for_modules_in_the_working_directory_only_where_this_process_does(
    is_searched, tmp_path, monkeypatch
):
    """Where it does not, as in a command, a file `numpy.py` there must not run in place of the package."""
    here, elsewhere = os.path.realpath(tmp_path), [path for path in sys.path if path]
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "path", elsewhere + [""] * is_searched)
    with connect_ray(1, None) as ray:
        searched = ray.get(ray.remote(lambda: list(__import__("sys").path)).remote())
    assert (here in searched) == is_searched


def test_ray_is_connected_again_only_after_it_has_been_left(monkeypatch):
    """On a busy machine, leaving it takes longer than a run waits: between scanning and dimming, say."""
    leaving = Event()
    shutdown = Thread(target=leaving.wait, daemon=True)
    shutdown.start()
    monkeypatch.setattr(ray_cluster, "_shutdown", shutdown)
    left = []
    monkeypatch.setattr(ray_cluster, "_init", lambda *_: left.append(not ray_cluster.is_leaving()))
    Timer(0.5, leaving.set).start()
    with connect_ray(1, None):
        assert left == [True]


_HOLDS = """
import sys, tempfile
from dimmagen.core.executors.ray_folder import session_folder
tempfile.tempdir = sys.argv[1]
with session_folder() as place:
    open(f"{place}/log", "w").close()
    print(place, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def parent(monkeypatch):
    parent = tempfile.mkdtemp(prefix="t", dir="/tmp")
    monkeypatch.setattr(tempfile, "tempdir", parent)
    yield parent
    os.rmdir(parent)


@pytest.mark.skipif(os.name == "nt", reason="Windows renames no open file")
def test_the_folder_of_a_killed_run_is_removed_by_the_next_and_that_of_a_living_one_stays(parent):
    command = [sys.executable, "-c", _HOLDS, parent]
    runs = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in "12"]
    killed, living = (os.path.dirname(run.stdout.readline().strip()) for run in runs)
    runs[0].kill()
    runs[0].wait()
    others = os.path.join(parent, "dimmagen-ray-without-owner")
    os.mkdir(others)
    assert os.path.exists(os.path.join(killed, "r/log"))
    with session_folder() as place:
        assert os.stat(os.path.dirname(place)).st_mode & 0o077 == 0  # Ray opens its own to all
        names = {os.path.basename(one) for one in (living, os.path.dirname(place), others)}
        assert set(os.listdir(parent)) == names
    runs[1].communicate("")
    os.rmdir(others)


_CONNECTS = """
import signal
from dimmagen.core.executors.ray_cluster import connect_ray
signal.signal(signal.SIGTERM, lambda *_: caught.append(0))
caught = []
print("begins", flush=True)
with connect_ray(1, None):
    print("is there", flush=True)
print("has left", len(caught), flush=True)
"""


@pytest.mark.ray
@pytest.mark.skipif(os.name == "nt", reason="SIGTERM ends a process on Windows")
def test_a_handler_of_sigterm_has_every_signal_while_ray_connects_and_is_left(tmp_path):
    """Ray's library has its own, which prints a trace and aborts, and sets the default when it is left."""
    log, sent = tmp_path / "log", 0
    with log.open("wb") as file:
        run = subprocess.Popen([sys.executable, "-c", _CONNECTS], stdout=file, stderr=subprocess.STDOUT)
    while "has left" not in (said := log.read_text()) and run.poll() is None:
        if said:
            run.send_signal(signal.SIGTERM)
            sent += 1
        time.sleep(0.005)
    run.kill()
    run.wait()
    said = log.read_text()  # it may have ended since
    assert said.startswith("begins\nis there\nhas left "), said
    assert 0 < int(said.split()[-1]) <= sent


def session_of(pid):
    try:
        return os.getsid(pid)
    except ProcessLookupError:  # Ray also starts processes that end soon
        return None


@pytest.mark.needs("fork", "proc")
@pytest.mark.ray
@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux ends processes of other sessions with this one"
)
def test_the_processes_of_ray_are_out_of_reach_of_a_signal_to_the_group_of_the_run():
    before = descendants(os.getpid())  # of other tests in this process
    with connect_ray(1, None):
        of_ray = {pid: name for pid, name in descendants(os.getpid()).items() if pid not in before}
        assert any("raylet" in name for name in of_ray.values())
        assert [name for pid, name in of_ray.items() if session_of(pid) == os.getsid(0)] == []
    ours = subprocess.Popen(["sleep", "60"], preexec_fn=lambda: None)
    try:
        assert os.getsid(ours.pid) == os.getsid(0)
    finally:
        ours.kill()
        ours.wait()
