"""Joining a Ray cluster, or starting Ray on this machine, and watching that it stays."""

import atexit
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any

from dimmagen.core.errors import DimmagenError, UsageError

_ANSWER_SECONDS = 5
_LOOK_SECONDS = 2.0
_PATIENCE_SECONDS = 15.0  # with a head that does not answer; Ray itself ends the process after 60
_LEAVE_SECONDS = 10.0  # that a run takes, at most, to end when the head is lost
_STORE_BYTES = 80 * 2**20  # records only; Ray's default takes a third of the memory
_leaving: Thread | None = None  # what ends Ray here


@dataclass(frozen=True, slots=True)
class WorkerResources:
    """What a worker takes of a node."""

    processors: int = 1
    gpus: int = 0

    def __str__(self) -> str:
        processors = "a processor" if self.processors == 1 else f"{self.processors} processors"
        return f"{processors} and a GPU" if self.gpus else processors


@contextmanager
def connect_ray(processors: int | None, address: str | None) -> Iterator[Any]:
    """Ray without its dashboard, usage report and console chatter.

    Args:
        processors: of a Ray that is started here; None for all.
        address: of a running cluster; without it Ray is started on this machine and ended with the block.

    Raises:
        UsageError: there is no such cluster, or it does not let us in.
        DimmagenError: Ray cannot be started here.
    """
    with _restored_signals():
        with _restored_environment():
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
            import ray

            _init(ray, processors, address)
        try:
            yield ray
        finally:
            _leave(ray)


def _init(ray: Any, processors: int | None, address: str | None) -> None:
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        options |= {
            "address": "local",
            "num_cpus": processors,
            "include_dashboard": False,
            "object_store_memory": _STORE_BYTES,
        }
    else:
        _check_answers(address)
        options["address"] = address
    try:
        ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        if address is None:
            raise DimmagenError(
                f"Ray could not be started ({error})", 'use `executor="serial"`', code="cluster"
            ) from error
        raise UsageError(
            f"the Ray cluster at {address} could not be joined ({error})",
            "run the command on a node of the cluster, with its version of Ray; if it wants a token, set "
            "RAY_AUTH_MODE=token and give the token in ~/.ray/auth_token or RAY_AUTH_TOKEN",
            code="cluster",
            parameter="address",
            value=address,
        ) from error


@contextmanager
def _restored_environment() -> Iterator[None]:
    """What the block sets is unset behind it; processes that were started meanwhile keep it."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def _restored_signals() -> Iterator[None]:
    """Ray ends the process on SIGTERM by an exception, as long as it is connected."""
    if threading.current_thread() is not threading.main_thread():  # only there they can be set
        yield
        return
    names = [name for name in ("SIGTERM", "SIGBREAK") if hasattr(signal, name)]
    before = {name: signal.getsignal(getattr(signal, name)) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            # It was not set from Python; or the block ends in another thread.
            with suppress(TypeError, ValueError):
                signal.signal(getattr(signal, name), handler)


def _leave(ray: Any) -> None:
    """End Ray here; where it waits for a head that is gone, go on without it: all that counts is done."""
    global _leaving
    _leaving = Thread(target=ray.shutdown, daemon=True)
    _leaving.start()
    _leaving.join(_LEAVE_SECONDS)
    if _leaving.is_alive():
        atexit.unregister(ray.shutdown)


def is_leaving() -> bool:
    """Whether Ray still waits for a lost head: its threads would crash the process on its usual way out."""
    return _leaving is not None and _leaving.is_alive()


def _check_answers(address: str) -> None:
    """Ray itself would try for minutes. Addresses of another form, such as `auto`, are left to Ray."""
    host, separator, port = address.removeprefix("ray://").rpartition(":")
    if not (separator and port.isdigit()):
        return
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"no Ray cluster answers at {address} ({error})",
            "check `address`",
            code="cluster",
            parameter="address",
            value=address,
        ) from error


OnLost = Callable[["ClusterLostError"], None]


class ClusterMonitor:
    """Looks at the cluster every two seconds, from :meth:`begin` to :meth:`end`.

    What asks a lost head waits for a minute, until Ray ends the process without a word of ours. So a thread
    asks the head, which may wait, another one counts for how long, and :meth:`look` raises in the run itself.

    Args:
        ray: connected.
        on_lost: called in a thread when the run has not ended some time after the head was lost, because it
            waits for the head as well. Without it nothing is done then: a library ends no process.
    """

    def __init__(self, ray: Any, on_lost: OnLost | None = None) -> None:
        self._ray = ray
        self._on_lost = on_lost
        context = ray.get_runtime_context()
        self._head, self._own_node = context.gcs_address, context.get_node_id()
        self._silence = 0.0  # seconds
        self._reason = f"its head at {self._head} no longer answers"
        self._own_node_lives = True
        self._resources = Counter(ray.cluster_resources())
        self._ended = Event()

    def begin(self) -> None:
        self._asker = Thread(target=self._ask, daemon=True)
        self._asker.start()
        Thread(target=self._guard, daemon=True).start()

    def end(self) -> None:
        self._ended.set()
        self._asker.join(_LOOK_SECONDS)  # an answer that comes after Ray's end would start another Ray

    def look(self) -> None:
        """What was seen last.

        Raises:
            ClusterLostError: the head has not answered for some time, or this machine is no longer a node.
        """
        if self._silence > _PATIENCE_SECONDS:
            raise ClusterLostError(self._reason)
        if not self._own_node_lives:
            raise ClusterLostError("its processes on this machine have ended")

    def room(self, share: WorkerResources) -> int:
        """How many workers the nodes that are alive have room for, by what they were declared to have."""
        room = int(self._resources["CPU"]) // share.processors
        return min(room, int(self._resources["GPU"]) // share.gpus) if share.gpus else room

    def _ask(self) -> None:
        host, _, port = self._head.rpartition(":")
        while not self._ended.wait(_LOOK_SECONDS):
            try:
                socket.create_connection((host, int(port)), timeout=_ANSWER_SECONDS).close()
            except OSError as error:
                self._reason = f"its head at {self._head} no longer answers ({error})"
                continue
            try:
                nodes = {node["NodeID"]: node for node in self._ray.nodes() if node["Alive"]}
            except Exception:  # Ray ends in another thread, or says in its own way that the head is gone
                continue
            self._own_node_lives = self._own_node in nodes
            self._resources = sum((Counter(node["Resources"]) for node in nodes.values()), Counter())
            self._silence = 0.0

    def _guard(self) -> None:
        before = time.monotonic()
        while not self._ended.wait(_LOOK_SECONDS):
            now = time.monotonic()
            self._silence += min(now - before, 2 * _LOOK_SECONDS)  # this process may have been suspended
            before = now
            if self._on_lost is not None and self._silence > _PATIENCE_SECONDS + _LEAVE_SECONDS:
                self._on_lost(ClusterLostError(self._reason))
                return


class ClusterLostError(DimmagenError):
    """The Ray cluster no longer answers."""

    code = "cluster"

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"Ray is lost: {reason}",
            "check the cluster and run the same command again to resume; complete shards stay valid",
        )
