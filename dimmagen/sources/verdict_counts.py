"""How many candidates of each source are accepted and rejected, by which rules, with examples."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dimmagen.sources import SOURCES
from dimmagen.sources.catalog import CatalogRow

EXAMPLES = 3  # per source and rule


@dataclass(slots=True)
class VerdictCounts:
    """Verdicts on the candidates of one source.

    Attributes:
        seen: number of candidates.
        accepted: number of accepted ones.
        rejected: number of rejected ones by rule; with `accepted`, they add up to `seen`.
        examples: by rule, the names of the first three candidates that it rejected, each with the reason.
        others: number of files that are not candidates, by the ending of their names.
    """

    seen: int = 0
    accepted: int = 0
    rejected: Counter = field(default_factory=Counter)
    examples: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    others: Counter = field(default_factory=Counter)

    def to_dict(self) -> dict:
        """As it is stored in the manifest."""
        counts = {
            "seen": self.seen,
            "accepted": self.accepted,
            "rejected": dict(sorted(self.rejected.items())),
        }
        return counts | {"others": dict(sorted(self.others.items()))}


def tally(
    rows: Iterable[CatalogRow], others: Mapping[str, Mapping[str, int]] | None = None
) -> dict[str, VerdictCounts]:
    """Count the verdicts.

    Args:
        rows: of a catalog, in any order.
        others: number of files that are not candidates, by source and ending.

    Returns:
        The counts by name of the source, in the order of the registry.
    """
    tallies: dict[str, VerdictCounts] = {}
    for row in rows:
        one = tallies.setdefault(row.source, VerdictCounts())
        one.seen += 1
        one.accepted += row.accepted
        if row.rule:
            one.rejected[row.rule] += 1
            examples = one.examples.setdefault(row.rule, [])
            if len(examples) < EXAMPLES:
                examples.append((row.name, row.reason))
    for name, counts in (others or {}).items():
        tallies.setdefault(name, VerdictCounts()).others.update(counts)
    return {name: tallies[name] for name in SOURCES if name in tallies}
