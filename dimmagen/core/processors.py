"""The number of available processors."""

import os


def processor_count() -> int:
    """The number of processors that this process may use, at least 1.

    Where the system restricts a process to some processors (`taskset`, a batch system), only those count;
    macOS and Windows report all processors of the machine.
    """
    if hasattr(os, "process_cpu_count"):  # from Python 3.13; also respects PYTHON_CPU_COUNT
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
