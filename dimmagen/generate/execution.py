"""How a run is executed: in this process or by Ray workers, on processors or GPUs; no byte depends on it."""

from dataclasses import dataclass

from dimmagen.core.errors import UsageError
from dimmagen.core.executors.base import Executor
from dimmagen.core.executors.ray_cluster import OnLost, refuse_cluster_options
from dimmagen.core.processors import processor_count
from dimmagen.sources.index_pass import ScanExecution


@dataclass(frozen=True, slots=True)
class Execution:
    """How the work is executed; none of it changes the output.

    Attributes:
        executor: `ray` or `serial`.
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

    executor: Executor = "ray"
    workers: int | None = 1
    address: str | None = None
    device: str = "cpu"
    threads: int = 1
    on_cluster_lost: OnLost | None = None
    worker_timeout: float | None = None

    def __post_init__(self) -> None:
        refuse_cluster_options(self.executor, self.address, self.worker_timeout)  # before photos are scanned

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


def choose_execution(
    executor: Executor,
    workers: int | None = None,
    address: str | None = None,
    device: str = "cpu",
    threads: int | None = None,
    worker_timeout: float | None = None,
    on_cluster_lost: OnLost | None = None,
) -> Execution:
    """How a run is executed, with what the user left open.

    Args:
        executor, address, device, worker_timeout, on_cluster_lost: as for :class:`Execution`.
        workers: None for one per processor or GPU, of this machine or of the cluster.
        threads: of each GPU worker; None for the processors of this machine, divided among its GPUs.

    Raises:
        UsageError: `threads` is given without GPUs, torch sees no GPU here, or as :class:`Execution`.
    """
    processors = processor_count()
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
