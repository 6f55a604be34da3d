"""Whose the Ray is that this process has connected: that of a run, which leaves it, or the user's."""

import os
import socket
import sys
from contextlib import suppress
from threading import Lock
from typing import Any

from dimmagen.core.errors import DimmagenError, UsageError, Ways

own_runs: set[int] = set()  # those that start or join a Ray, or have done so, and will leave it
_claiming = Lock()
_was_used = False  # by a run of this process
_is_inherited = False  # from the process that this one was forked from


def _note_fork() -> None:
    """In a forked process: neither the connection of its parent process nor a new one works there."""
    global _claiming, _is_inherited
    ray = sys.modules.get("ray")
    # It may be in the middle of its import.
    _is_inherited = _is_inherited or _was_used or getattr(ray, "is_initialized", bool)()
    _claiming = Lock()  # which another thread may have held
    own_runs.clear()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_note_fork)


def is_own() -> bool:
    """Whether the Ray of this process is that of a run, which leaves it at its end, and not the user's."""
    return bool(own_runs)


def connected_ray() -> Any:
    """The `ray` module if this process has connected it; None otherwise."""
    if "ray" not in sys.modules:
        return None
    import ray  # waits for another thread that is importing it

    return ray if ray.is_initialized() else None


def claim_ray(run: int, address: str | None) -> Any:
    """The `ray` module if the user has connected it; None if this run may start or join a Ray, see `leave`.

    A process can have one Ray: of two threads that need one at the same moment, one gets it.

    Args:
        run: a number for the run.
        address: of the cluster that is asked for; None for a Ray on this machine.

    Raises:
        DimmagenError: another run of this process has started Ray, or is starting it; or the process was
            forked from one that has connected Ray, where Ray would wait forever.
        UsageError: the user has connected another cluster.
    """
    global _was_used
    if _is_inherited:
        raise DimmagenError(
            "this process was forked from one that has connected Ray, and Ray does not work in both",
            Ways.of(
                "start this process by `spawn` (`multiprocessing.get_context`)",
                'use `executor="serial"`',
            ),
            code="cluster",
        )
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
            _was_used = True
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
