"""Shows dimmagen a macOS or a Windows instead of Linux, as far as its own modules can tell.

Python imports a module of this name in each process that it starts, also in those that are spawned, where its
folder is on PYTHONPATH; `DIMMAGEN_TEST_SYSTEM` names the system. Other packages see Linux.
"""

import builtins
import errno
import os
import signal
from contextlib import suppress
from types import ModuleType

_NOT_ON_MACOS = {"os": {"sched_getaffinity", "sched_setaffinity", "pidfd_open", "posix_fadvise"}}
_NOT_ON_WINDOWS = {
    "os": {
        *("sched_getaffinity", "sched_setaffinity", "fork", "forkpty", "register_at_fork", "pread", "pwrite"),
        *("getuid", "geteuid", "getpgid", "killpg", "setsid", "uname", "sync", "statvfs", "mkfifo", "chown"),
        *("O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC", "WNOHANG", "sysconf", "nice", "posix_fadvise"),
    },
    "signal": {"SIGKILL", "SIGSTOP", "SIGCONT", "SIGHUP", "SIGALRM", "pthread_kill", "pthread_sigmask"},
    "fcntl": set(), "resource": set(), "pwd": set(), "grp": set(), "termios": set(),
}  # fmt: skip


class _Lacking(ModuleType):
    """A module without some names."""

    def __init__(self, real: ModuleType, lacks: set[str]) -> None:
        super().__init__(real.__name__)
        self.__real, self.__lacks = real, lacks

    def __getattr__(self, name: str):
        if name in self.__lacks:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(self.__real, name)


def _in_use(path: str) -> bool:
    """Whether this process has a file open, or mapped into its memory."""
    place = os.path.realpath(path)
    for entry in os.scandir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # another thread has closed it meanwhile
            if os.path.realpath(entry.path) == place:
                return True
    with open("/proc/self/maps", errors="replace") as maps:
        return any(line.rstrip("\n").endswith(f" {place}") for line in maps)


def _refused(path: str) -> PermissionError:
    return PermissionError(errno.EACCES, "used by another process", path)


def _open(path, *arguments):
    if os.path.isdir(path):
        raise _refused(path)
    return os.open(path, *arguments)


def _unlink(path):
    if _in_use(path):
        raise _refused(path)
    os.unlink(path)


def _replace(source, target):
    for path in (source, target):
        if _in_use(path):
            raise _refused(path)
    os.replace(source, target)


def _modules(system: str) -> dict[str, ModuleType | None]:
    """What an import of these names gives; None where there is no such module."""
    if system == "macos":
        return {"os": _Lacking(os, _NOT_ON_MACOS["os"])}
    windows = _Lacking(os, _NOT_ON_WINDOWS["os"])
    windows.name, windows.open, windows.unlink, windows.replace = "nt", _open, _unlink, _replace
    lacking = dict.fromkeys(_NOT_ON_WINDOWS)
    return {**lacking, "os": windows, "signal": _Lacking(signal, _NOT_ON_WINDOWS["signal"])}


_seen, _real_import = _modules(os.environ["DIMMAGEN_TEST_SYSTEM"]), builtins.__import__


def _import(name, globals=None, locals=None, fromlist=(), level=0):
    if name in _seen and (globals or {}).get("__name__", "").split(".")[0] == "dimmagen":
        if _seen[name] is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return _seen[name]
    return _real_import(name, globals, locals, fromlist, level)


builtins.__import__ = _import
