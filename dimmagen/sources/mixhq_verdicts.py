"""The verdicts on all candidates of a finished MixHQ, and its numbers of files that were not candidates."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from dimmagen.core.errors import DimmagenError
from dimmagen.sources import SOURCES
from dimmagen.sources.mixhq_reading import MIXHQ_MANIFEST, catalog_parts, read_catalog
from dimmagen.sources.verdict_counts import VerdictCounts, tally


def finished_tally(out: str, manifest: Mapping) -> dict[str, VerdictCounts]:
    """The verdicts on all candidates of a finished MixHQ.

    Args:
        out: folder or fsspec URL.
        manifest: its manifest, untrusted.
    """
    return with_recorded_others(out, manifest, tally(read_catalog(out, catalog_parts(manifest))))


def with_recorded_others(
    out: str, manifest: Mapping, counts: Mapping[str, VerdictCounts]
) -> dict[str, VerdictCounts]:
    """The verdicts on the rows of a catalog, with the manifest's numbers of files that were not candidates.

    Args:
        out, manifest: as for :func:`finished_tally`.
        counts: by source.
    """
    others = recorded_others(out, manifest.get("sources", {}))
    return {
        name: replace(counts.get(name, VerdictCounts()), others=Counter(others.get(name, {})))
        for name in SOURCES
        if name in counts or name in others
    }


def recorded_others(out: str, recorded: object) -> dict[str, dict[str, int]]:
    """The numbers of files that were not candidates, from a manifest that may hold anything.

    Args:
        out: folder or fsspec URL.
        recorded: what the manifest has as its sources.

    Raises:
        DimmagenError: it is not that.
    """
    sources = recorded.items() if isinstance(recorded, dict) else [("", None)]
    others = {name: one.get("others", {}) if isinstance(one, dict) else None for name, one in sources}
    for name, counts in others.items():
        is_known = name in SOURCES and isinstance(counts, dict)
        if not is_known or not all(type(count) is int for count in counts.values()):  # type: ignore[union-attr]
            raise DimmagenError(
                f"{out}/{MIXHQ_MANIFEST}: what it says of the source {name!r} is not a count",
                "it was changed or is of another kind: build it again",
                code="damaged",
                path=out,
            )
    return others  # type: ignore[return-value]
