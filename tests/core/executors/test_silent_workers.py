"""A worker that hangs is told with what it works on, and replaced if the run says so."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from dimmagen.core.errors import UsageError
from dimmagen.generate.run import Execution
from tests.killing import descendants, wait_for

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.xdist_group("ray")]
_NAPS = [sys.executable, "-m", "tests.core.executors.ray_runs", "--workers", "2", "--jobs", "8"]


def test_a_suspended_worker_is_replaced_after_the_timeout_and_every_job_is_done():
    options = ["--seconds", "0.3", "--stop-one", "--worker-timeout", "3", "--silence", "1"]
    run = subprocess.run([*_NAPS, *options], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    first = result["records"][0]["actor"]
    assert sorted(record["name"] for record in result["records"]) == [f"train-{i:05d}" for i in range(8)]
    assert sum(record["actor"] == first for record in result["records"]) == 1
    assert result["pairs"] == 8
    told = [line for line in run.stderr.splitlines() if f"(process {first}) has made no pair" in line]
    assert len(told) == 1, run.stderr
    assert "it works on train-0000" in told[0]
    lost = [line for line in run.stderr.splitlines() if "was lost; another one makes train-0000" in line]
    assert len(lost) == 1, run.stderr
    assert "lost in this run: workers: 1, nodes: 0" in run.stderr
    statuses = result["statuses"]
    assert statuses[0]["waiting_for"] == "the start of Ray"
    assert "the workers to load" in [status["waiting_for"] for status in statuses]
    assert max(status["ready"] for status in statuses) == 2
    assert (statuses[-1]["waiting_for"], statuses[-1]["lost"], statuses[-1]["retries"]) == ("", 1, 1)


@pytest.mark.needs("proc", "signals")
def test_without_a_timeout_it_is_told_and_goes_on_when_the_worker_does(tmp_path):
    options = ["--seconds", "0.3", "--stop-one", "--silence", "1"]
    with open(tmp_path / "log", "wb") as log, open(tmp_path / "out", "wb") as out:
        run = subprocess.Popen([*_NAPS, *options], stdout=out, stderr=log, start_new_session=True)
    wait_for(lambda: "with a worker timeout it would be replaced" in (tmp_path / "log").read_text(), run)
    assert run.poll() is None, (tmp_path / "log").read_text()
    time.sleep(1)  # the other worker ends its jobs; the run waits for this one
    for process, name in descendants(run.pid).items():
        if name.startswith("ray::"):
            os.kill(process, signal.SIGCONT)
    assert run.wait(timeout=60) == 0, (tmp_path / "log").read_text()
    assert len(json.loads((tmp_path / "out").read_text())["records"]) == 8
    assert "lost in this run" not in (tmp_path / "log").read_text()


def test_a_timeout_without_workers_is_a_contradiction():
    with pytest.raises(UsageError, match=r"`worker_timeout` is for `executor=\"ray\"`"):
        Execution("serial", worker_timeout=5)
