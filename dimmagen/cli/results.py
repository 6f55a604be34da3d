"""The results of commands for programs (`--json`), where several commands have the same kind."""

from typing import Any

from dimmagen.dataset.manifest import Manifest


def dataset_result(out: str, manifest: Manifest, **more: Any) -> dict[str, Any]:
    """A data set that was made or read.

    Args:
        out: its folder or URL.
        manifest: its manifest.
        more: what a command adds.

    Returns:
        Its place, the numbers of pairs, light images, shards and rejected candidates, `bytes` of its shards,
        `root_hash` and `fingerprint`.
    """
    counts = manifest.counts
    return {
        "dataset": out,
        "pairs": counts.pairs,
        "light_images": counts.lights,
        "light_images_by_source": counts.lights_by_source,
        "rejected": counts.rejected,
        "shards": counts.shards,
        "bytes": sum(shard.bytes for shard in manifest.shards),
        "root_hash": manifest.root_hash,
        "fingerprint": manifest.fingerprint,
        **more,
    }
