"""How a run is executed: in this process or by Ray workers, on processors or GPUs; no byte depends on it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from dimmagen.core.errors import UsageError
from dimmagen.core.executors.base import Executor
from dimmagen.core.executors.ray_cluster import OnLost, refuse_cluster_options
from dimmagen.core.processors import processor_count
from dimmagen.sources.index_pass import ScanExecution

# One processor makes so much (pairs of the camera model) in less time than Ray takes to start.
_FEW_PIXELS = 60 * 10**6
ChosenExecutor = Literal["auto", "ray", "serial"]
"""An executor, or `auto` for the one that is faster."""


@dataclass(frozen=True, slots=True)
class Execution:
    """How the work is executed; none of it changes the output.

    Attributes:
        executor: `ray` or `serial`, or `auto` until :meth:`for_pairs` decides.
        workers: number of Ray actors; None for one per processor of the cluster.
        address: of a Ray cluster to join; without it Ray runs on this machine for the duration of the run.
        device: that dims the images: `cpu`, or `cuda` with one GPU per worker.
        threads: of each GPU worker: number that decode, and number that encode; reserved as processors.
        worker_timeout: seconds without a pair after which a Ray worker is replaced; None only reports it.
        on_cluster_lost: called in a thread when the head of the Ray cluster is lost and the run still waits
            for it; without it the run may wait until Ray itself gives up.

    Raises:
        UsageError: `RAY_ADDRESS` names a cluster and `address` does not, or `address` or `worker_timeout` is
            given and nothing works in parallel.
    """

    executor: ChosenExecutor = "ray"
    workers: int | None = 1
    address: str | None = None
    device: str = "cpu"
    threads: int = 1
    on_cluster_lost: OnLost | None = None
    worker_timeout: float | None = None

    def __post_init__(self) -> None:
        refuse_cluster_options(self.executor, self.address, self.worker_timeout)  # before photos are scanned

    def for_pairs(self, pairs: int, photos: int, sizes: Iterable[tuple[int, int]]) -> "Execution":
        """The execution of a run that still has some pairs to make, with `auto` decided.

        Args:
            pairs: number that is missing.
            photos: number of light images of the data set, at least 1 where a pair is missing.
            sizes: (width, height) of the photo of each light image, which is decoded for it; not read further
                than the decision needs.
        """
        if self.executor != "auto":
            return self
        pixels = 0.0
        for width, height in sizes if pairs else ():
            pixels += width * height * pairs / photos
            if pixels >= _FEW_PIXELS:
                break
        return replace(self, executor=faster_executor(pixels))

    def of_index_pass(self, rescan: bool = False) -> ScanExecution:
        """How photos are scanned for this run: on its cluster, or in threads, which need no start.

        Args:
            rescan: read every photo again, whatever was kept of earlier runs.
        """
        on_cpus = self.workers if self.device == "cpu" else None
        if self.address is None:
            return ScanExecution(workers=on_cpus, rescan=rescan)
        return ScanExecution(
            "ray",
            on_cpus,
            self.address,
            rescan,
            worker_timeout=self.worker_timeout,
            on_cluster_lost=self.on_cluster_lost,
        )


def faster_executor(pixels: float) -> Executor:
    """The executor that makes pairs of so many pixels in all sooner, with the start of Ray."""
    return "serial" if pixels < _FEW_PIXELS else "ray"


def choose_execution(
    executor: ChosenExecutor,
    workers: int | None = None,
    address: str | None = None,
    device: str = "cpu",
    threads: int | None = None,
    worker_timeout: float | None = None,
    on_cluster_lost: OnLost | None = None,
) -> Execution:
    """How a run is executed, with what the user left open.

    Args:
        executor: as for :class:`Execution`; `auto` with anything that is said of workers is `ray`.
        address, device, worker_timeout, on_cluster_lost: as for :class:`Execution`.
        workers: None for one per processor or GPU, of this machine or of the cluster.
        threads: of each GPU worker; None for the processors of this machine, divided among its GPUs.

    Raises:
        UsageError: `threads` is given without GPUs, torch sees no GPU here, or as :class:`Execution`.
    """
    processors = processor_count()
    if executor == "auto" and (workers or address or worker_timeout or device != "cpu"):
        executor = "ray"
    if device == "cpu":
        if threads is not None:
            raise UsageError(
                "`threads` is for GPU workers",
                'give `workers`, or `device="cuda"`',
                code="conflict",
                parameters=("threads", "device"),
            )
        here = processors
    else:
        here = _gpu_count(address)
        threads = threads or max(1, processors // (1 if executor == "serial" else max(1, here)))
    workers = workers or (None if address else here)
    return Execution(executor, workers, address, device, threads or 1, on_cluster_lost, worker_timeout)


def _gpu_count(address: str | None) -> int:
    """The number of GPUs of this machine; in a cluster the nodes have them."""
    import torch

    here = torch.cuda.device_count()
    if not here and not address:
        raise UsageError(
            "torch sees no GPU here",
            'use `device="cpu"`, or install a build of torch for CUDA',
            code="device",
            parameter="device",
        )
    return here
