"""The samples of a shard one after the other, as far as the shard is whole."""

import os
from collections.abc import Iterator

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, UnavailableError
from dimmagen.core.git_lfs import refuse_pointer
from dimmagen.core.machine import machine_trouble
from dimmagen.core.tar import samples
from dimmagen.core.text import pluralize
from dimmagen.dataset.manifest import ShardEntry
from dimmagen.dataset.reader import shard_is_there
from dimmagen.images import codec


def shard_samples(out: str, shard: ShardEntry) -> Iterator[dict]:
    """The samples of one shard.

    Its size is compared, because a loader would take the shard of another run for this one; and they are
    counted, because a tar may hold fewer in as many bytes.

    Args:
        out: folder or fsspec URL of the data set.
        shard: of its manifest.

    Yields:
        The bytes of each file of a sample by its extension, such as `dark.png`, and the key as `__key__`.

    Raises:
        UnavailableError: the storage cannot be reached.
        DimmagenError: the shard is missing or damaged, or has another size or number of samples than the
            manifest says.
    """
    count = 0
    path, todo = storage.join(out, shard.name), f"run `verify({out})`, and copy the damaged shard again"
    with machine_trouble(path), shard_is_there(path), storage.open_binary(path) as file:
        if (size := file.seek(0, os.SEEK_END)) != shard.bytes:
            refuse_pointer(path)
            what = f"{path} has {size} bytes, the manifest says {shard.bytes}"
            raise DimmagenError(what, todo, code="damaged", path=path)
        try:
            for sample in samples(file, path, codec.MAX_BYTES):
                count += 1
                yield sample
        except UnavailableError:
            raise  # concerns the storage, not this shard
        except DimmagenError as error:
            raise DimmagenError(
                f"{error.what} (after {pluralize(count, 'pair')})",
                todo,
                code="damaged",
                path=path,
            ) from error
    if count != shard.samples:
        raise DimmagenError(
            f"{path} holds {pluralize(count, 'pair')}, the manifest says {shard.samples}",
            todo,
            code="damaged",
            path=path,
        )
