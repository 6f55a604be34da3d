"""The previous run in an output folder, and the error if another one with other settings finds it there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dimmagen.core.errors import UsageError, Ways
from dimmagen.core.text import pluralize
from dimmagen.dataset.manifest import Run, changed_values
from dimmagen.dataset.writer import ShardRecord

# Settings that other photos change.
_OF_PHOTOS = ("lights", "generations", "removed", "labels.sha256", "light_format", "source_terms")
_NUMBERS = ("no", "one", "two", "three", "four")


@dataclass(frozen=True, slots=True)
class PreviousRun:
    """What is known about the previous run that wrote to the folder.

    Attributes:
        run: its settings and its environment.
        records: of its complete shards, by their names.
        choices: by which its photos were chosen; None where it does not say so.
        is_finished: whether there is a manifest.
    """

    run: Run
    records: dict[str, ShardRecord]
    choices: Mapping[str, Any] | None = None
    is_finished: bool = False


def refusal(
    out: str,
    discards: bool,
    previous: PreviousRun,
    differences: Sequence[str],
    choices: Mapping[str, Any] | None,
) -> UsageError:
    """The error about a run with other settings, with the ways to continue.

    Args:
        out: folder or fsspec URL of both runs.
        discards: whether runs of this kind accept `resume="never"`.
        previous: the run that is there.
        differences: settings of the two runs, as :func:`~dimmagen.dataset.manifest.changes` gives them.
        choices: by which the photos of the new run are chosen.
    """
    of_photos = all(one.startswith(_OF_PHOTOS) for one in differences)
    then, now = previous.choices, choices or {}
    chosen = _changed_choices(then, now) if of_photos and then is not None else []
    is_limited = "limit" in now or "limit" in (then or {})
    can_grow = discards and of_photos and not is_limited and not any(map(_is_of_all, chosen))
    kind, keep, add = "an unfinished run", "resume it:     use the settings that it was begun with", ""
    if previous.is_finished:
        kind, keep = "a run", "keep them:     use the settings that they were made with"
    if can_grow:
        add = "add to them:   " + ("" if previous.is_finished else "finish them first, and then ")
        add += "give `add=True`"
    discard = 'give `resume="never"`' if discards else "remove the folder"
    ways = (keep, add, "keep both:     choose another `out` folder", f"discard them:  {discard}")
    shards = pluralize(len(previous.records), "complete shard")
    lines = "".join(f"\n    {one}" for one in (*differences, *map(_with_argument, chosen)))
    return UsageError(
        f"{out} holds {shards} of {kind} with other settings:{lines}",
        Ways.of(*filter(None, ways), join_ways=_one_of),
        code="other-settings",
        path=out,
        differences=[*differences, *chosen],
    )


def _changed_choices(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """`name: then → now` for each choice among photos that differs.

    A size that only one of the two has may have changed no photo of the other.
    """
    one_has = {name for name in ("resize", "crop") if (name in then) != (name in now)}
    old, new = ({name: value for name, value in one.items() if name not in one_has} for one in (then, now))
    return changed_values(old, new)


def _is_of_all(change: str) -> bool:
    """Whether a choice that differs is one that all photos of a set have in common."""
    return change.startswith(("resize", "crop", "min_lightness"))


def _with_argument(change: str) -> str:
    name, _, values = change.partition(":")
    return f"`{name}`:{values}"


def _one_of(ways: Sequence[str]) -> str:
    """Ways as a list, for which each has a heading."""
    lines = "".join(f"\n    {way}" for way in ways)
    return f"Choose one of {_NUMBERS[len(ways)]}:{lines}" if len(ways) > 1 else ways[0]
