"""Runs in a separate process; as a module it sleeps on a Ray cluster and prints where."""

import argparse
import itertools
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass

from dimmagen.cli import main
from dimmagen.core.executors import ray_cluster, ray_pool, ray_silence
from dimmagen.core.executors.base import WorkerStatus
from dimmagen.core.executors.ray_pool import run_ray
from dimmagen.generate import run, run_environment
from tests.dataset_helpers import make


@dataclass(frozen=True)
class Nap:
    """A job.

    Attributes:
        stop: file to be made by the process that does the job first, which is then suspended in it.
    """

    name: str
    seconds: float
    stop: str = ""


def nap(job: Nap, on_pair) -> dict:
    import ray

    began = time.time()
    if job.stop and not os.path.exists(job.stop):
        with open(job.stop, "w") as file:
            file.write(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(job.seconds)
    on_pair()
    node = ray.get_runtime_context().get_node_id()
    return {"name": job.name, "node": node, "actor": os.getpid(), "began": began, "ended": time.time()}


def build_napper():
    return nap


def naps() -> None:
    """Print a record of each job and the reported pairs; waiting workers are reported at once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--address")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=0.1)
    parser.add_argument("--silence", type=float, default=60.0, help="seconds until a silent worker is told")
    parser.add_argument("--worker-timeout", type=float)
    parser.add_argument(
        "--stop-one", default="", help="suspend the actor with the first job; file for its id"
    )
    parser.add_argument("--until-nodes", type=int, default=1_000, help="nodes have worked: no more jobs")
    parser.add_argument("--until-actors", type=int, default=1_000, help="actors have worked: no more jobs")
    options = parser.parse_args()
    ray_pool._PATIENCE_SECONDS, ray_silence.SILENCE_SECONDS = 0.0, options.silence
    logging.basicConfig(format="%(message)s")
    records: list[dict] = []

    def jobs() -> Iterator[Nap]:
        for index in itertools.islice(itertools.count(), options.jobs):
            if len({record["node"] for record in records}) >= options.until_nodes:
                return
            if len({record["actor"] for record in records}) >= options.until_actors:
                return
            yield Nap(f"train-{index:05d}", options.seconds, "" if index else options.stop_one)

    reported: list[int] = []
    statuses: list[WorkerStatus] = []
    run = run_ray(
        build_napper,
        jobs(),
        reported.append,
        options.workers,
        options.address,
        timeout=options.worker_timeout,
        on_status=statuses.append,
    )
    with redirect_stdout(sys.stderr):  # to which Ray prints when it has lost a worker
        for _, record in run:
            records.append(record)
    told = [asdict(status) for status in statuses]
    json.dump({"records": records, "pairs": sum(reported), "statuses": told}, sys.stdout)


def impatient_dim(*arguments: str) -> None:
    """`dimmagen dim` with a timeout of five seconds for a lost head, and one second for the shutdown of
    Ray."""
    ray_cluster._LOOK_SECONDS, ray_cluster._PATIENCE_SECONDS, ray_cluster._LEAVE_SECONDS = 0.2, 5.0, 1.0
    main(["dim", *arguments])


def dim_that_waits(*arguments: str) -> None:
    """The same, where the run itself waits for the lost head forever."""
    look = ray_cluster.ClusterMonitor.look

    def look_or_wait(monitor: ray_cluster.ClusterMonitor) -> None:
        try:
            look(monitor)
        except ray_cluster.ClusterLostError:
            time.sleep(1000)

    ray_cluster.ClusterMonitor.look = look_or_wait
    impatient_dim(*arguments)


def library_run(*arguments: str) -> None:
    """A data set made by a separate program, not by the command line: it survives the loss of the head.

    The run itself waits for the head longer than the command line would allow.
    """
    look = ray_cluster.ClusterMonitor.look

    def look_late(monitor: ray_cluster.ClusterMonitor) -> None:
        try:
            look(monitor)
        except ray_cluster.ClusterLostError:
            time.sleep(10)
            raise

    ray_cluster.ClusterMonitor.look = look_late
    ray_cluster._LOOK_SECONDS, ray_cluster._PATIENCE_SECONDS, ray_cluster._LEAVE_SECONDS = 0.2, 3.0, 1.0
    options = dict(zip(arguments[::2], arguments[1::2], strict=True))
    try:
        make(
            options["--source"],
            options["--shards"],
            execution=run.Execution("ray", int(options["--workers"]), options["--address"]),
            variants=int(options["--variants"]),
            samples_per_shard=int(options["--samples-per-shard"]),
        )
    except ray_cluster.ClusterLostError as error:
        print(f"caught: {error}", flush=True)
        os._exit(0)  # the threads of Ray crash a process that has lost the head and exits normally


def patient_dim(*arguments: str) -> None:
    """`dimmagen dim` without a timeout for a lost head, and with one second for the shutdown of Ray."""
    ray_cluster._PATIENCE_SECONDS, ray_cluster._LEAVE_SECONDS = 1000.0, 1.0
    main(["dim", *arguments])


def dim_of_another_class(*arguments: str) -> None:
    """`dimmagen dim` on a machine with another numpy version than the nodes."""
    real = run_environment.environment()
    other = {**real, "versions": {**real["versions"], "numpy": "1.0"}}
    run_environment.environment = lambda: other
    main(["dim", *arguments])


if __name__ == "__main__":
    naps()
