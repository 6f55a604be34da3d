"""Files and folders that no user means: hidden ones, and those that systems and devices leave among
photos."""

_SYSTEM_NAMES = frozenset(
    name.lower()
    for name in (
        "__MACOSX",  # resource forks in zips made on macOS
        "$RECYCLE.BIN",
        "System Volume Information",
        "Thumbs.db",
        "desktop.ini",
        "@eaDir",  # thumbnails of Synology
        "@Recycle",  # QNAP
        "#recycle",
        "lost+found",
    )
)


def is_system_name(name: str) -> bool:
    """Whether one part of a path is hidden (begins with a dot) or belongs to a system."""
    return (name.startswith(".") and name not in (".", "..")) or name.lower() in _SYSTEM_NAMES


def is_system_path(path: str) -> bool:
    """Whether a relative POSIX path is, or lies in, something of :func:`is_system_name`."""
    return any(map(is_system_name, path.split("/")))
