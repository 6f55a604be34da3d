"""How many candidates of each source are accepted and rejected, by which rules, with examples."""

from collections import Counter
from collections.abc import Iterable
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
    """

    seen: int = 0
    accepted: int = 0
    rejected: Counter = field(default_factory=Counter)
    examples: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def to_dict(self) -> dict:
        """As it is stored in the manifest."""
        return {"seen": self.seen, "accepted": self.accepted, "rejected": dict(sorted(self.rejected.items()))}


def tally(rows: Iterable[CatalogRow]) -> dict[str, VerdictCounts]:
    """Count the verdicts.

    Args:
        rows: of a catalog, in any order.

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
    return {name: tallies[name] for name in SOURCES if name in tallies}
