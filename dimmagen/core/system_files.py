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
        "#snapshot",  # Synology
        "~snapshot",  # NetApp
        "@Recently-Snapshot",  # QNAP
        "@__thumb",
        "Network Trash Folder",  # file servers of macOS
        "Temporary Items",
    )
)
# What systems leave in any folder by themselves, also among files that a program has written there.
_HIDDEN_SYSTEM_NAMES = frozenset(
    (
        *(".ds_store", ".localized", ".apdisk", ".appledouble", ".spotlight-v100", ".fseventsd", ".trashes"),
        *(".temporaryitems", ".documentrevisions-v100", ".directory", ".snapshot", ".snapshots", ".zfs"),
    )
)
# What programs that copy or show folders leave there: Hugging Face's client, git, DVC, Jupyter, Dropbox ...
_HIDDEN_CLIENT_NAMES = frozenset(
    (
        *(".cache", ".git", ".gitattributes", ".gitignore", ".dvc", ".dvcignore", ".ipynb_checkpoints"),
        *(".dropbox", ".dropbox.attr", ".dropbox.cache", ".stfolder", ".stignore", ".stversions", ".sync"),
    )
)
# AppleDouble files; files that were removed while they were open, on NFS, FUSE and SMB; trash; LibreOffice.
_HIDDEN_BEGINNINGS = ("._", ".nfs0", ".fuse_hidden", ".smbdelete", ".trash-", ".~lock.")


def is_system_name(name: str) -> bool:
    """Whether one part of a path is hidden (begins with a dot) or belongs to a system."""
    return (name.startswith(".") and name not in (".", "..")) or name.lower() in _SYSTEM_NAMES


def is_left_by_system(name: str) -> bool:
    """Whether one part of a path is something that a system, or a program that copies folders, leaves in any
    folder, such as `.DS_Store`.

    In contrast to :func:`is_system_name`, other hidden names are a program's own.
    """
    lower = name.lower()
    is_named = any(lower in names for names in (_SYSTEM_NAMES, _HIDDEN_SYSTEM_NAMES, _HIDDEN_CLIENT_NAMES))
    return is_named or lower.startswith(_HIDDEN_BEGINNINGS)


def is_system_path(path: str) -> bool:
    """Whether a relative POSIX path is, or lies in, something of :func:`is_system_name`."""
    return any(map(is_system_name, path.split("/")))
