"""A subset of a data set: the pairs that meet some criteria, in their order."""

import shlex
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dimmagen.core import hashing
from dimmagen.core.errors import UsageError
from dimmagen.core.registry import did_you_mean
from dimmagen.dataset.generations import GENERATIONS, REMOVED
from dimmagen.dataset.manifest import Manifest, Run
from dimmagen.dataset.reader import PairSet
from dimmagen.generate.derived import ChosenPairs, origin_of, write_derived
from dimmagen.sources import terms_of

CRITERIA = ("key", "light_key", "source", "gamma", "lightness_after", "width", "height")
"""The columns of a data set that :func:`write_subset` needs; the others are read pair by pair."""

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which pairs a subset keeps: those that meet all given criteria; None and empty values are ignored.

    Attributes:
        sources: names of sources.
        licence: words in the terms of the pair's source; upper and lower case are equal.
        gamma: lowest and highest gamma.
        lightness: lowest and highest mean of the dark image, in [0, 1].
        min_side: minimum length of the shorter side, pixels.
        keys: keys of pairs or of light images.
        without_keys: keys of pairs or of light images that are left out.
    """

    sources: tuple[str, ...] = ()
    licence: str = ""
    gamma: Span | None = None
    lightness: Span | None = None
    min_side: int = 0
    keys: tuple[str, ...] = ()
    without_keys: tuple[str, ...] = ()

    def kept(self, rows: Iterable[dict], settings: Mapping) -> Iterator[dict]:
        """The rows of the pairs that are selected, given the settings of their data set."""
        keys, without_keys = frozenset(self.keys), frozenset(self.without_keys)
        for row in rows:
            names = (row["key"], row["light_key"])
            is_named = not keys or not keys.isdisjoint(names)
            if is_named and without_keys.isdisjoint(names) and self._fits(row, settings):
                yield row

    def _fits(self, row: dict, settings: Mapping) -> bool:
        """Whether a pair meets the criteria other than its keys."""
        return (
            (not self.sources or row["source"] in self.sources)
            and self.licence.lower() in terms_of(row["source"], settings).lower()
            and _inside(row["gamma"], self.gamma)
            and _inside(row["lightness_after"], self.lightness)
            and min(row["width"], row["height"]) >= self.min_side
        )

    def command(self) -> str:
        """The command that makes this subset of a set; a list of keys is a placeholder."""
        words = ["dimmagen", "subset", "ORIGIN", "--out", "out/"]
        for source in self.sources:
            words += ["--source", source]
        words += ["--licence", self.licence] if self.licence else []
        for name in ("gamma", "lightness"):
            if span := getattr(self, name):
                words += [f"--{name}", f"{span[0]}:{span[1]}"]
        words += ["--min-side", str(self.min_side)] if self.min_side else []
        words += ["--keys", "KEYS"] if self.keys else []
        words += ["--without-keys", "KEYS"] if self.without_keys else []
        return shlex.join(words)

    def note(self) -> dict:
        """The selection as recorded in the settings; a list of keys is recorded as its hash."""
        note = {**asdict(replace(self, keys=(), without_keys=())), "keys": _list_hash(self.keys)}
        del note["without_keys"]  # recorded only where it is used: older subsets do not have it
        return note | ({"without_keys": _list_hash(self.without_keys)} if self.without_keys else {})


def write_subset(
    pairs: PairSet,
    selection: Selection,
    out: str,
    on_start: Callable[[int], None] = lambda pairs: None,
    on_pair: Callable[[], None] = lambda: None,
) -> Manifest:
    """Write the pairs that a selection keeps, in their original order, as a data set.

    Args:
        pairs: a finished data set, with at least the columns of :data:`CRITERIA`.
        selection: what to keep.
        out: folder or fsspec URL of the new set; a run that was stopped is resumed.
        on_start: called once with the number of pairs.
        on_pair: called after each pair.

    Raises:
        UsageError: no pair is selected, a source or key is unknown, or `out` holds something else.
        DimmagenError: the origin is damaged, or `out` cannot be written.
    """
    _refuse_unknown(pairs, selection)
    criteria = pairs.table.select(CRITERIA).append_column("index", pa.array(np.arange(len(pairs))))
    kept = selection.kept(replace(pairs, table=criteria).iter_rows(), pairs.manifest.settings)
    picked = ChosenPairs(pairs, array("Q", (row["index"] for row in kept)))
    if not picked:
        raise UsageError(
            f"no pair of {pairs.out} matches the selection",
            "look at the sources, gammas and lightness of its pairs first",
            code="no-match",
            dataset=pairs.out,
        )
    settings = pairs.manifest.settings
    own = {name: value for name, value in settings.items() if name not in (GENERATIONS, REMOVED)}
    settings = {**own, "subset": selection.note(), "derived_from": [origin_of(pairs)]}
    run = Run(settings, pairs.manifest.environment)
    return write_derived(out, run, selection.command(), picked, [pairs], on_start, on_pair)


def _refuse_unknown(pairs: PairSet, selection: Selection) -> None:
    sources = sorted(pc.unique(pairs.table["source"]).to_pylist())
    if unknown := sorted(set(selection.sources) - set(sources)):
        raise UsageError(
            f"{pairs.out} has no source {', '.join(unknown)}",
            f"{did_you_mean(unknown[0], sources)}it has {', '.join(sources)}",
            code="unknown-name",
            kind="source",
            name=unknown[0],
        )
    named = {*selection.keys, *selection.without_keys}
    for name in ("key", "light_key") if named else ():
        for part in pairs.table[name].chunks:
            named.difference_update(part.to_pylist())
    if missing := sorted(named):
        raise UsageError(
            f"{pairs.out} lacks {len(missing)} of the keys, such as {missing[0]}",
            "give keys that are in its parquet files",
            code="unknown-name",
            kind="key",
            name=missing[0],
        )


def _list_hash(keys: Sequence[str]) -> str:
    return hashing.sha256("\n".join(sorted(keys)).encode()) if keys else ""


def _inside(value: float, span: Span | None) -> bool:
    return span is None or span[0] <= value <= span[1]
