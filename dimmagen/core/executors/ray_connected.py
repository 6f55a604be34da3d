"""Whose the Ray is that this process has connected: that of a run, which leaves it, or the user's."""

import socket
import sys
from contextlib import suppress
from threading import Lock
from typing import Any

from dimmagen.core.errors import DimmagenError, UsageError, Ways

own_runs: set[int] = set()  # those that start or join a Ray, or have done so, and will leave it
_claiming = Lock()


def is_own() -> bool:
    """Whether the Ray of this process is that of a run, which leaves it at its end, and not the user's."""
    return bool(own_runs)


def connected_ray() -> Any:
    """The `ray` module if this process has connected it; None otherwise."""
    if "ray" not in sys.modules:
        return None
    import ray  # waits for another thread that is importing it

    return ray if ray.is_initialized() else None


def claim(run: int, address: str | None) -> Any:
    """The `ray` module if the user has connected it; None if this run may start or join a Ray, see `leave`.

    A process can have one Ray: of two threads that need one at the same moment, one gets it.

    Args:
        run: a number for the run.
        address: of the cluster that is asked for; None for a Ray on this machine.

    Raises:
        DimmagenError: another run of this process has started Ray, or is starting it.
        UsageError: the user has connected another cluster.
    """
    with _claiming:
        if own_runs:
            raise DimmagenError(
                "another run of this process has started Ray, and will end it",
                Ways.of(
                    "let the runs follow one another",
                    "connect Ray first (`ray.init()`) for both",
                    'use `executor="serial"`',
                ),
                code="cluster",
            )
        if (connected := connected_ray()) is None:
            own_runs.add(run)
            return None
    _refuse_another_cluster(connected, address)
    return connected


def leave(run: int) -> None:
    """Let other runs start or join a Ray: this one has left its own."""
    own_runs.discard(run)


def _refuse_another_cluster(ray: Any, address: str | None) -> None:
    head = ray.get_runtime_context().gcs_address
    if address is None or address in ("auto", head) or address.startswith("ray://"):
        return
    host, _, port = address.rpartition(":")
    with suppress(OSError):
        if f"{socket.gethostbyname(host)}:{port}" == head:
            return
    raise UsageError(
        f"this process has connected the Ray at {head}, and `address` is {address}",
        "omit `address` to work there, or call `ray.shutdown()` first",
        code="conflict",
        parameter="address",
        value=address,
    )
