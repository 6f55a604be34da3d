"""The number of available processors."""

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def processor_count() -> int:
    """The number of processors that this process may use, at least 1.

    Where the system restricts a process to some processors (`taskset`, a batch system), or to the time of
    some (`docker run --cpus`, the limits of a pod), only those count; macOS and Windows report all processors
    of the machine.
    """
    return max(1, math.ceil(min(_visible(), cpu_quota())))


def _visible() -> int:
    if hasattr(os, "process_cpu_count"):  # from Python 3.13; also respects PYTHON_CPU_COUNT
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_quota(system: str = "/") -> float:
    """Processors whose time the control groups of this process allow it on Linux; infinity without a limit.

    The kernel stops a process with more busy threads for most of each tenth of a second, and each worker
    takes memory, of which a container has little.

    Args:
        system: the folder in which `proc` and `sys` are.
    """
    quota = math.inf
    for folder in _groups(Path(system)):
        with suppress(OSError, ValueError, ZeroDivisionError):  # no such file, or `max`
            time, period = (folder / "cpu.max").read_text().split()
            quota = min(quota, int(time) / int(period))
        with suppress(OSError, ValueError, ZeroDivisionError):
            time, period = ((folder / f"cpu.cfs_{what}_us").read_text() for what in ("quota", "period"))
            quota = min(quota, int(time) / int(period) if int(time) > 0 else math.inf)
    return quota


def _groups(system: Path) -> Iterator[Path]:
    """The folders of the control groups (versions 1 and 2) of this process, and of those around them.

    A container may see its own group as the root, and read its name in the machine's tree.
    """
    with suppress(OSError, ValueError):
        for line in (system / "proc/self/cgroup").read_text().splitlines():
            _, controllers, name = line.split(":", 2)
            if not controllers or "cpu" in controllers.split(","):
                root, own = system / "sys/fs/cgroup" / ("cpu" if controllers else ""), Path(name.lstrip("/"))
                yield from (root / part for part in (own, *own.parents))
