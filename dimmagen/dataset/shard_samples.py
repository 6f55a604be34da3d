"""The samples of a shard one after the other, as far as the shard is whole."""

from collections.abc import Iterator

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, UnavailableError
from dimmagen.core.machine import machine_trouble
from dimmagen.core.tar import samples
from dimmagen.core.text import pluralize
from dimmagen.dataset.manifest import ShardEntry
from dimmagen.images import codec


def shard_samples(out: str, shard: ShardEntry) -> Iterator[dict]:
    """The samples of one shard.

    They are counted, because a tar that was truncated between two members looks like a shorter one.

    Args:
        out: folder or fsspec URL of the data set.
        shard: of its manifest.

    Yields:
        The bytes of each file of a sample by its extension, such as `dark.png`, and the key as `__key__`.

    Raises:
        UnavailableError: the storage cannot be reached.
        DimmagenError: the shard is damaged, or has more or fewer samples than the manifest says.
    """
    count = 0
    path, todo = storage.join(out, shard.name), f"run `verify({out})`, and copy the damaged shard again"
    with machine_trouble(path), storage.open_binary(path) as file:
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
