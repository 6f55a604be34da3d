"""The files of sources that are candidates, and the other files next to them."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dimmagen.core.errors import UsageError
from dimmagen.sources import SourceSpec
from dimmagen.sources.archives import Entry, list_entries
from dimmagen.sources.other_formats import ending_of, other_format
from dimmagen.sources.photo_selection import ListedFiles

_MOST_SHOWN = 5  # endings of file names


@dataclass(frozen=True, slots=True)
class CandidateFiles:
    """The files of some sources.

    Attributes:
        files: candidates by source and then by name; among them images and clips of formats that the source
            does not read, which are rejected by their names.
        others: number of all other files by name of the source and ending, such as `{"folder": {".txt": 2}}`;
            under `not listed` those that a list of names leaves out.
    """

    files: list[tuple[SourceSpec, Entry]]
    others: dict[str, Counter[str]]


def list_candidate_files(
    specs: Sequence[SourceSpec], names: frozenset[str] | None = None, follow_links: bool = False
) -> CandidateFiles:
    """List the files of some sources.

    Args:
        specs: from :func:`dimmagen.sources.parse_specs`.
        names, follow_links: see :class:`~.photo_selection.PhotoSelection`.

    Raises:
        UsageError: a path does not exist or has no candidate, or a file of `names` is in no source.
        DimmagenError: an archive is damaged, or a package that a source needs is missing.
    """
    for spec in specs:
        if require := getattr(spec.source, "require_packages", None):  # most sources need none
            require()
    files: list[tuple[SourceSpec, Entry]] = []
    others: dict[str, Counter[str]] = {}
    listed = ListedFiles(names) if names is not None else None
    for spec in specs:
        is_listed = listed.test_of(spec.path) if listed else None
        found, rest = _candidates_of(spec, is_listed, follow_links)
        if not any(entry.name.lower().endswith(spec.source.extensions) for entry in found) and not listed:
            raise _no_candidate(spec, found, rest)
        files.extend((spec, entry) for entry in found)
        if rest:
            others[spec.name] = others.get(spec.name, Counter()) + rest
    if listed:
        listed.refuse_missing()
    return CandidateFiles(files, others)


def _candidates_of(
    spec: SourceSpec, is_listed: Callable[[str], bool] | None, follow_links: bool
) -> tuple[list[Entry], Counter[str]]:
    extensions = spec.source.extensions
    # A source whose extensions are whole names takes these files, and nothing is said of the others.
    is_open = all(one.startswith(".") for one in extensions)
    found, rest = [], Counter[str]()
    for entry in list_entries(spec.path, follow_links):
        if is_listed and not is_listed(candidate_name(entry)):
            rest["not listed"] += 1
        elif entry.name.lower().endswith(extensions) or (is_open and other_format(entry.name, extensions)):
            found.append(entry)
        elif is_open:
            rest[ending_of(candidate_name(entry))] += 1
    return found, rest


def _no_candidate(spec: SourceSpec, found: list[Entry], rest: Counter[str]) -> UsageError:
    there = Counter(ending_of(candidate_name(entry)) for entry in found) + rest
    holds = f": it has {shown_counts(there)}" if there else ": it is empty"
    reasons = {other_format(entry.name, spec.source.extensions) for entry in found}
    advice = f"{ending_of(found[0].name)} {reasons.pop()}" if len(reasons) == 1 else ""
    if not advice and not {".tar", ".zip"}.isdisjoint(there):
        advice = "archives in it are not opened: give each as a source of its own"
    endings = " ".join(spec.source.extensions)
    return UsageError(
        f"{spec} holds no image or clip that the source can use{holds}",
        advice or f"give a folder or archive of files whose names end in {endings}",
        code="no-match",
        source=str(spec),
    )


def shown_counts(counts: Counter[str]) -> str:
    """`12 .heic, 3 .txt and 2 others`: the most frequent endings of file names with their numbers."""
    common = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    shown = ", ".join(f"{count} {ending}" for ending, count in common[:_MOST_SHOWN])
    left = sum(count for _, count in common[_MOST_SHOWN:])
    return f"{shown} and {left} others" if left else shown


def candidate_name(entry: Entry) -> str:
    """An entry's name as text for the catalog and the pairs; bytes that are not UTF-8 are escaped."""
    return entry.name.encode("utf-8", "backslashreplace").decode()
