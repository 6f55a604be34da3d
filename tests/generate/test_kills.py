"""Runs that are killed: after a resume the bytes are those of an undisturbed run."""

import os
import random
import signal
import time

import pytest

from dimmagen.dataset.compare import assert_same_dataset
from tests.core.executors.ray_nodes import QUICK_CHECKS
from tests.dataset_helpers import make, write_photos
from tests.killing import Held, began, complete, descendants, kill, start, thorough, wait_for

VARIANTS, PHOTOS = 6, 20


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("photos") / "photos", PHOTOS)


@pytest.fixture(scope="module")
def undisturbed(photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    make(photos, out, variants=VARIANTS)
    return out


@pytest.fixture
def held(tmp_path):
    """Runs that make no more than half of their shards, of which there are 42, until they are released."""
    held = Held(tmp_path)
    held.hold("*.tar", 21)
    return held


def arguments(photos, out, executor):
    settings = ["--variants", str(VARIANTS), "--samples-per-shard", "3", "--workers", "2"]
    settings += ["--light-format", "same"]  # as `make` does
    where = ["--source", str(photos), "--shards", str(out), "--executor", executor]
    return ["dim", "--profile", "linear", *settings, *where]


@pytest.mark.needs("fork", "signals")
@pytest.mark.slow
@thorough  # test_random_kills.py kills one at any moment
def test_a_serial_run_that_is_killed_again_and_again(photos, undisturbed, tmp_path):
    out, log = tmp_path / "out", tmp_path / "log"
    chance = random.Random(20231009)
    for _ in range(5):
        run = start(*arguments(photos, out, "serial"), log=log)
        done = complete(out) + chance.randint(0, 8)
        wait_for(lambda: complete(out) >= done, run)  # noqa: B023 - called before done changes
        if run.poll() is None:
            kill(run.pid)
        run.wait()
    run = start(*arguments(photos, out, "serial"), log=log)
    assert run.wait() == 0, log.read_text()
    assert_same_dataset(undisturbed, out)


def actors_of(run):
    return [pid for pid, name in descendants(run.pid).items() if name.startswith("ray::Actor")]


@pytest.mark.needs("fork", "proc", "signals")
@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.xdist_group("ray")
@pytest.mark.parametrize(
    "victim", ["driver", pytest.param("an actor", marks=thorough), "all actors", "the Ray node"]
)
def test_a_ray_run_that_loses(victim, photos, undisturbed, held, tmp_path, monkeypatch):
    if victim == "the Ray node":
        for name, value in QUICK_CHECKS.items():
            monkeypatch.setenv(f"RAY_{name}", str(value))
    out, log = tmp_path / "out", tmp_path / "log"
    run = start(*arguments(photos, out, "ray"), log=log, held=held)
    done = random.Random(victim).randint(1, 17)  # each actor has a job of two shards
    wait_for(lambda: complete(out) >= done and len(actors_of(run)) == 2, run)
    actors, below = actors_of(run), descendants(run.pid)
    raylets = [pid for pid, name in below.items() if name.split(" ")[0].endswith("/raylet")]
    assert len(actors) == 2, below
    assert len(raylets) == 1, below
    kill(
        *{"driver": [run.pid], "an actor": actors[:1], "all actors": actors, "the Ray node": raylets}[victim]
    )
    if victim in ("driver", "the Ray node"):
        assert run.wait() != 0
        assert not (out / "manifest.json").exists()
        run = start(*arguments(photos, out, "serial"), log=log)
    held.release()
    assert run.wait() == 0, log.read_text()
    assert_same_dataset(undisturbed, out)


@pytest.mark.needs("fork", "signals")
@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["SIGINT", *(pytest.param(name, marks=thorough) for name in ("SIGTERM", "SIGHUP"))]
)
def test_a_signal_ends_with_its_code_says_how_to_go_on_and_keeps_complete_shards(
    name, photos, undisturbed, held, tmp_path
):
    sent = getattr(signal, name)
    out, log = tmp_path / "out", tmp_path / "log"
    run = start(*arguments(photos, out, "serial"), log=log, held=held)
    wait_for(lambda: complete(out) >= 2, run)
    os.killpg(run.pid, sent)
    assert run.wait() == 128 + sent
    assert log.read_text().count("run the same command again") == 1
    assert "Traceback" not in log.read_text()
    assert list(out.rglob("*.tmp")) == []
    kept = complete(out)
    assert kept >= 2
    make(photos, out, variants=VARIANTS, resume="always")
    assert_same_dataset(undisturbed, out)


@pytest.mark.needs("fork", "proc", "signals")
@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.xdist_group("ray")
def test_sigterm_ends_a_ray_run_as_a_serial_one_and_leaves_no_process(photos, undisturbed, held, tmp_path):
    out, log = tmp_path / "out", tmp_path / "log"
    run = start(*arguments(photos, out, "ray"), log=log, held=held)
    wait_for(lambda: complete(out) >= 2 and len(actors_of(run)) == 2, run)
    below = {pid: (began(pid), name) for pid, name in descendants(run.pid).items()}
    os.kill(run.pid, signal.SIGTERM)
    assert run.wait() == 128 + signal.SIGTERM, log.read_text()
    assert "Stopped by SIGTERM" in log.read_text()
    assert "Traceback" not in log.read_text()
    assert list(out.rglob("*.tmp")) == []
    end = time.monotonic() + 60
    while (left := [name for pid, (then, name) in below.items() if then and began(pid) == then]) and (
        time.monotonic() < end
    ):
        time.sleep(0.1)
    assert left == []
    make(photos, out, variants=VARIANTS, resume="always")
    assert_same_dataset(undisturbed, out)
