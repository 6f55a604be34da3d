"""A Ray that the user has connected is used, and left as it is."""

import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from threading import Event
from types import SimpleNamespace

import pytest

from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.executors import ray_cluster, ray_connected
from dimmagen.core.executors.ray_cluster import connect_ray, refuse_cluster_options
from dimmagen.core.executors.ray_pool import run_ray


def builder(seconds=0):
    """Of a worker that makes the job `b` so long; a function inside another is pickled with its code."""

    def build():
        def work(job, on_pair):
            time.sleep(seconds if job.name == "b" else 0)
            return f"made {job.name}"

        return work

    return build


@pytest.mark.ray
def test_a_ray_that_the_user_has_connected_is_used_and_left(monkeypatch):
    jobs = [SimpleNamespace(name="a"), SimpleNamespace(name="b")]
    with connect_ray(1, None) as ray, monkeypatch.context() as changed:
        with pytest.raises(DimmagenError, match="another run of this process"), connect_ray(1, None):
            pass
        changed.setattr(ray_connected, "own_runs", set())  # as if the user had connected it
        changed.setenv("RAY_ADDRESS", "10.0.0.1:6379")  # as in a job of a cluster
        refuse_cluster_options("ray", None, None)
        address = ray.get_runtime_context().gcs_address
        made = [record for _, record in run_ray(builder(), jobs, lambda pairs: None, 1, address)]
        assert sorted(made) == ["made a", "made b"]
        assert ray.is_initialized()
        with (
            pytest.raises(UsageError, match="has connected the Ray at"),
            connect_ray(1, "10.0.0.1:1"),
        ):
            pass
        stopped = run_ray(builder(60), jobs, lambda pairs: None, 1)
        next(stopped)
        stopped.close()
        [left] = run_ray(builder(), jobs[:1], lambda pairs: None, 1)  # it has the only processor
        assert left[1] == "made a"


def test_while_a_run_is_starting_ray_another_of_the_same_process_is_refused(monkeypatch):
    starts = []

    def start(*arguments):
        starts.append(arguments)
        if len(starts) == 1:
            with pytest.raises(DimmagenError, match="another run of this process"), connect_ray(1, None):
                pass

    monkeypatch.setattr(ray_cluster, "_init", start)
    for number in (1, 2):  # one that has left its Ray keeps nobody from the next one
        with connect_ray(1, None):
            pass
        assert len(starts) == number


def test_a_ray_that_another_thread_is_importing_is_waited_for(tmp_path, monkeypatch):
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "__init__.py").write_text(
        "import gate\ngate.begun.set()\nassert gate.asked.wait(60)\ndef is_initialized(): return True\n"
    )
    gate = SimpleNamespace(begun=Event(), asked=Event())
    monkeypatch.setitem(sys.modules, "gate", gate)
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with ThreadPoolExecutor(2) as threads:
        importing = threads.submit(__import__, "ray")
        assert gate.begun.wait(60)
        asked = threads.submit(ray_connected.connected_ray)
        time.sleep(0.1)  # which an answer that waits for nothing needs less than
        gate.asked.set()
        assert asked.result() is importing.result()
    del sys.modules["ray"]


@pytest.mark.needs("fork")
def test_a_process_that_was_forked_from_one_with_ray_is_refused_and_waits_for_nothing(monkeypatch):
    monkeypatch.setattr(ray_cluster, "_init", lambda *arguments: None)
    monkeypatch.setattr(ray_connected, "_was_used", False)

    def refusal():
        with ProcessPoolExecutor(1, get_context("fork")) as processes:
            return processes.submit(_refusal).result()

    assert refusal() == ""
    with connect_ray(1, None):
        pass
    assert "was forked from one that has connected Ray" in refusal()
    assert "was forked" not in _refusal()


def _refusal():
    try:
        with connect_ray(1, None):
            return ""
    except DimmagenError as error:
        return str(error)
