"""Where results go: which places can keep them, checked before any work, and how runs there are resumed."""

import os
import tempfile
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from dimmagen.core import storage
from dimmagen.core.errors import UsageError

ResumeMode = Literal["if-possible", "always", "never"]

# In a chain such as `zip::s3://bucket/a.zip`, the reason of one is that of the whole.
_UNSUITABLE = {
    "memory": "is in the memory of this process and is lost when it ends",
    **dict.fromkeys(
        ("http", "https", "zip", "tar", "libarchive", "git", "github", "gist", "data", "reference", "dvc"),
        "cannot be written to",
    ),
    **dict.fromkeys(
        ("cached", "blockcache", "filecache", "simplecache"), "is behind a cache, which may show old files"
    ),
}
_OF_A_SET = ("manifest.json", "shards", "metadata", "catalog")


def refuse_unsuitable(path: str | os.PathLike, in_process: bool = False) -> None:
    """Refuse a place that cannot keep what is written there; it is neither read nor made.

    Args:
        path: local path or fsspec URL.
        in_process: whether what is written may end with this process, as in a test or a notebook, and no
            other process writes there.

    Raises:
        UsageError: it is read-only, in memory or behind a cache, its protocol is unknown, or the package of
            its protocol is not installed.
    """
    text = os.fspath(path)
    if storage.is_local(text):
        return
    for part in text.split("::"):
        protocol = part.split("://", 1)[0].lower()
        if protocol in _UNSUITABLE and not (protocol == "memory" and in_process):
            raise UsageError(
                f"{text} {_UNSUITABLE[protocol]}",
                "give a local path or an s3:// URL",
                code="usage",
                path=text,
            )
    storage.check_protocol(text)


def refuse_inside_a_set(path: str | os.PathLike, *, for_results: bool = False) -> None:
    """Refuse a new file or folder inside a data set or a MixHQ, whose `verify` would find it as a fault.

    Args:
        path: local path of it.
        for_results: whether it is a folder to which results are added: that of a set is refused, too.

    Raises:
        UsageError: it would be inside one.
    """
    folder = os.path.realpath(path) if for_results else os.path.dirname(os.path.realpath(path))
    while (parent := os.path.dirname(folder)) != folder:
        there = {name for name in _OF_A_SET if os.path.exists(os.path.join(folder, name))}
        if {"manifest.json", "shards"} <= there and there & {"metadata", "catalog"}:
            what = f"{'results in ' * for_results}{os.fspath(path)}"
            raise UsageError(
                f"{what} would be inside the data set or MixHQ {folder}",
                "choose a place outside of it",
                code="no-room",
                path=os.fspath(path),
            )
        folder = parent


def refuse_alike(folder: Path, names: Iterable[str]) -> None:
    """Refuse names that the disk of a folder does not distinguish, so that a file would replace another one.

    Disks of Windows, macOS and cameras take `A.png` and `a.png` for one name, some also two ways of writing
    an accent. Nothing is written unless there are such names.

    Args:
        folder: local; is made if there are such names.
        names: of files, all different.

    Raises:
        UsageError: naming two such names.
    """
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
        if other != name and _are_one(folder, other, name):
            raise UsageError(
                f"two results would be one file on the disk of {folder}: {other} and {name}",
                "rename one of the two, or write to two folders",
                code="name-taken",
                name=name,
            )


def _are_one(folder: Path, first: str, second: str) -> bool:
    """Whether a disk takes two names as one, tried with a file in a folder that is removed."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".dimmagen-", dir=folder) as trial:
        (Path(trial) / first).touch()
        return (Path(trial) / second).exists()
