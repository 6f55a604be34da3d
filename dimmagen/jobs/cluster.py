"""Joining a Ray cluster, or starting Ray on this machine, and watching that it stays."""

import os
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dimmagen.errors import DimmagenError, UsageError

_ANSWER_SECONDS = 5
_LOOK_SECONDS = 2.0
_PATIENCE_SECONDS = 15.0  # with a head that does not answer; Ray itself ends the process after 60
_STORE_BYTES = 80 * 2**20  # records only; Ray's default takes a third of the memory


@dataclass(frozen=True, slots=True)
class Share:
    """What a worker takes of a node."""

    processors: int = 1
    gpus: int = 0

    def __str__(self) -> str:
        processors = "a processor" if self.processors == 1 else f"{self.processors} processors"
        return f"{processors} and a GPU" if self.gpus else processors


@contextmanager
def connected_ray(processors: int | None, address: str | None) -> Iterator[Any]:
    """Ray without its dashboard, usage report and console chatter.

    Args:
        processors: of a Ray that is started here; None for all.
        address: of a running cluster; without it Ray is started on this machine and ended with the block.

    Raises:
        UsageError: there is no such cluster, or it does not let us in.
        DimmagenError: Ray cannot be started here.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    # Ray would print the log of a lost node on standard output, which is for results.
    ray._private.worker.print_to_stdstream = lambda *_, **__: None
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
            raise DimmagenError(f"Ray could not be started ({error})", "use --executor serial") from error
        raise UsageError(
            f"the Ray cluster at {address} could not be joined ({error})",
            "run the command on a node of the cluster, with its version of Ray; if it wants a token, set "
            "RAY_AUTH_MODE=token and give the token in ~/.ray/auth_token or RAY_AUTH_TOKEN",
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """Ray itself would try for minutes. Addresses of another form, such as `auto`, are left to Ray."""
    host, separator, port = address.removeprefix("ray://").rpartition(":")
    if not (separator and port.isdigit()):
        return
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise UsageError(f"no Ray cluster answers at {address} ({error})", "check --address") from error


class Watch:
    """Looks at the cluster every two seconds."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        context = ray.get_runtime_context()
        self._head, self._own_node = context.gcs_address, context.get_node_id()
        self._answered = self._looked = time.monotonic()
        self._resources = Counter(ray.cluster_resources())

    def look(self) -> None:
        """Look if it is time to.

        Raises:
            DimmagenError: the head has not answered for some time, or this machine is no longer a node.
        """
        if time.monotonic() < self._looked + _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        host, _, port = self._head.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=_ANSWER_SECONDS).close()
        except OSError as error:
            if time.monotonic() > self._answered + _PATIENCE_SECONDS:
                raise _lost(f"its head at {self._head} no longer answers ({error})") from error
            return
        self._answered = time.monotonic()
        nodes = {node["NodeID"]: node for node in self._ray.nodes() if node["Alive"]}
        if self._own_node not in nodes:
            raise _lost("its processes on this machine have ended")
        self._resources = sum((Counter(node["Resources"]) for node in nodes.values()), Counter())

    def room(self, share: Share) -> int:
        """How many workers the nodes that are alive have room for, by what they were declared to have."""
        room = int(self._resources["CPU"]) // share.processors
        return min(room, int(self._resources["GPU"]) // share.gpus) if share.gpus else room


def _lost(reason: str) -> DimmagenError:
    return DimmagenError(
        f"Ray is lost: {reason}",
        "see to the cluster and run the same command again to go on; complete shards stay valid",
    )
