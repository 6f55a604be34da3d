"""The process of a worker: what runs on a node of Ray."""

import ctypes
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from dimmagen.core.errors import DimmagenError

_PR_SET_PDEATHSIG = 1  # prctl(2)


class Actor:
    """Runs in a Ray worker process; one thread works, another one reports its progress."""

    def __init__(self) -> None:
        _die_with_parent()
        self.worker: Any = None
        self.made = 0

    def place(self) -> tuple[str, str, int]:
        """Host name and IP address of the node, Ray's id of it, and this process."""
        import ray

        name = f"{socket.gethostname()} ({ray.util.get_node_ip_address()})"
        return name, ray.get_runtime_context().get_node_id(), os.getpid()

    def start(self, build_worker: Callable) -> None:
        try:
            self.worker = build_worker()
        except DimmagenError:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise DimmagenError(
                f"no worker could be built ({reason})", "check the installation", code="failed"
            ) from error

    def run(self, job: Any) -> tuple[Any, int]:
        """The record of the job and the number of its pairs."""
        self.made = 0
        return self.worker(job, self._count), self.made

    def _count(self) -> None:
        self.made += 1

    def pairs_made(self) -> int:
        """The number of pairs made so far for the current job."""
        return self.made


def kill_process(node: str, process: int) -> None:
    """End a worker process of this node, if this is its node: another one may have a process of that id."""
    import ray

    if ray.get_runtime_context().get_node_id() == node and hasattr(signal, "SIGKILL"):
        os.kill(process, signal.SIGKILL)


def _die_with_parent() -> None:
    """End this process with its parent: a busy actor would first finish its job, and could write to a folder
    that another run is using."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
