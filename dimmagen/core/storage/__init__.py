"""Files on a local disk or behind an fsspec URL: complete or absent, whatever becomes of the process.

For S3 URLs (:mod:`.s3`), every function below that reads or writes raises UnavailableError if the last
attempt of a request has failed, and RefusedError if credentials, permissions or the bucket are missing; for
other URLs (:mod:`.remote`), likewise.
"""

from dimmagen.core.storage.filesystems import check_protocol
from dimmagen.core.storage.listing import (
    discard,
    discarding,
    exists,
    find_files,
    is_file,
    is_folder,
    list_names,
    remove,
    stamp,
    stamp_of,
)
from dimmagen.core.storage.paths import is_local, is_url, join, last_part, local_path, only_local
from dimmagen.core.storage.reading import (
    open_binary,
    parse_json,
    read,
    read_json,
    read_once,
    read_range,
    size_and_sha256,
)
from dimmagen.core.storage.replacing import replace_folder, restore_folder, restore_folders
from dimmagen.core.storage.writing import (
    atomic_write,
    atomic_writer,
    is_unfinished,
    remove_abandoned,
    remove_unfinished,
    sync_folder,
    unfinished_folder,
    unfinished_name,
    write_result,
    writing_errors,
)

__all__ = [
    "atomic_write",
    "atomic_writer",
    "check_protocol",
    "discard",
    "discarding",
    "exists",
    "find_files",
    "is_file",
    "is_folder",
    "is_local",
    "is_unfinished",
    "is_url",
    "join",
    "last_part",
    "list_names",
    "local_path",
    "only_local",
    "open_binary",
    "parse_json",
    "read",
    "read_json",
    "read_once",
    "read_range",
    "remove",
    "remove_abandoned",
    "remove_unfinished",
    "replace_folder",
    "restore_folder",
    "restore_folders",
    "size_and_sha256",
    "stamp",
    "stamp_of",
    "sync_folder",
    "unfinished_folder",
    "unfinished_name",
    "write_result",
    "writing_errors",
]
