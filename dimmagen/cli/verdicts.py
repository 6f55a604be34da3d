"""Why candidates were rejected, as the commands print it."""

import click

from dimmagen.sources.mixhq import VerdictCounts


def print_reasons(tallies: dict[str, VerdictCounts]) -> None:
    """A line per source and rule: how many candidates it rejected, and the first of them with its reason."""
    for source, one in tallies.items():
        for rule, count in one.rejected.most_common():
            name, reason = one.examples[rule]
            others = f" (and {count - 1} more)" if count > 1 else ""
            click.echo(f"rejected by {rule}: {source} {name!r}: {reason}{others}")
