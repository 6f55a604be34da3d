"""The folder of a Ray of this machine, which no run leaves behind for long, also if it is killed."""

import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from dimmagen.core import abandoned

_LOG = logging.getLogger(__name__)
# Characters of the folder for temporary files: 103 are the most for a socket below it.
_MAX_PARENT = 15
_PREFIX = "dimmagen-ray-"
_OWNER = "owner"  # a file that is locked as long as the process that made the folder lives
_FOR_RAY = "r"  # to which Ray lets everybody write, so it is not the folder itself


@contextmanager
def session_folder() -> Iterator[str]:
    """A folder for the sockets and logs of a Ray that is started here, removed with it.

    Ray's own in /tmp/ray stays after every run. Folders of runs that were killed are removed here.
    """
    parent = tempfile.gettempdir()
    if len(parent) > _MAX_PARENT and os.path.isdir("/tmp"):
        parent = "/tmp"
    _remove_abandoned(parent)
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=parent, ignore_cleanup_errors=True) as folder:
        owner = _claim(folder)
        try:
            place = os.path.join(folder, _FOR_RAY)
            os.mkdir(place)
            yield place
        finally:
            if owner is not None:
                os.close(owner)


def _claim(folder: str) -> int | None:
    """Descriptor of the owner's file, locked before it has its name; None where a system cannot do that."""
    if os.name == "nt":  # no open file is renamed there
        return None
    draft = os.path.join(folder, f".{_OWNER}")
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    abandoned.claim(descriptor, draft)
    os.rename(draft, os.path.join(folder, _OWNER))
    return descriptor


def _remove_abandoned(parent: str) -> None:
    """Remove this user's folders whose owner was killed."""
    if os.name == "nt":
        return
    with suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX) and _is_own_folder(entry):
                with abandoned.is_held(os.path.join(entry.path, _OWNER)) as held:
                    if held is False:  # where no lock tells, such a folder may be in use for days
                        _LOG.debug("%s of a run that was killed is removed", entry.path)
                        shutil.rmtree(entry.path, ignore_errors=True)


def _is_own_folder(entry: "os.DirEntry[str]") -> bool:
    with suppress(OSError):
        status = entry.stat(follow_symlinks=False)
        return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    return False
