"""Where a run's log goes besides its own folder: TensorBoard, Weights & Biases, MLflow.

Each needs a package that is imported when it is asked for. What is logged is that of `log.csv`, with the
strips of validation images.
"""

import hashlib
import importlib
import json
import os
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dimmagen.core import storage
from dimmagen.core.optional_packages import missing_package
from dimmagen.core.registry import unknown_name
from dimmagen.enhance import run_folder

_METRICS_AT_ONCE = 500


class RunLogger(Protocol):
    """Receives the log of a run.

    Args:
        folder: of the run.
        iteration: that the run continues after; 0 for a new one.
        settings: of the run, JSON values.

    Raises:
        UsageError: its package is not installed.
    """

    def __init__(self, folder: Path, iteration: int, settings: Mapping[str, Any]) -> None: ...

    def row(self, iteration: int, values: Mapping[str, float]) -> None:
        """Log the values of one iteration by name."""
        ...

    def image(self, iteration: int, image: np.ndarray) -> None:
        """Log a strip of validation images, uint8 (H, W, 3)."""
        ...

    def close(self) -> None:
        """End the log; what was logged is complete."""
        ...


class TensorBoardLogger:
    """Files for TensorBoard, in `tensorboard/` of the run's folder; see :class:`RunLogger`."""

    def __init__(self, folder: Path, iteration: int, settings: Mapping[str, Any]) -> None:
        writer = _package("torch.utils.tensorboard", "tensorboard").SummaryWriter
        self._report, threading.excepthook = threading.excepthook, self._thread_failed
        try:
            self._writer = writer(folder / "tensorboard", purge_step=iteration + 1)
        except BaseException:
            threading.excepthook = self._report
            raise

    def _thread_failed(self, failure: threading.ExceptHookArgs) -> None:
        """Leave the errors of TensorBoard's own thread to its next call here, which raises them again."""
        if not type(failure.thread).__module__.startswith("tensorboard."):
            self._report(failure)

    def row(self, iteration: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, iteration)

    def image(self, iteration: int, image: np.ndarray) -> None:
        self._writer.add_image("validation", image, iteration, dataformats="HWC")

    def close(self) -> None:
        try:
            self._writer.flush()  # raises what closing keeps to itself
            self._writer.close()
        finally:
            threading.excepthook = self._report


class WandbLogger:
    """A run of Weights & Biases, with the account and mode (WANDB_MODE, WANDB_PROJECT) of the environment.

    Without WANDB_PROJECT the project is `dimmagen`. Files of the run are in `wandb/` of the run's folder; see
    :class:`RunLogger`.
    """

    def __init__(self, folder: Path, iteration: int, settings: Mapping[str, Any]) -> None:
        self._wandb = _package("wandb")
        (folder / "wandb").mkdir(parents=True, exist_ok=True)
        known = _identity(folder, "wandb")
        self._run = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", "dimmagen"),
            name=os.environ.get("WANDB_NAME", folder.resolve().name),
            dir=str(folder),
            config=dict(settings),
            id=known or _new_identity(folder, settings),
            resume="allow",
        )
        _remember(folder, "wandb", self._run.id)

    def row(self, iteration: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=iteration)

    def image(self, iteration: int, image: np.ndarray) -> None:
        self._run.log({"validation": self._wandb.Image(image)}, step=iteration)

    def close(self) -> None:
        self._run.finish()


class MlflowLogger:
    """A run of MLflow, at MLFLOW_TRACKING_URI or, without it, in `mlflow.db` of the run's folder.

    See :class:`RunLogger`.
    """

    def __init__(self, folder: Path, iteration: int, settings: Mapping[str, Any]) -> None:
        self._entities = _package("mlflow.entities", "mlflow")
        tracking = _package("mlflow.tracking", "mlflow")
        uri = (
            os.environ.get("MLFLOW_TRACKING_URI")
            or f"sqlite:///{(folder / 'mlflow.db').resolve().as_posix()}"
        )
        self._client = tracking.MlflowClient(tracking_uri=uri)
        self._pending: list[Any] = []
        self._run_id = _identity(folder, "mlflow") or self._new_run(folder, settings)
        _remember(folder, "mlflow", self._run_id)
        self._client.set_terminated(self._run_id, "RUNNING")

    def _new_run(self, folder: Path, settings: Mapping[str, Any]) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "dimmagen")
        found = self._client.get_experiment_by_name(name)
        artifacts = None if os.environ.get("MLFLOW_TRACKING_URI") else (folder / "mlflow").resolve().as_uri()
        experiment = found.experiment_id if found else self._client.create_experiment(name, artifacts)
        run = self._client.create_run(experiment, run_name=folder.resolve().name)
        params = [self._entities.Param(key, str(value)[:500]) for key, value in settings.items()]
        self._client.log_batch(run.info.run_id, params=params)
        return str(run.info.run_id)

    def row(self, iteration: int, values: Mapping[str, float]) -> None:
        now = time.time_ns() // 10**6
        self._pending += [
            self._entities.Metric(name, value, now, iteration) for name, value in values.items()
        ]
        if len(self._pending) >= _METRICS_AT_ONCE or "psnr" in values:
            self._flush()

    def image(self, iteration: int, image: np.ndarray) -> None:
        self._client.log_image(self._run_id, image, artifact_file=f"validation/{iteration}.png")

    def close(self) -> None:
        self._flush()
        self._client.set_terminated(self._run_id)

    def _flush(self) -> None:
        self._client.log_batch(self._run_id, metrics=self._pending)
        self._pending = []


LOGGERS: Mapping[str, type[RunLogger]] = {
    "tensorboard": TensorBoardLogger,
    "wandb": WandbLogger,
    "mlflow": MlflowLogger,
}
_PACKAGES = {"tensorboard": "torch.utils.tensorboard", "wandb": "wandb", "mlflow": "mlflow"}


def require_loggers(names: Sequence[str]) -> None:
    """Check that loggers exist and that their packages are installed.

    Args:
        names: of :data:`LOGGERS`.

    Raises:
        UsageError: there is no such logger, or its package is not installed.
    """
    for name in names:
        if name not in LOGGERS:
            raise unknown_name("logger", name, LOGGERS)
        _package(_PACKAGES[name], name)


def _package(module: str, package: str = "") -> Any:
    name = package or module
    try:
        return importlib.import_module(module)
    except Exception as error:
        raise missing_package(f"the log for {name} needs", name, name, error) from None


def _identity(folder: Path, logger: str) -> str | None:
    """The service's name of this run, if it was logged there before."""
    try:
        content = storage.read_json(folder / run_folder.LOGGERS)
    except (FileNotFoundError, ValueError):
        return None
    found = content.get(logger) if isinstance(content, dict) else None
    return found if isinstance(found, str) else None


def _new_identity(folder: Path, settings: Mapping[str, Any]) -> str:
    """A name for a new run that no other run has."""
    text = f"{folder.resolve()} {sorted(settings.items())} {os.urandom(8).hex()}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _remember(folder: Path, logger: str, name: str) -> None:
    known = {one: found for one in LOGGERS if (found := _identity(folder, one))}
    storage.atomic_write(folder / run_folder.LOGGERS, json.dumps({**known, logger: name}).encode() + b"\n")
