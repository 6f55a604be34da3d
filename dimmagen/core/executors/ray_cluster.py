"""Joining a Ray cluster or starting Ray on this machine, and monitoring it."""

import atexit
import importlib
import logging
import os
import secrets
import socket
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from threading import Event, Thread
from typing import Any

from dimmagen.core.errors import DimmagenError, UsageError, Ways
from dimmagen.core.executors import ray_signals
from dimmagen.core.executors.ray_address import check_answers, refusal_of_cluster
from dimmagen.core.executors.ray_connected import claim_ray, connected_ray, leave
from dimmagen.core.executors.ray_folder import session_folder

_LOG = logging.getLogger(__name__)
_ANSWER_SECONDS = 5
_LOOK_SECONDS = 2.0
_PATIENCE_SECONDS = 15.0  # how long the head may not answer; Ray itself ends the process after 60
_LEAVE_SECONDS = 10.0  # maximum time for a run to end after the head is lost
_SHARED_MEMORY = "/dev/shm"
_STORE_BYTES = 80 * 2**20  # records only; Ray's default takes a third of the memory
# What decides whether a Ray wants a token, and which.
_TOKEN_VARIABLES = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
_shutdown: Thread | None = None  # the thread that shuts Ray down


@dataclass(frozen=True, slots=True)
class WorkerResources:
    """The resources of a node that one worker occupies."""

    processors: int = 1
    gpus: int = 0

    def __str__(self) -> str:
        processors = "a processor" if self.processors == 1 else f"{self.processors} processors"
        return f"{processors} and a GPU" if self.gpus else processors


@contextmanager
def connect_ray(processors: int | None, address: str | None) -> Iterator[Any]:
    """Ray without its dashboard, usage report and console output.

    A process that has connected Ray itself (`ray.init()`, or inside a Ray task) keeps that connection: it is
    used, and left as it is.

    A Ray that is started here belongs to this block: it only obeys whoever has its token, which is drawn for
    the block and written nowhere. Its ports are open to the network, and it would run any code otherwise.

    Args:
        processors: number of processors of a Ray that is started here; None for all.
        address: address of a running cluster; without it, Ray is started on this machine for the block.

    Raises:
        UsageError: there is no such cluster, it cannot be joined, `RAY_ADDRESS` names one and `address` does
            not, or this process has connected another one.
        DimmagenError: Ray cannot be started here, or another run of this process has started it.
    """
    ended = Event()
    if (connected := claim_ray(id(ended), address)) is not None:
        yield connected
        return
    try:
        if address is None:
            refuse_other_cluster()
        with session_folder() if address is None else nullcontext("") as folder:
            yield from _connected(processors, address, folder, ended)
    finally:
        leave(id(ended))


def _connected(processors: int | None, address: str | None, folder: str, ended: Event) -> Iterator[Any]:
    """Ray, connected until the generator is closed, which sets `ended`; arguments as for `connect_ray`."""
    ours: Any = None
    before = ray_signals.handlers()
    try:
        with _restored_environment():
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
            if address is None:
                _require_own_token()
            import ray

            ours = ray
            _reread_token_settings()
            if _shutdown is not None:
                _shutdown.join()  # one that is not done yet would end the new connection
            ray_signals.connect_with(before, partial(_init, ray, processors, address, folder), ended)
        yield ray
    finally:
        if ours is not None:
            _leave(ours)
            _reread_token_settings()
            ray_signals.restore_handlers(before)
        ended.set()


def refuse_cluster_options(executor: str, address: str | None, worker_timeout: float | None) -> None:
    """Refuse what is for Ray in a run without it, and a Ray of this machine where a cluster is named.

    Args:
        executor: `ray` or `serial`, or `auto`, which may become either.
        address, worker_timeout: as the user gave them, or None.

    Raises:
        UsageError: one is given with `serial`, or `RAY_ADDRESS` names a cluster and `address` does not.
    """
    for name, value in (("address", address), ("worker_timeout", worker_timeout)):
        if value is not None and executor == "serial":
            raise UsageError(
                f'`{name}` is for `executor="ray"`',
                "omit one of the two",
                code="conflict",
                parameters=(name, "executor"),
            )
    if executor != "serial" and address is None:
        refuse_other_cluster()


def refuse_other_cluster() -> None:
    """Refuse to start a Ray on this machine where the environment names a cluster.

    Raises:
        UsageError: `RAY_ADDRESS` is set to something else than `local`, and this process has not connected
            a Ray.
    """
    named = os.environ.get("RAY_ADDRESS", "")
    if named not in ("", "local") and connected_ray() is None:
        raise UsageError(
            f"RAY_ADDRESS is {named}, but this run was not asked to use that cluster",
            Ways.of(
                f'give `address="{named}"` to use that cluster',
                "unset RAY_ADDRESS to work on this machine",
                'use `executor="serial"`',
            ),
            code="conflict",
            parameter="address",
            value=named,
        )


def _require_own_token() -> None:
    """Make a Ray that this process starts require a token of its own, whatever the user's settings are."""
    for name in _TOKEN_VARIABLES:
        os.environ.pop(name, None)
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def _reread_token_settings() -> None:
    """Make a Ray that was imported earlier notice a change of the variables above: it reads them once.

    Ray has no public call for it; one that is imported for this block needs none.
    """
    with suppress(ImportError, AttributeError):
        raylet: Any = importlib.import_module("ray._raylet")
        raylet.Config.initialize("")
        raylet.AuthenticationTokenLoader.instance().reset_cache()


def _init(ray: Any, processors: int | None, address: str | None, folder: str = "") -> None:
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"} | _module_search()
    if address is None:
        options |= {
            "address": "local",
            "num_cpus": processors,
            "include_dashboard": False,
            "object_store_memory": _STORE_BYTES,
            "_temp_dir": folder or None,
            "_plasma_directory": _store_folder(folder),
        }
    else:
        check_answers(address)
        options["address"] = address
    try:
        with ray_signals.separate_sessions(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"ray\.")  # of a client: the error says it
            ray.init(**options)
    except Exception as error:  # Ray raises it by this name too, where its processes do not come up
        reason = " ".join(str(error).split()) or type(error).__name__
        if address is None:
            raise DimmagenError(
                f"Ray could not be started ({reason})",
                Ways.of(
                    f"check the room in {tempfile.gettempdir()} and in /dev/shm, and how busy the machine is",
                    'run without Ray: `executor="serial"`',
                    "in training `workers=1`",
                ),
                code="cluster",
            ) from error
        raise refusal_of_cluster(address, reason) from error


def _module_search() -> dict[str, Any]:
    """Options with which workers look for modules where this process does.

    Ray lets them look in the working directory before anywhere else: a file `numpy.py` there, of the user or
    of a data set that was downloaded, would run in place of the package. Ray has no public setting for it.
    """
    with suppress(OSError):  # a working directory that was removed
        if os.path.realpath(os.curdir) in map(os.path.realpath, sys.path):
            return {}
    from ray.job_config import JobConfig

    return {"job_config": JobConfig(_client_job=True)}


def _store_folder(folder: str) -> str | None:
    """Where Ray keeps its object store if that cannot be in /dev/shm, which Ray would wait for in vain."""
    can_share = sys.platform != "linux" or os.access(_SHARED_MEMORY, os.W_OK | os.X_OK)
    return None if can_share else folder or tempfile.gettempdir()


@contextmanager
def _restored_environment() -> Iterator[None]:
    """Restore the environment variables after the block; processes started inside it keep theirs."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def _leave(ray: Any) -> None:
    """Shut Ray down; if it waits for a lost head, continue without it: all results are complete."""
    global _shutdown
    _shutdown = Thread(target=ray.shutdown, daemon=True)
    _shutdown.start()
    _shutdown.join(_LEAVE_SECONDS)
    if _shutdown.is_alive():
        atexit.unregister(ray.shutdown)


def is_leaving() -> bool:
    """Whether Ray still waits for a lost head: its threads would crash a process that exits normally."""
    return _shutdown is not None and _shutdown.is_alive()


def was_connected() -> bool:
    """Whether this process has connected Ray, and left it, at least once."""
    return _shutdown is not None


OnLost = Callable[["ClusterLostError"], None]


class ClusterMonitor:
    """Checks the cluster every two seconds, from :meth:`begin` to :meth:`end`.

    A call to a lost head blocks for a minute, until Ray ends the process without an error message of this
    package. So one thread queries the head and may block, another one measures for how long, and :meth:`look`
    raises in the run itself.

    Args:
        ray: the connected `ray` module.
        on_lost: called in a thread if the run has not ended some time after the head was lost, because it is
            blocked by the head as well. By default nothing is done then: a library does not end the process.
    """

    def __init__(self, ray: Any, on_lost: OnLost | None = None) -> None:
        self._ray = ray
        self._on_lost = on_lost
        context = ray.get_runtime_context()
        self._head, self._own_node = context.gcs_address, context.get_node_id()
        self._silence = 0.0  # seconds
        self._reason = f"its head at {self._head} no longer answers"
        self._own_node_lives = True
        self._nodes: dict[str, str] = {}  # names of the live nodes by Ray's id
        self.lost_nodes = 0
        self._resources = Counter(ray.cluster_resources())
        self._ended = Event()

    def begin(self) -> None:
        self._querying = Thread(target=self._query, daemon=True)
        self._querying.start()
        Thread(target=self._guard, daemon=True).start()

    def end(self) -> None:
        self._ended.set()
        self._querying.join(_LOOK_SECONDS)  # a call after the shutdown would start Ray again

    def look(self) -> None:
        """Check the last known state.

        Raises:
            ClusterLostError: the head has not answered for some time, or this machine is not a node any more.
        """
        if self._silence > _PATIENCE_SECONDS:
            raise ClusterLostError(self._reason)
        if not self._own_node_lives:
            raise ClusterLostError("its processes on this machine have ended")

    def room(self, share: WorkerResources) -> int:
        """The number of workers that fit on the live nodes, by their declared resources."""
        room = int(self._resources["CPU"]) // share.processors
        return min(room, int(self._resources["GPU"]) // share.gpus) if share.gpus else room

    def _query(self) -> None:
        host, _, port = self._head.rpartition(":")
        while not self._ended.wait(_LOOK_SECONDS):
            try:
                socket.create_connection((host, int(port)), timeout=_ANSWER_SECONDS).close()
            except OSError as error:
                self._reason = f"its head at {self._head} no longer answers ({error})"
                continue
            try:
                nodes = {node["NodeID"]: node for node in self._ray.nodes() if node["Alive"]}
            except Exception:  # Ray is being shut down in another thread, or reports a lost head itself
                continue
            self._own_node_lives = self._own_node in nodes
            self._count_lost_nodes({node: one["NodeManagerHostname"] for node, one in nodes.items()})
            self._resources = sum((Counter(node["Resources"]) for node in nodes.values()), Counter())
            self._silence = 0.0

    def _count_lost_nodes(self, nodes: dict[str, str]) -> None:
        for lost in self._nodes.keys() - nodes.keys():
            self.lost_nodes += 1
            _LOG.warning("the node %s was lost; the cluster has %d", self._nodes[lost], len(nodes))
        self._nodes = nodes

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
            f"the Ray cluster was lost: {reason}",
            "check the cluster and run the same command again to resume; complete shards stay valid",
        )
