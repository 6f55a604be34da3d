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
from tests.killing import descendants, state, wait_for

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.xdist_group("ray")]
_NAPS = [sys.executable, "-m", "tests.core.executors.ray_runs", "--workers", "2"]


def test_a_suspended_worker_is_replaced_after_the_timeout_and_every_job_is_done(tmp_path):
    options = ["--seconds", "0.3", "--stop-one", tmp_path / "stopped", "--silence", "1"]
    options += ["--worker-timeout", "10", "--until-actors", "2"]  # the one that takes its place is the second
    run = subprocess.run([*_NAPS, *options], capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    result, stopped = json.loads(run.stdout), (tmp_path / "stopped").read_text()
    names = sorted(record["name"] for record in result["records"])
    assert names == [f"train-{index:05d}" for index in range(len(names))]
    assert stopped not in {str(record["actor"]) for record in result["records"]}
    assert result["pairs"] == len(names) > 1
    told = [line for line in run.stderr.splitlines() if f"(process {stopped}) has made no pair" in line]
    assert len(told) == 1, run.stderr
    assert "it works on train-00000" in told[0]
    lost = [line for line in run.stderr.splitlines() if "was lost; another one makes train-00000" in line]
    assert len(lost) == 1, run.stderr
    assert "lost in this run: workers: 1, nodes: 0" in run.stderr
    statuses = result["statuses"]
    assert statuses[0]["waiting_for"] == "the start of Ray"
    assert "the workers to load" in [status["waiting_for"] for status in statuses]
    assert max(status["ready"] for status in statuses) == 2
    assert (statuses[-1]["waiting_for"], statuses[-1]["lost"], statuses[-1]["retries"]) == ("", 1, 1)


@pytest.mark.needs("proc", "signals")
def test_without_a_timeout_it_is_told_and_goes_on_when_the_worker_does(tmp_path):
    options = ["--jobs", "8", "--seconds", "0.3", "--stop-one", tmp_path / "stopped", "--silence", "1"]
    with open(tmp_path / "log", "wb") as log, open(tmp_path / "out", "wb") as out:
        run = subprocess.Popen([*_NAPS, *options], stdout=out, stderr=log, start_new_session=True)
    wait_for(lambda: any(is_told(process, tmp_path / "log") for process in suspended_below(run)), run)
    assert run.poll() is None, (tmp_path / "log").read_text()
    [stopped] = suspended_below(run)
    time.sleep(1)  # the other worker ends its jobs; the run waits for this one
    os.kill(stopped, signal.SIGCONT)
    assert run.wait(timeout=600) == 0, (tmp_path / "log").read_text()
    assert (tmp_path / "stopped").read_text() == str(stopped)
    assert len(json.loads((tmp_path / "out").read_text())["records"]) == 8
    assert "lost in this run" not in (tmp_path / "log").read_text()


def suspended_below(run):
    return [process for process in descendants(run.pid) if state(process) == "T"]


def is_told(process, log):
    told = [line for line in log.read_text().splitlines() if f"(process {process}) has made no pair" in line]
    return any("with a worker timeout it would be replaced" in line for line in told)


def test_a_timeout_without_workers_is_a_contradiction():
    with pytest.raises(UsageError, match=r"`worker_timeout` is for `executor=\"ray\"`"):
        Execution("serial", worker_timeout=5)
