"""One training run on several GPUs or machines, with Ray Train."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.executors.ray_cluster import connect_ray
from dimmagen.core.executors.ray_folder import session_folder
from dimmagen.core.outputs import ResumeMode
from dimmagen.core.text import pluralize
from dimmagen.enhance.config import TrainConfig
from dimmagen.enhance.distributed_context import DistributedContext
from dimmagen.enhance.following import log_followed
from dimmagen.enhance.loop import TrainProgress
from dimmagen.enhance.training import run_training

_LOG = logging.getLogger(__name__)


def run_distributed(
    config: TrainConfig,
    out: Path,
    resume: ResumeMode,
    workers: int,
    address: str | None,
    progress: TrainProgress,
) -> None:
    """Train like :func:`run_training`, in several processes with one GPU each where GPUs are used.

    A resumed run has the same losses only with the same number of workers.

    Args:
        config: what to train, on what and how.
        out: a folder that all workers see.
        resume: see :func:`run_training`.
        workers: number of processes.
        address: of a running cluster; None starts Ray on this machine and ends it with the run.
        progress: notified of each iteration, from another thread and up to a second later.

    Raises:
        UsageError: this machine has too few GPUs or processors.
        UsageError, DimmagenError: see :func:`run_training`; raised by any worker.
    """
    use_gpu = _wants_gpu(config)
    # The controller of Ray Train takes one processor.
    with connect_ray(workers + 1, address), session_folder() as scratch:
        if missing := _missing(workers, use_gpu):
            if address is None:
                raise UsageError(
                    f"{pluralize(workers, 'worker')} {missing}",
                    'give fewer `workers`, or `device="cpu"`',
                    code="out-of-range",
                    parameter="workers",
                    value=workers,
                )
            _LOG.warning("%d workers %s: they wait until nodes join", workers, missing)
        from ray.train import RunConfig, ScalingConfig, TrainingFailedError
        from ray.train.torch import TorchTrainer

        trainer = TorchTrainer(
            _work,
            train_loop_config={"config": _absolute(config), "out": out.absolute(), "resume": resume},
            scaling_config=ScalingConfig(num_workers=workers, use_gpu=use_gpu),
            run_config=RunConfig(name="dimmagen", storage_path=scratch),
        )
        try:
            with log_followed(out, config.training.iterations, progress):
                trainer.fit()
        except TrainingFailedError as error:
            raise _worker_error(error) from error
        except SystemExit:  # how Ray Train ends on Ctrl-C
            raise KeyboardInterrupt from None


def _missing(workers: int, use_gpu: bool) -> str:
    """What the cluster has too little of for that many workers; empty if it has enough."""
    import ray

    resource, needed = ("GPU", workers) if use_gpu else ("CPU", workers + 1)
    available = int(ray.cluster_resources().get(resource, 0))
    return f"need {needed} {resource}s, there are {available}" if available < needed else ""


def _work(config: dict[str, Any]) -> None:
    """Runs in each worker; Ray Train has connected the workers and given each one its GPU."""
    from ray import train

    class Silent:
        def begin(self, done: int, total: int) -> None: ...

        def iteration(self, values: dict[str, float]) -> None: ...

    context = train.get_context()
    distributed = DistributedContext(context.get_world_rank(), context.get_world_size())
    run_training(config["config"], config["out"], config["resume"], Silent(), distributed)


def _wants_gpu(config: TrainConfig) -> bool:
    return config.device.startswith("cuda") or (config.device == "auto" and torch.cuda.is_available())


def _absolute(config: TrainConfig) -> TrainConfig:
    """The same settings with absolute local paths: workers have another working directory."""
    names = ("data", "pairs", "mix_pairs", "validate", "network", "lpips_weights")
    paths = {name: value for name in names if (value := getattr(config, name)) is not None}
    absolute: dict[str, Any] = {name: storage.local_path(value) or value for name, value in paths.items()}
    return replace(config, **absolute)


def _worker_error(error: Exception) -> DimmagenError:
    """The expected error that a worker raised; if there is none, what Ray reports."""
    causes = getattr(error, "worker_failures", {}).values()
    for cause in causes:
        for one in (cause, getattr(cause, "cause", None), cause.__cause__):
            if isinstance(one, DimmagenError):
                return one
    return DimmagenError(
        f"training on several workers failed ({error})", "try `workers=1` to see the cause", code="failed"
    )
