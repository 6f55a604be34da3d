"""One training run on several GPUs or machines, by Ray Train."""

import logging
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.executors.ray_cluster import connect_ray
from dimmagen.enhance.checkpoints import ResumeMode
from dimmagen.enhance.distributed_context import DistributedContext
from dimmagen.enhance.training import TrainConfig, run_training

_LOG = logging.getLogger(__name__)


def run_distributed(
    config: TrainConfig,
    out: Path,
    resume: ResumeMode,
    workers: int,
    address: str | None,
) -> None:
    """Train as :func:`run_training` does, in `workers` processes with a GPU each where this machine has one.

    A run goes on with the same losses only with the same number of workers.

    Args:
        out: a folder that all workers see.
        address: of a running cluster; without it Ray is started on this machine and ended with the run.

    Raises:
        UsageError: this machine has too few GPUs.
        UsageError, DimmagenError: as run_training, in any worker.
    """
    use_gpu = _wants_gpu(config)
    # The controller of Ray Train takes a processor of its own.
    with connect_ray(workers + 1, address), tempfile.TemporaryDirectory() as scratch:
        if missing := _missing(workers, use_gpu):
            if address is None:
                raise UsageError(f"{workers} workers {missing}", "give fewer --workers, or --device cpu")
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
            trainer.fit()
        except TrainingFailedError as error:
            raise _told(error) from error
        except SystemExit:  # how Ray Train ends on Ctrl-C
            raise KeyboardInterrupt from None


def _missing(workers: int, use_gpu: bool) -> str:
    """What the cluster has too little of for so many workers; empty where it has enough."""
    import ray

    resource, wanted = ("GPU", workers) if use_gpu else ("CPU", workers + 1)
    there = int(ray.cluster_resources().get(resource, 0))
    return f"want {wanted} {resource}s, there are {there}" if there < wanted else ""


def _work(config: dict[str, Any]) -> None:
    """What each worker does; Ray Train has connected them and given each its GPU."""
    from ray import train

    class Silent:
        def begin(self, done: int, total: int) -> None: ...

        def iteration(self, values: dict[str, float]) -> None: ...

    context = train.get_context()
    ranks = DistributedContext(context.get_world_rank(), context.get_world_size())
    run_training(config["config"], config["out"], config["resume"], Silent(), ranks)


def _wants_gpu(config: TrainConfig) -> bool:
    return config.device.startswith("cuda") or (config.device == "auto" and torch.cuda.is_available())


def _absolute(config: TrainConfig) -> TrainConfig:
    """Local places from the root: workers have another working directory."""
    names = ("shards", "pairs", "validate", "start_from", "lpips_weights")
    places = {name: value for name in names if (value := getattr(config, name)) is not None}
    return replace(
        config,
        **{name: os.path.abspath(value) for name, value in places.items() if storage.is_local(value)},
    )


def _told(error: Exception) -> DimmagenError:
    """The error of a worker that knows what is wrong; else all that Ray knows."""
    causes = getattr(error, "worker_failures", {}).values()
    for cause in causes:
        for one in (cause, getattr(cause, "cause", None), cause.__cause__):
            if isinstance(one, DimmagenError):
                return one
    return DimmagenError(f"training on several workers failed ({error})", "try --workers 1 to see where")
