"""Trouble of the machine is told from what bytes prove, and ends with the path and what to do."""

import errno

import pytest

from dimmagen.core.errors import MachineError
from dimmagen.core.machine import is_machine_trouble, machine_trouble


@pytest.mark.parametrize(
    ("error", "todo"),
    [
        (MemoryError(), "fewer `workers`"),
        (OSError("out of memory error when reading image file"), "run the same command again"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "fewer `workers`"),
        (OSError(errno.EIO, "Input/output error"), "check the disk or the network"),
        (OSError(errno.ESTALE, "Stale file handle"), "check the disk or the network"),
        (OSError(errno.EMFILE, "Too many open files"), "ulimit -n"),
        (OSError(errno.ENFILE, "Too many open files in system"), "close other programs"),
        (PermissionError(errno.EACCES, "Permission denied"), "make it readable"),
        (TimeoutError(errno.ETIMEDOUT, "Connection timed out"), "check the disk or the network"),
        (RuntimeError("can't start new thread"), "run the same command again"),
    ],
)
def test_trouble_of_the_machine_names_the_path_and_what_to_do(error, todo):
    with pytest.raises(MachineError) as raised, machine_trouble("photos/a.jpg"):
        raise error
    assert "photos/a.jpg" in raised.value.what
    assert todo in raised.value.todo
    assert (raised.value.code, raised.value.exit_code) == ("machine", 1)


@pytest.mark.parametrize(
    "error",
    [
        OSError("image file is truncated"),
        ValueError("not enough image data"),
        FileNotFoundError(errno.ENOENT, "No such file"),
        RuntimeError("a decoder has failed"),
    ],
)
def test_what_bytes_and_names_cause_is_not_the_machine(error):
    assert not is_machine_trouble(error)
    with pytest.raises(type(error)), machine_trouble("photos/a.jpg"):
        raise error
