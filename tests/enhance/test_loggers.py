"""Loggers besides log.csv: offline, with the packages that are installed here; the others are skipped."""

import errno
import json
import os
import sys
import threading

import numpy as np
import pytest

from dimmagen.core.errors import DimmagenError, UnknownNameError, UsageError
from dimmagen.enhance import log as log_module
from dimmagen.enhance.log import Log
from dimmagen.enhance.loggers import require_loggers
from dimmagen.enhance.run_folder import LOG, RunFolder
from dimmagen.enhance.run_folder import LOGGERS as LOGGERS_FILE

ROWS = [{"iteration": n, "loss": 1.0 / n, "mse": 0.5 / n} for n in (1, 2, 3)]
STRIP = np.zeros((4, 12, 3), np.uint8)


@pytest.fixture
def run(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.begin({"iterations": 3, "model": "compact"}, "if-possible")
    return folder


def write(run, logger, rows=ROWS, after=0):
    with Log(run, after, (logger,)) as log:
        for row in rows:
            log.row({**row, "psnr": 20.0} if row["iteration"] == 3 else row)
        log.image(3, STRIP)


def test_a_logger_gets_every_row_and_picture_and_is_closed(run, monkeypatch):
    events = []

    class Memory:
        def __init__(self, folder, iteration, settings):
            events.append(("begin", iteration, settings["model"]))

        def row(self, iteration, values):
            events.append((iteration, values))

        def image(self, iteration, image):
            events.append((iteration, image.shape))

        def close(self):
            events.append("end")

    monkeypatch.setattr(log_module, "LOGGERS", {"memory": Memory})
    write(run, "memory", ROWS[:1])
    values = {"loss": 1.0, "mse": 0.5}
    assert events == [("begin", 0, "compact"), (1, values), (3, (4, 12, 3)), "end"]
    assert (run.path / "validation" / "3.png").read_bytes().startswith(b"\x89PNG")


def test_tensorboard_has_the_scalars_and_the_strip(run):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    write(run, "tensorboard")
    events = EventAccumulator(str(run.path / "tensorboard")).Reload()
    assert [(one.step, one.value) for one in events.Scalars("loss")] == [
        (row["iteration"], pytest.approx(row["loss"])) for row in ROWS
    ]
    assert [one.step for one in events.Images("validation")] == [3]


def test_a_logger_that_fails_ends_the_run_with_its_name_and_whatever_it_says_at_the_end(run, monkeypatch):
    class Failing:
        def __init__(self, folder, iteration, settings): ...

        def row(self, iteration, values):
            raise ValueError("no account")

        def close(self):
            raise OSError("no server")

    monkeypatch.setattr(log_module, "LOGGERS", {"failing": Failing})
    with pytest.raises(DimmagenError, match=r"the logger failing failed \(ValueError: no account"):
        write(run, "failing", ROWS[:1])
    assert len(run.log_rows()) == 1
    with pytest.raises(DimmagenError, match=r"the logger failing failed \(no server\)"):
        Log(run, 0, ("failing",)).__exit__(None, None, None)


@pytest.mark.needs("full-device", "links")
def test_a_full_disk_is_an_error_that_names_the_log(run, monkeypatch):
    monkeypatch.setattr(RunFolder, "begin_log", lambda *_: None)
    (run.path / LOG).symlink_to("/dev/full")
    log = Log(run, 0)
    with pytest.raises(DimmagenError, match=r"the disk is full: .*log\.csv could not be written") as caught:
        log.row(ROWS[0])
    log.__exit__(caught.type, caught.value, caught.tb)


def test_a_disk_that_fails_tensorboard_is_an_error_and_no_traceback_of_its_thread(run, monkeypatch, capsys):
    pytest.importorskip("tensorboard")
    from tensorboard.summary.writer.record_writer import RecordWriter

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    hook = threading.excepthook
    monkeypatch.setattr(RecordWriter, "write", full)
    for rows in (ROWS, []):  # while it goes on, and of what is left at the end
        with pytest.raises(DimmagenError, match=r"the logger tensorboard failed \(.*No space left"):
            write(run, "tensorboard", rows)
    assert capsys.readouterr().err == ""
    assert threading.excepthook is hook


def test_weights_and_biases_continues_its_run(run, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    write(run, "wandb", ROWS[:1])
    known = json.loads((run.path / LOGGERS_FILE).read_text())["wandb"]
    write(run, "wandb", ROWS[1:], after=1)
    folders = sorted((run.path / "wandb").glob("offline-run-*"))
    assert folders
    assert {folder.name.rsplit("-", 1)[1] for folder in folders} == {known}
    assert wandb.run is None


def test_mlflow_has_one_run_with_all_metrics_and_the_settings(run, monkeypatch):
    tracking = pytest.importorskip("mlflow.tracking")
    pytest.importorskip("sqlalchemy")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    write(run, "mlflow", ROWS[:1])
    write(run, "mlflow", ROWS[1:], after=1)
    client = tracking.MlflowClient(f"sqlite:///{run.path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("dimmagen")
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.status == "FINISHED"
    assert found.data.params["model"] == "compact"
    history = client.get_metric_history(found.info.run_id, "loss")
    assert sorted((one.step, one.value) for one in history) == [
        (row["iteration"], pytest.approx(row["loss"])) for row in ROWS
    ]
    assert [one.path for one in client.list_artifacts(found.info.run_id, "validation")] == [
        "validation/3.png"
    ]


def test_a_run_that_is_discarded_is_not_continued_elsewhere(run):
    (run.path / LOG).write_text("iteration\n1,\n")
    (run.path / LOGGERS_FILE).write_text('{"wandb": "abc"}')
    run.begin({"iterations": 3}, "never")
    assert not (run.path / LOGGERS_FILE).exists()


@pytest.mark.parametrize("name", ["wandb", "mlflow", "tensorboard"])
def test_a_missing_package_is_named_with_its_extra(name, monkeypatch):
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)  # imports it
    for module in [name for name in sys.modules if name.startswith("tensorboard.")]:
        monkeypatch.delitem(sys.modules, module)
    for module in ("tensorboard", "wandb", "mlflow"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=rf"pip install 'dimmagen\[{name}\]'"):
        require_loggers([name])


def test_a_mistyped_logger_is_refused_with_the_nearest_name():
    with pytest.raises(UnknownNameError, match="wandb"):
        require_loggers(["wanddb"])
