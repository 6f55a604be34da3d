"""Runs on a Ray cluster of several local nodes: nodes that die, join, are full or differ."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import pytest

from dimmagen.dataset.compare import assert_same_dataset
from tests.core.executors.ray_nodes import RayNodes
from tests.dataset_helpers import file_hashes, make, write_photos
from tests.killing import Held, complete, descendants, files_below, thorough, wait_for

PROCESSORS = 3  # declared for each node; by default Ray fills half of a node before it uses the next one
VARIANTS, PHOTOS, SAMPLES = 9, 20, 6
pytestmark = [
    pytest.mark.needs("proc", "signals"),
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.xdist_group("ray"),
]


@pytest.fixture(scope="module")
def all_held(tmp_path_factory):
    return Held(tmp_path_factory.mktemp("held"))


@pytest.fixture(scope="module")
def all_nodes(all_held):
    nodes = RayNodes(PROCESSORS, all_held)
    yield nodes
    nodes.end()


@pytest.fixture
def nodes(all_nodes):
    """A head and at least one other node."""
    all_nodes.have(2)
    return all_nodes


@pytest.fixture
def held(all_held):
    """Workers that make about five of the 36 shards until they are released."""
    all_held.hold("*.tar", 5)
    yield all_held
    all_held.release()


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("photos") / "photos", PHOTOS)


@pytest.fixture(scope="module")
def undisturbed(photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    make(photos, out, variants=VARIANTS, samples_per_shard=SAMPLES)
    return out


def start_python(nodes, log, *words):
    """Write messages to the log, and standard output to a file next to it."""
    with open(log, "wb") as messages, open(f"{log}.out", "wb") as printed:
        return subprocess.Popen([sys.executable, *words], stdout=printed, stderr=messages, env=nodes.environ)


def start_dim(nodes, photos, out, log, function=None, workers=3):
    """`dimmagen dim` on the cluster, or a function of tests/core/executors/ray_runs.py instead."""
    arguments = ["--profile", "linear", "--source", str(photos), "--shards", str(out)]
    arguments += ["--variants", str(VARIANTS), "--samples-per-shard", str(SAMPLES)]
    arguments += ["--workers", str(workers), "--address", nodes.address]
    arguments += ["--light-format", "same"]  # as `make` does
    if function is None:
        return start_python(nodes, log, "-m", "dimmagen", "dim", *arguments)
    code = f"import sys; from tests.core.executors.ray_runs import {function}; {function}(*sys.argv[1:])"
    return start_python(nodes, log, "-c", code, *arguments)


def naps(nodes, *words):
    """Sleep on the cluster; returns the records, the number of pairs, the statuses, and the messages."""
    command = [sys.executable, "-m", "tests.core.executors.ray_runs", "--address", nodes.address, *words]
    run = subprocess.run(command, env=nodes.environ, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    return *json.loads(run.stdout).values(), run.stderr


def signal_actors(nodes, which):
    for node in nodes:
        for process, name in descendants(node.pid).items():
            if name.startswith("ray::Actor"):
                os.kill(process, which)


def is_in_a_shard(node, out):
    """Whether an actor of a node writes a shard, whose name contains the process id."""
    below = descendants(node.pid)
    unfinished = [file for file in files_below(out / "shards") if file.suffix == ".tmp"]
    return any(int(file.name.split(".")[-2]) in below for file in unfinished)


@pytest.fixture(scope="module")
def of_two_workers(all_nodes):
    """Records of short jobs, and the number of reported pairs."""
    all_nodes.have(2)
    return naps(all_nodes, "--workers", "2", "--until-nodes", "2", "--seconds", "0.05")[:2]


def test_actors_are_spread_over_the_nodes_even_where_one_could_hold_them_all(of_two_workers):
    records, pairs = of_two_workers
    assert len({record["node"] for record in records}) == 2
    assert len(records) == pairs > 1


def test_without_workers_there_is_an_actor_for_each_processor_of_the_cluster(nodes):
    processors = PROCESSORS * len(nodes.nodes)
    records, *_ = naps(nodes, "--until-actors", str(processors))
    assert len({record["actor"] for record in records}) == processors


def test_no_job_is_held_by_an_actor_without_a_place_and_a_node_that_joins_starts_it(nodes):
    """More workers than processors: the run continues with those that fit, reports the others, and ends."""
    before, places = len(nodes.nodes), PROCESSORS * (len(nodes.nodes) + 1)
    nodes.join()
    records, *_, messages = naps(
        nodes, "--workers", str(places + 1), "--until-nodes", str(before + 1), "--seconds", "0.2"
    )
    assert len({record["node"] for record in records}) == before + 1
    assert Counter(record["name"] for record in records).most_common(1)[0][1] == 1
    assert "workers are waiting for a processor" in messages


def test_a_node_that_is_killed_changes_no_byte(nodes, photos, undisturbed, held, tmp_path):
    """All its actors die. The actors of the other nodes, which have no room for more, make their shards."""
    out, log = tmp_path / "out", tmp_path / "log"
    victim = nodes.nodes[-1]
    run = start_dim(nodes, photos, out, log, workers=PROCESSORS * len(nodes.nodes))
    wait_for(lambda: complete(out) >= 5, run)
    wait_for(lambda: is_in_a_shard(victim, out), run)
    assert run.poll() is None, log.read_text()
    nodes.kill(victim)
    held.release()
    assert run.wait() == 0, log.read_text()
    assert_same_dataset(undisturbed, out)
    assert "Traceback" not in log.read_text()
    printed = Path(f"{log}.out").read_text()
    assert printed.startswith("rejected by "), printed  # no output of Ray before it
    assert f"\n{out} is complete: " in printed
    assert "(raylet)" not in printed


def build_mixhq(nodes, photos, out, log, *words):
    """`build-mixhq`, without what was scanned before."""
    run = start_python(
        nodes, log, "-m", "dimmagen", "build-mixhq", "--source", str(photos), "--out", str(out), *words
    )
    return run.wait(timeout=600), log.read_text()


def test_photos_are_scanned_on_the_nodes_with_the_same_bytes(nodes, tmp_path):
    photos, log = write_photos(tmp_path / "photos", 40), tmp_path / "log"  # three ranges
    assert build_mixhq(nodes, photos, tmp_path / "serial", log)[0] == 0, log.read_text()
    for workers in ("1", "3"):
        where = ("--address", nodes.address, "--workers", workers)
        code, text = build_mixhq(nodes, photos, tmp_path / workers, log, *where)
        assert code == 0, text
        assert file_hashes(tmp_path / workers) == file_hashes(tmp_path / "serial")


def test_an_error_on_a_node_ends_the_run_with_the_node_the_pair_and_the_path(nodes, photos, held, tmp_path):
    copy, out, log = tmp_path / "photos", tmp_path / "out", tmp_path / "log"
    shutil.copytree(photos, copy)
    run = start_dim(nodes, copy, out, log)
    wait_for(lambda: complete(out) >= 2, run)
    for path in copy.iterdir():
        path.unlink()
    held.release()
    assert run.wait() == 1
    assert re.search(rf"Error: on node {socket.gethostname()} .*: pair folder-.* of folder", log.read_text())
    assert str(copy) in log.read_text()
    assert "Traceback" not in log.read_text()
    assert complete(out) >= 2


def test_a_node_with_other_library_versions_is_refused_by_name_with_both_versions(nodes, photos, tmp_path):
    log = tmp_path / "log"
    run = start_dim(nodes, photos, tmp_path / "out", log, "dim_of_another_class")
    assert run.wait() == 1
    assert f"on node {socket.gethostname()}" in log.read_text()
    assert f"environment.versions.numpy: 1.0 → {version('numpy')}" in log.read_text()
    assert complete(tmp_path / "out") == 0


def test_a_run_that_was_suspended_goes_on(nodes, photos, undisturbed, held, tmp_path):
    """As with Ctrl-Z and fg: the head counts as silent only while the run is not suspended."""
    out, log = tmp_path / "out", tmp_path / "log"
    run = start_dim(nodes, photos, out, log, "impatient_dim")
    wait_for(lambda: complete(out) >= 5, run)
    signal_actors(nodes.nodes, signal.SIGSTOP)
    os.kill(run.pid, signal.SIGSTOP)
    time.sleep(8)  # more than the timeout for a lost head
    os.kill(run.pid, signal.SIGCONT)
    signal_actors(nodes.nodes, signal.SIGCONT)
    held.release()
    assert run.wait() == 0, log.read_text()
    assert_same_dataset(undisturbed, out)


def freeze_head(nodes):
    """Its machine still accepts connections, but does not answer."""
    for process, name in descendants(nodes.nodes[0].pid).items():
        if name.split(" ")[0].endswith("/gcs_server"):
            os.kill(process, signal.SIGSTOP)


def kill_head(nodes):
    nodes.kill(nodes.nodes[0])


@pytest.mark.parametrize(
    ("lose", "function"),
    [
        pytest.param(kill_head, "impatient_dim", id="killed", marks=thorough),
        pytest.param(freeze_head, "impatient_dim", id="frozen"),
        pytest.param(kill_head, "dim_that_waits", id="killed and waited for"),
    ],
)
def test_a_run_whose_head_is_lost_ends_with_a_message_and_goes_on(
    lose, function, nodes, photos, undisturbed, held, tmp_path
):
    out, log = tmp_path / "out", tmp_path / "log"
    run = start_dim(nodes, photos, out, log, function)
    wait_for(lambda: complete(out) >= 5, run)
    kept = complete(out)
    lose(nodes)
    assert run.wait() == 1, log.read_text()
    nodes.end()
    assert "Error: the Ray cluster was lost: its head at" in log.read_text()
    assert "run the same command again to resume" in log.read_text()
    assert "Traceback" not in log.read_text()
    assert complete(out) >= kept >= 5
    make(photos, out, variants=VARIANTS, samples_per_shard=SAMPLES, resume="always")
    assert_same_dataset(undisturbed, out)


def test_a_program_that_uses_the_library_outlives_the_head(nodes, photos, held, tmp_path):
    """It gets an exception; only the command line ends its own process."""
    out, log = tmp_path / "out", tmp_path / "log"
    run = start_dim(nodes, photos, out, log, "library_run")
    wait_for(lambda: complete(out) >= 5, run)
    kill_head(nodes)
    assert run.wait() == 0, log.read_text()
    nodes.end()
    assert Path(f"{log}.out").read_text().startswith("caught: the Ray cluster was lost: its head at")


def test_a_run_whose_head_is_lost_when_all_is_done_is_complete(nodes, photos, undisturbed, tmp_path):
    out, log = tmp_path / "out", tmp_path / "log"
    run = start_dim(nodes, photos, out, log, "patient_dim")
    wait_for(lambda: complete(out) >= 25, run)
    freeze_head(nodes)
    assert run.wait() == 0, log.read_text()
    nodes.end()
    assert_same_dataset(undisturbed, out)
    assert "Traceback" not in log.read_text()
