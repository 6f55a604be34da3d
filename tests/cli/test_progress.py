"""Bars and the lines without a terminal: what they wait for, and estimates from the work alone."""

import io
import logging
import math
import re
import threading

import pytest

from dimmagen.cli import progress as module
from dimmagen.cli.console import Console
from dimmagen.cli.logs import session
from dimmagen.cli.output import configure, echo
from dimmagen.cli.progress import Pace, PairProgress, Progress, TrainingProgress
from dimmagen.core.executors.base import WorkerStatus


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands until it is set."""

    class Clock:
        now = 1000.0

    monkeypatch.setattr(module.time, "monotonic", lambda: Clock.now)
    return Clock


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, logger="dimmagen")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "dimmagen.progress"]


def quiet_console():
    return Console(file=io.StringIO())


def test_the_time_before_the_first_step_is_in_no_rate(clock):
    bar = Progress(console=quiet_console())
    task = bar.add_task("pairs", total=101)
    clock.now += 300  # Ray starts, kernels are compiled
    bar.advance(task)
    clock.now += 10
    bar.advance(task, 20)
    pace = Pace.of(bar.tasks[0], clock.now)
    assert (pace.done, pace.per_second, pace.seconds_left) == (21, 2.0, 40.0)


def test_what_was_done_before_is_in_no_rate(clock):
    with PairProgress(quiet_console()) as progress:
        progress.begin(10, 1000, 5, 500)
        clock.now += 60
        progress.pairs(1)
        clock.now += 10
        progress.pairs(100)
        assert progress.pairs_per_second == 10.0


def test_the_rate_of_a_finished_task_stays(clock):
    bar = Progress(console=quiet_console())
    task = bar.add_task("", total=11)
    bar.advance(task)
    clock.now += 5
    bar.advance(task, 10)
    clock.now += 100
    assert Pace.of(bar.tasks[0], clock.now).per_second == 2.0


def test_pairs_of_a_lost_worker_are_taken_back(clock):
    with PairProgress(quiet_console()) as progress:
        progress.begin(2, 100, 0, 0)
        progress.pairs(10)
        clock.now += 10
        progress.pairs(30)
        progress.pairs(-10)
        assert progress.pairs_per_second == 2.0


@pytest.mark.parametrize(
    ("pace", "unit", "text"),
    [
        (Pace(120, 500, 33.14, 11.4), "pairs", "120/500 pairs, 33.1 pairs/s, 11 s left"),
        (Pace(3, 5, None, None), "", "3/5"),
        (Pace(3, 5, 1.0, 0.2), "", "3/5, 1.0/s, 1 s left"),
        (Pace(2, 15, 0.02, 650.0), "", "2/15, 50 s each, 10.8 min left"),
        (Pace(0.5, 1.0, 0.01, 7200), "%", "50 %, 2 h left"),
        (Pace(3, None, None, None), "", ""),
    ],
)
def test_a_pace_in_words(pace, unit, text):
    assert pace.text(unit) == text


@pytest.mark.parametrize("unit", ["pairs", "%", ""])
def test_a_task_of_nothing_is_shown(unit, clock, lines):
    """Nothing to scan, to copy or to fit; and a clock that stands, as a coarse one does."""
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with Progress(console=console) as bar:
        task = bar.add_task("copying", total=0, unit=unit)
        bar.tell()
        bar.advance(task)
        bar.refresh()
        bar.tell()
    assert Pace(0, 0, None, None).text(unit) == {"pairs": "0/0 pairs", "%": "100 %", "": "0/0"}[unit]
    assert not [line for line in lines() if "inf" in line or "nan" in line]


def test_pairs_in_no_time_have_a_rate(clock):
    """A coarse clock may not move while the first pairs are made."""
    with PairProgress(quiet_console()) as progress:
        assert progress.pairs_per_second == 0
        progress.begin(1, 3, 0, 0)
        progress.pairs(3)
        assert progress.seconds > 0
        assert math.isfinite(progress.pairs_per_second)


def test_a_line_says_what_a_run_waits_for_and_then_how_far_it_is(clock, lines, caplog):
    with PairProgress(quiet_console()) as progress:
        progress.begin(3, 300, 0, 0)
        for status in (WorkerStatus("the start of Ray"), WorkerStatus(ready=4)):
            progress.workers(status)
            progress._bar.tell()
        progress.pairs(1)
        clock.now += 10
        progress.pairs(100)
        progress.shard()
        progress.workers(WorkerStatus(ready=3, lost=1, retries=1))
        progress._bar.tell()
    assert lines() == [
        "0/3 shards: waiting for the start of Ray",
        "0/3 shards: waiting for the first pair; kernels are compiled once, 4 workers",
        "1/3 shards: 101/300 pairs, 10.0 pairs/s, 20 s left, 1 lost, 3 workers, 1 retry",
    ]
    fields = caplog.records[-1].fields
    assert fields["workers"] == 3
    assert (fields["lost_workers"], fields["retries"]) == (1, 1)
    assert (fields["done"], fields["total"], fields["per_second"], fields["seconds_left"]) == (
        101,
        300,
        10,
        19.9,
    )


def test_lines_come_by_themselves_where_there_is_no_terminal(monkeypatch, lines):
    monkeypatch.setattr(module, "LINE_SECONDS", 0.001)
    with Progress(console=quiet_console()) as bar:
        task = bar.add_task("checking", total=10)
        bar.advance(task)
        for _ in range(10_000):
            if lines():
                break
            bar._ended.wait(0.001)
    assert lines()[0] == "checking: 1/10"


def test_no_line_comes_after_the_end(monkeypatch):
    begun, told = threading.Event(), []

    def tell(bar):
        begun.set()
        threading.Event().wait(0.2)
        told.append("a line")

    monkeypatch.setattr(module, "LINE_SECONDS", 0.001)
    monkeypatch.setattr(Progress, "tell", tell)
    with Progress(console=quiet_console()):
        begun.wait()
    assert told


def test_a_bar_is_alone_on_a_terminal_and_its_lines_are_for_the_log_file(caplog):
    caplog.set_level(logging.INFO, logger="dimmagen")
    with Progress(console=Console(file=io.StringIO(), force_terminal=True)) as bar:
        bar.advance(bar.add_task("checking", total=10))
        bar.tell()
    assert caplog.records[-1].is_shown is True


def test_a_message_while_there_is_a_bar_has_a_line_of_its_own_above_it():
    file = io.StringIO()
    with session(), Progress(console=Console(file=file, force_terminal=True, width=80)) as bar:
        bar.advance(bar.add_task("checking", total=10))
        bar.refresh()
        echo("5 files were left out", err=True)
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", file.getvalue()))
    assert "5 files were left out" in lines
    assert any(line.endswith("1/10") for line in lines)


def test_a_quiet_command_has_no_bar():
    with session():
        configure(quiet=True)
        assert Progress(console=Console(stderr=True, force_terminal=True)).disable


def test_training_shows_its_loss(clock, lines):
    with TrainingProgress(quiet_console()) as progress:
        progress._bar.tell()
        progress.begin(0, 100)
        progress.iteration({"loss": 0.5})
        clock.now += 10
        progress.iteration({"loss": 0.5, "psnr": 20.0})
        progress._bar.tell()
    assert lines()[0] == "training: waiting for the data"
    assert lines()[-1].startswith("training: 2/100, 0.1/s")
    assert lines()[-1].endswith("loss 0.5000, 20.00 dB")


def test_training_on_several_workers_says_how_many_and_what_it_waits_for(lines):
    with TrainingProgress(quiet_console(), "the start of Ray", 2) as progress:
        progress._bar.tell()
        progress.begin(0, 100)
        progress.iteration({"loss": 0.5})
        progress._bar.tell()
    assert lines() == [
        "training: waiting for the start of Ray, 2 workers",
        "training: 1/100, loss 0.5000, 2 workers",
    ]


def test_the_longest_line_of_a_bar_fits_into_80_columns(clock):
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=80, color_system=None)
    with PairProgress(console) as progress:
        progress.begin(9999, 9_999_999, 9998, 100)
        progress.pairs(1)
        clock.now += 1
        progress.pairs(999_998)
        progress.workers(WorkerStatus(ready=64, lost=12, retries=12))
        progress._bar.refresh()
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", file.getvalue())
    shown = text.replace("\r", "\n").splitlines()
    assert max(map(len, shown)) <= 80
    assert any("999998 pairs/s, 9 s left" in line for line in shown)
