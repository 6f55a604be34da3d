"""The number of available processors."""

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

_GROUPS, _OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def processor_count() -> int:
    """The number of processors that this process may use, at least 1.

    Where the system restricts a process to some processors (`taskset`, a batch system), only those count, and
    of a container that may use a share of them (`docker run --cpus`, a limit in Kubernetes) so many;
    macOS and Windows report all processors of the machine.
    """
    if hasattr(os, "process_cpu_count"):  # from Python 3.13; also respects PYTHON_CPU_COUNT
        count = os.process_cpu_count() or 1
    elif hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    return min([count, *(max(1, math.ceil(share)) for share in _shares())])


def _shares() -> Iterator[float]:
    """How many processors the control groups of this process may use: its own, and those that hold it."""
    with suppress(OSError, ValueError):  # another system, or one that hides them
        for line in _OWN_GROUPS.read_text().splitlines():
            _, controllers, own = line.split(":", 2)
            if controllers and "cpu" not in controllers.split(","):
                continue
            top = _GROUPS / controllers if controllers else _GROUPS
            for group in (PurePosixPath(own), *PurePosixPath(own).parents):
                yield from _share_of(top / group.relative_to("/"))


def _share_of(group: Path) -> Iterator[float]:
    """The limit of one control group, of either version of Linux's; none without one."""
    with suppress(OSError, ValueError):
        quota, period = (group / "cpu.max").read_text().split()  # `max` is no number
        yield int(quota) / int(period)
    with suppress(OSError, ValueError):
        quota, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        if int(quota) > 0:
            yield int(quota) / int(period)
