"""What some tests need of the system that they run on.

`@pytest.mark.needs("fork", "proc")` skips a test, with the reason, where the system lacks one of these:
conftest.py evaluates it. tests/test_systems.py finds tests that need something and are not marked.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path


def _can_mount() -> bool:
    probe = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return shutil.which("unshare") is not None and not subprocess.run(probe, capture_output=True).returncode


def _can_link() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        try:
            os.symlink(folder, os.path.join(folder, "link"))
        except (OSError, NotImplementedError):  # Windows asks for a privilege
            return False
        return True


SYSTEM: dict[str, tuple[str, Callable[[], bool]]] = {
    "affinity": ("a process that can be restricted to processors", lambda: hasattr(os, "sched_setaffinity")),
    "fifo": ("named pipes", lambda: hasattr(os, "mkfifo")),
    "fork": ("processes that fork", lambda: hasattr(os, "fork")),
    "full-device": ("/dev/full", lambda: Path("/dev/full").exists()),
    "gcc": ("gcc", lambda: shutil.which("gcc") is not None),
    "limits": ("limits of a process's resources", lambda: find_spec("resource") is not None),
    "home": ("a home that HOME names", lambda: os.name == "posix"),
    "links": ("symbolic links", _can_link),
    "mounts": ("a mount namespace", _can_mount),
    "preload": ("LD_PRELOAD", lambda: sys.platform == "linux"),
    "proc": ("/proc of Linux", lambda: Path("/proc/self/maps").exists()),
    "root": ("the user root", lambda: getattr(os, "geteuid", lambda: -1)() == 0),
    "setpriv": ("setpriv", lambda: shutil.which("setpriv") is not None),
    "shm": ("/dev/shm", lambda: Path("/dev/shm").is_dir()),
    "signals": ("signals from process to process", lambda: os.name == "posix"),
}
"""What a test can need: the words for it, and whether it is here."""


@cache
def is_here(need: str) -> bool:
    """Whether this system has what a test needs. Raises KeyError for an unknown name."""
    return SYSTEM[need][1]()
