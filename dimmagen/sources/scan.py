"""The index pass: every candidate of every source is read once, measured, and accepted or rejected."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from dimmagen.core import hashing, storage
from dimmagen.core.errors import UsageError
from dimmagen.core.file_names import portable
from dimmagen.core.machine import machine_trouble
from dimmagen.core.threads import ordered_map
from dimmagen.images import codec
from dimmagen.sources import SourceSpec, rules
from dimmagen.sources.archives import DamagedArchiveError, Entry, list_entries, read_entry
from dimmagen.sources.base import Examined
from dimmagen.sources.catalog import CatalogRow
from dimmagen.sources.rules import Verdict, rejected
from dimmagen.sources.scene_hash import SAME_SCENE_BITS, Scenes


@dataclass(frozen=True, slots=True)
class Candidate:
    """A candidate's catalog row, and the locator that reads its light image again."""

    row: CatalogRow
    locator: dict[str, Any]


def list_candidate_files(
    specs: Sequence[SourceSpec], follow_links: bool = False
) -> list[tuple[SourceSpec, Entry]]:
    """The files that are candidates, by source and then by name.

    Args:
        specs: from :func:`dimmagen.sources.parse_specs`.
        follow_links: see :func:`~dimmagen.sources.archives.list_entries`.

    Raises:
        UsageError: a path does not exist, or has no candidate.
        DimmagenError: an archive is damaged.
    """
    candidates = []
    for spec in specs:
        found = [
            (spec, entry)
            for entry in list_entries(spec.path, follow_links)
            if entry.name.lower().endswith(spec.source.extensions)
        ]
        if not found:
            endings = " ".join(spec.source.extensions)
            raise UsageError(
                f"{spec} holds no image or clip that the source can use",
                f"give a folder or archive of files whose names end in {endings}",
                code="no-match",
                source=str(spec),
            )
        candidates.extend(found)
    return candidates


def scan(
    candidates: Sequence[tuple[SourceSpec, Entry]],
    scenes: Scenes | None = None,
    workers: int = 2,
    on_file: Callable[[], None] = lambda: None,
    min_lightness: float = rules.MIN_LIGHTNESS,
    stored: bool = True,
) -> Iterator[Candidate]:
    """Read the candidates and apply the rules of their sources.

    Args:
        candidates: from :func:`list_candidate_files`.
        scenes: excluded scenes.
        workers: number of threads; decoding and hashing release Python's lock.
        on_file: called once per file.
        min_lightness: mean lightness that a light image must have, in [0, 1].
        stored: whether rows of accepted candidates have the size and SHA-256 of the light image's file;
            where a rule changes the photo, a PNG file is made for that and dropped.

    Returns:
        The candidates with their verdicts, in the same order for any number of threads.
    """
    first_with_key: dict[str, str] = {}
    for seen in ordered_map(partial(_look_at, scenes, min_lightness, stored), candidates, workers):
        yield from _without_duplicates(seen, first_with_key)
        on_file()


def _without_duplicates(seen: list[Candidate], first_with_key: dict[str, str]) -> Iterator[Candidate]:
    """Of equal files inside one source, keep the first by name; the key consists of source and content."""
    for one in seen:
        row = one.row
        if row.accepted and row.key in first_with_key:
            verdict = rejected("duplicate", f"has the same bytes as {first_with_key[row.key]}")
            one = replace(one, row=_rejected_row(row, verdict))
        elif row.accepted:
            first_with_key[row.key] = row.name
        yield one


def _rejected_row(row: CatalogRow, verdict: Verdict) -> CatalogRow:
    """An accepted row turned into a rejected one, which has no light image."""
    return replace(
        row,
        accepted=False,
        rule=verdict.rule,
        reason=verdict.reason,
        transform="",
        extension="",
        light_width=0,
        light_height=0,
        light_bytes=0,
        light_sha256="",
    )


def _look_at(
    scenes: Scenes | None, min_lightness: float, stored: bool, candidate: tuple[SourceSpec, Entry]
) -> list[Candidate]:
    """All candidates in one file. What its bytes prove is the reason in their rows; all else is raised."""
    spec, entry = candidate
    with machine_trouble(f"{spec.path}: {candidate_name(entry)}"):
        return _examine(scenes, min_lightness, stored, spec, entry)


def _examine(
    scenes: Scenes | None, min_lightness: float, stored: bool, spec: SourceSpec, entry: Entry
) -> list[Candidate]:
    source = spec.source
    # The folder that the user named counts as well: lol=our485/low holds dark images.
    verdict = source.judge_name(f"{portable(storage.last_part(spec.path))}/{entry.name}")
    if verdict.accepted and entry.refusal:
        verdict = rejected("unreadable", entry.refusal)
    if verdict.accepted and entry.size > source.max_bytes:
        verdict = rejected("too-large", f"{entry.size} bytes are more than {source.max_bytes}")
    data = b""
    if verdict.accepted:
        try:
            data = read_entry(entry.locator)
        except DamagedArchiveError:  # its message has the path, which must not be in the catalog
            verdict = rejected("unreadable", "is damaged in its archive")
    if not verdict.accepted:
        return [
            Candidate(_row(spec.name, entry, "", Examined(frame, verdict), None), entry.locator)
            for frame in source.frames
        ]
    sha256 = hashing.sha256(data)
    seen = []
    for examined in source.examine(data):
        distance = None
        if examined.pixels is not None:
            verdict = rules.lightness(codec.lightness(examined.pixels), min_lightness)
            if not verdict.accepted:
                examined = replace(examined, verdict=verdict, pixels=None, transform="", extension="")
        if examined.pixels is not None and scenes is not None:
            distance = scenes.distance(examined.pixels)
            if distance <= SAME_SCENE_BITS:
                verdict = rejected("excluded-scene", f"is {distance} bits from an excluded picture")
                examined = replace(examined, verdict=verdict, pixels=None, transform="", extension="")
        row = _row(spec.name, entry, sha256, examined, distance)
        if examined.pixels is not None:
            row = _with_light(row, examined, data, stored)
        seen.append(Candidate(row, {**entry.locator, "frame": examined.frame}))
    return seen


def candidate_name(entry: Entry) -> str:
    """An entry's name as text for the catalog and the pairs; bytes that are not UTF-8 are escaped."""
    return entry.name.encode("utf-8", "backslashreplace").decode()


def _row(source: str, entry: Entry, sha256: str, examined: Examined, distance: int | None) -> CatalogRow:
    facts = examined.facts
    suffix = f"-{examined.frame}" if examined.frame else ""
    return CatalogRow(
        source=source,
        name=candidate_name(entry),
        frame=examined.frame,
        key=f"{source}-{sha256[:16]}{suffix}" if sha256 else "",
        sha256=sha256,
        bytes=entry.size,
        width=facts.width if facts else 0,
        height=facts.height if facts else 0,
        format=facts.format if facts else "",
        mode=facts.mode if facts else "",
        white_border=examined.white_border,
        scene_distance=distance,
        accepted=examined.verdict.accepted,
        rule=examined.verdict.rule,
        reason=examined.verdict.reason,
        transform=examined.transform,
        extension=examined.extension,
    )


def _with_light(row: CatalogRow, examined: Examined, data: bytes, stored: bool) -> CatalogRow:
    """The row with the facts of the light image and of its file: the original bytes, or a lossless PNG."""
    pixels = examined.pixels
    assert pixels is not None
    size, sha256 = 0, ""
    if stored and examined.transform == "verbatim":
        size, sha256 = len(data), row.sha256
    elif stored:
        file = codec.encode_png(pixels)
        size, sha256 = len(file), hashing.sha256(file)
    return replace(
        row,
        light_width=pixels.shape[1],
        light_height=pixels.shape[0],
        light_bytes=size,
        light_sha256=sha256,
    )
