"""Why candidates were rejected, as the commands print it."""

from collections.abc import Iterator

from dimmagen.cli.output import echo
from dimmagen.core.text import pluralize
from dimmagen.sources.candidate_files import shown_counts
from dimmagen.sources.light_images import PAPER_SIZE_RULES, hint_without_name
from dimmagen.sources.newcomers import Earlier
from dimmagen.sources.verdict_counts import VerdictCounts


def print_reasons(tallies: dict[str, VerdictCounts], with_examples: bool = True) -> None:
    """The first candidates that each rule rejected, with the reasons, and the numbers of all other files.

    Not those over `--limit`, of which only the number says something.

    Args:
        tallies: by source.
        with_examples: without them, a source has one line with the number for each rule.
    """
    for source, one in tallies.items():
        for line in _reasons(source, one) if with_examples else _numbers(source, one):
            echo(line)
        if limited := one.rejected["limit"]:
            echo(f"over the limit: {pluralize(limited, 'candidate')} of {source}")
        if one.others:
            echo(f"not candidates: {shown_counts(one.others)} of {source}")
        if one.seen and not one.accepted and PAPER_SIZE_RULES & one.rejected.keys():
            echo(f"No photo of {source} is accepted: {hint_without_name([source])}.")


def _reasons(source: str, one: VerdictCounts) -> Iterator[str]:
    for rule, count in _by_rule(one):
        examples = one.examples[rule]
        for name, reason in examples:
            yield f"rejected by {rule}: {source} {name!r}: {reason}"
        if count > len(examples):
            yield f"rejected by {rule}: {count - len(examples)} more of {source}"


def _numbers(source: str, one: VerdictCounts) -> Iterator[str]:
    if numbers := [f"{rule} {count}" for rule, count in _by_rule(one)]:
        yield f"rejected of {source}: {', '.join(numbers)}"


def _by_rule(one: VerdictCounts) -> list[tuple[str, int]]:
    return [(rule, count) for rule, count in one.rejected.most_common() if rule != "limit"]


def echo_newcomers(earlier: Earlier, out: str) -> None:
    """Say how many candidates a set that grows has already, and how many were taken out of it."""
    if earlier.known:
        echo(f"{pluralize(earlier.known, 'candidate')} in {out} already.")
    if earlier.taken_out:
        echo(f"{pluralize(earlier.taken_out, 'candidate')} left out: removed from {out} before.")
