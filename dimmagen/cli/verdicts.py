"""Why candidates were rejected, as the commands print it."""

from dimmagen.cli.output import echo
from dimmagen.sources.verdict_counts import VerdictCounts


def print_reasons(tallies: dict[str, VerdictCounts]) -> None:
    """The first candidates that each rule rejected, with the reasons, and the number of the others."""
    for source, one in tallies.items():
        for rule, count in one.rejected.most_common():
            examples = one.examples[rule]
            for name, reason in examples:
                echo(f"rejected by {rule}: {source} {name!r}: {reason}")
            if count > len(examples):
                echo(f"rejected by {rule}: {count - len(examples)} more of {source}")
