"""Jobs in this process."""

from types import SimpleNamespace

from dimmagen.core.executors.base import WorkerStatus
from dimmagen.core.executors.serial import run_serial


def test_it_says_that_the_worker_loads_before_it_works():
    told = []

    def build():
        told.append("built")
        return lambda job, on_pair: on_pair()

    jobs = [SimpleNamespace(name="a"), SimpleNamespace(name="b")]
    list(run_serial(build, jobs, told.append, told.append))
    assert told == [WorkerStatus("the worker to load"), "built", WorkerStatus(ready=1), 1, 1]
