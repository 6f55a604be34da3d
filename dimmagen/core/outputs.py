"""Which places can keep what is written: told before any work, and not when the first file is whole."""

import os

from dimmagen.core import storage
from dimmagen.core.errors import UsageError

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
