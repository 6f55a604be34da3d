"""Whose the Ray is that this process has connected: that of a run, which leaves it, or the user's."""

import socket
import sys
from contextlib import suppress
from typing import Any

from dimmagen.core.errors import DimmagenError, UsageError, Ways

own_runs: set[int] = set()  # those that have started or joined a Ray, and will leave it


def is_own() -> bool:
    """Whether the Ray of this process is that of a run, which leaves it at its end, and not the user's."""
    return bool(own_runs)


def connected_ray() -> Any:
    """The `ray` module if this process has connected it; None otherwise."""
    ray = sys.modules.get("ray")
    return ray if ray is not None and ray.is_initialized() else None


def refuse_another(ray: Any, address: str | None) -> None:
    """Refuse a connection that is not the user's to share, and one to another cluster than is asked for."""
    if is_own():
        raise DimmagenError(
            "another run of this process has started Ray, and will end it",
            Ways.of(
                "let the runs follow one another",
                "connect Ray first (`ray.init()`) for both",
                'use `executor="serial"`',
            ),
            code="cluster",
        )
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
