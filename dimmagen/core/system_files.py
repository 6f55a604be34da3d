"""Files and folders that no user means: hidden ones, and those that systems and devices leave among
photos."""

import re
from collections.abc import Callable, Iterable
from posixpath import basename, dirname

_SYSTEM_NAMES = frozenset(
    name.lower()
    for name in (
        "__MACOSX",  # resource forks in zips made on macOS
        "$RECYCLE.BIN",
        "RECYCLER",  # of older Windows
        "_vti_cnf",  # thumbnails of FrontPage
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
        "Icon\r",  # the icon of a folder on macOS
        "ehthumbs.db",
    )
)
# What systems leave in any folder by themselves, also among files that a program has written there.
_HIDDEN_SYSTEM_NAMES = frozenset(
    (
        *(".ds_store", ".localized", ".apdisk", ".appledouble", ".spotlight-v100", ".fseventsd", ".trashes"),
        *(".temporaryitems", ".documentrevisions-v100", ".directory", ".snapshot", ".snapshots", ".zfs"),
    )
)
# What programs that copy or show folders leave there: Hugging Face's client, git, DVC, Jupyter, Dropbox,
# Google Drive, Nextcloud, editors ...; and what holds the place of files where git would keep no folder.
_HIDDEN_CLIENT_NAMES = frozenset(
    (
        *(".cache", ".git", ".gitattributes", ".gitignore", ".dvc", ".dvcignore", ".ipynb_checkpoints"),
        *(".dropbox", ".dropbox.attr", ".dropbox.cache", ".stfolder", ".stignore", ".stversions", ".sync"),
        *(".tmp.driveupload", ".tmp.drivedownload", ".nextcloudsync.log", ".owncloudsync.log", ".nomedia"),
        *(".gitkeep", ".keep", ".svn", ".hg", ".idea", ".vscode", ".rsync-partial", ".volumeicon.icns"),
    )
)
# Reduced copies that photo managers keep: of libraries of Apple only the originals count (osxphotos' list of
# them, github.com/RhetTbull/osxphotos/issues/50), of Nextcloud not its previews. Google's Takeout has deleted
# photos.
_PREVIEW = re.compile(
    r"(^|/)[^/]+\.(photoslibrary|photolibrary|migratedphotolibrary|aplibrary)/(?!(originals|masters)/)"
    r"|(^|/)appdata_[^/]+/preview/"
    r"|(^|/)google photos/(trash|bin)/",
    re.IGNORECASE,
)
_IMMICH, _OF_IMMICH = "/.immich", frozenset(("thumbs", "encoded-video", "profile", "backups"))
# AppleDouble files; files that were removed while they were open, on NFS, FUSE and SMB; trash; LibreOffice.
_HIDDEN_BEGINNINGS = (
    *("._", ".nfs0", ".fuse_hidden", ".smbdelete", ".trash-", ".~lock."),
    *(".syncthing.", ".sync_"),
)


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


def preview_test(paths: Iterable[str]) -> Callable[[str], bool]:
    """A test for files that a photo manager has made of photos: smaller copies, frames, faces.

    Args:
        paths: relative POSIX paths of all files that were found together, with the name of their folder.

    Returns:
        A function that takes one of the paths. The folder itself, which a user has named, is never such.
    """
    marked = {dirname(path) for path in paths if path.endswith(_IMMICH)}
    made = tuple(f"{folder}/" for folder in marked if "/" in folder and basename(folder) in _OF_IMMICH)
    return lambda path: bool(_PREVIEW.search(path)) or path.startswith(made)
