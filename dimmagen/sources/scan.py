"""The index pass: every candidate of every source is read once, measured, and accepted or rejected."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from dimmagen.core import hashing, storage
from dimmagen.core.errors import DimmagenError, fault_of
from dimmagen.core.file_names import portable
from dimmagen.core.machine import is_machine_trouble, machine_trouble
from dimmagen.core.threads import ordered_map
from dimmagen.images import codec
from dimmagen.images.png import is_result_png
from dimmagen.sources import SourceSpec, rules
from dimmagen.sources.archives import DamagedArchiveError, Entry, read_entry
from dimmagen.sources.base import Examined
from dimmagen.sources.candidate_files import candidate_name
from dimmagen.sources.catalog import CatalogRow
from dimmagen.sources.dark_halves import DarkHalves, thumbnail
from dimmagen.sources.other_formats import other_format
from dimmagen.sources.photo_selection import PhotoSelection
from dimmagen.sources.rules import Verdict, rejected
from dimmagen.sources.scene_hash import SAME_SCENE_BITS, SceneHashes


@dataclass(frozen=True, slots=True)
class Candidate:
    """A candidate of an index pass or of a catalog.

    Attributes:
        row: of the catalog.
        locator: reads its light image again.
        alone: its accepted row, where the index pass rejects it because of another file that is there; None
            otherwise. It is not stored.
        thumbnail: see :func:`.dark_halves.thumbnail`; it is not stored.
    """

    row: CatalogRow
    locator: dict[str, Any]
    alone: CatalogRow | None = None
    thumbnail: bytes = b""


def scan(
    files: Sequence[tuple[SourceSpec, Entry]],
    scenes: SceneHashes | None = None,
    workers: int = 2,
    on_file: Callable[[], None] = lambda: None,
    selection: PhotoSelection | None = None,
    stored: bool = True,
) -> Iterator[Candidate]:
    """Read the candidates and apply the rules of their sources.

    Args:
        files: of :func:`list_candidate_files`.
        scenes: excluded scenes.
        workers: number of threads; decoding and hashing release Python's lock.
        on_file: called once per file.
        selection: the user's choices; its `limit` and `names` are not for this function.
        stored: whether rows of accepted candidates have the size and SHA-256 of the light image's file;
            where a rule changes the photo, a PNG file is made for that and dropped.

    Returns:
        The candidates with their verdicts, in the same order for any number of threads.
    """
    first_with_key: dict[str, str] = {}
    examine = partial(look_at, scenes, selection or PhotoSelection(), stored)
    files = list(files)
    halves = halves_of(files)
    looked: Iterable[list[Candidate]] = _counted(ordered_map(examine, files, workers), on_file)
    if halves:
        looked = list(looked)
        for candidates in looked:
            add_halves(candidates, halves)
        halves.decide()
    for candidates in looked:
        yield from without_duplicates(without_dark_halves(candidates, halves), first_with_key)


def _counted(looked: Iterable[list[Candidate]], on_file: Callable[[], None]) -> Iterator[list[Candidate]]:
    for candidates in looked:
        yield candidates
        on_file()


def halves_of(files: Sequence[tuple[SourceSpec, Entry]]) -> DarkHalves:
    """The dark halves of pairs among the images of each source, by their names.

    Args:
        files: of the whole listing.
    """
    names: dict[str, list[str]] = {}
    for spec, entry in files:
        if spec.source.frames == ("",):
            names.setdefault(spec.name, []).append(candidate_name(entry))
    return DarkHalves(names)


def add_halves(candidates: Sequence[Candidate], halves: DarkHalves) -> None:
    """Add the candidates of one file to what decides about the halves."""
    for one in candidates:
        halves.add(one.row.source, one.row.name, one.thumbnail)


def without_dark_halves(candidates: list[Candidate], halves: DarkHalves) -> list[Candidate]:
    """The candidates of one file; an accepted one that is the dark half of a pair is rejected.

    Args:
        candidates: of the file.
        halves: after their decision.
    """
    return [_refused_half(one, halves) for one in candidates]


def _refused_half(one: Candidate, halves: DarkHalves) -> Candidate:
    light = halves.light_of(one.row.source, one.row.name) if one.row.accepted else None
    if light is None:
        return one
    verdict = rejected("dark-half", f"is the dark image of a pair by its name: {light} is there")
    return replace(one, row=rejected_row(one.row, verdict), alone=one.row)


def without_duplicates(candidates: list[Candidate], first_with_key: dict[str, str]) -> Iterator[Candidate]:
    """Of equal files inside one source, keep the first by name; the key consists of source and content.

    Args:
        candidates: the candidates of the next file.
        first_with_key: names of those that were kept, by key; they are added to it.
    """
    for one in candidates:
        row = one.row
        if row.accepted and row.key in first_with_key:
            verdict = rejected("duplicate", f"has the same bytes as {first_with_key[row.key]}")
            one = replace(one, row=rejected_row(row, verdict), alone=row)
        elif row.accepted:
            first_with_key[row.key] = row.name
        yield one


def rejected_row(row: CatalogRow, verdict: Verdict) -> CatalogRow:
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


def look_at(
    scenes: SceneHashes | None, selection: PhotoSelection, stored: bool, candidate: tuple[SourceSpec, Entry]
) -> list[Candidate]:
    """All candidates in one file, whatever the other files are; arguments as for :func:`scan`.

    What its bytes prove is the reason in their rows; all else is raised.
    """
    spec, entry = candidate
    with machine_trouble(f"{spec.path}: {candidate_name(entry)}"):
        return _examine(scenes, selection, stored, spec, entry)


def _examine(
    scenes: SceneHashes | None, selection: PhotoSelection, stored: bool, spec: SourceSpec, entry: Entry
) -> list[Candidate]:
    source = spec.source
    # The folder that the user named counts as well: lol=our485/low holds dark images.
    verdict = source.judge_name(f"{portable(storage.last_part(spec.path))}/{entry.name}")
    if reason := other_format(entry.name, source.extensions):
        verdict = rejected("format", reason)
        return [Candidate(_row(spec.name, entry, "", Examined("", verdict), None), entry.locator)]
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
        else:
            _refuse_part(entry, data)
    if is_result_png(data):
        verdict = rejected("own-output", "is a sheet or an enhanced photo that dimmagen made")
    if not verdict.accepted:
        return [
            Candidate(_row(spec.name, entry, "", Examined(frame, verdict), None), entry.locator)
            for frame in source.frames
        ]
    sha256 = hashing.sha256(data)
    candidates = []
    for examined in _examined(spec, entry, data):
        distance, small = None, b""
        if examined.pixels is not None:
            whole = _all_of(examined)
            small = thumbnail(candidate_name(entry), whole)
            examined = _sized(examined, selection)
        if examined.pixels is not None:
            verdict = rules.min_lightness(codec.lightness(examined.pixels), selection.min_lightness)
            verdict = rules.palette(rules.flat_colours(whole)) if verdict.accepted else verdict
            if not verdict.accepted:
                examined = _refused(examined, verdict)
        if examined.pixels is not None and scenes is not None:
            distance = _scene_distance(scenes, examined)
            if distance <= SAME_SCENE_BITS:
                verdict = rejected("excluded-scene", f"is {distance} bits from an excluded picture")
                examined = _refused(examined, verdict)
        row = _row(spec.name, entry, sha256, examined, distance)
        if examined.pixels is not None:
            row = _with_light(row, examined, data, stored)
        candidates.append(Candidate(row, {**entry.locator, "frame": examined.frame}, thumbnail=small))
    return candidates


def _refuse_part(entry: Entry, data: bytes) -> None:
    """Refuse to judge a file behind a URL by a part of it, which a proxy may take for all."""
    path = entry.locator["path"]
    is_alone = entry.locator["kind"] == "file" and not storage.is_local(path)
    if is_alone and entry.size and len(data) != entry.size:  # some servers do not know the size
        raise DimmagenError(
            f"{path} did not come whole, or has changed since it was listed: {len(data)} of {entry.size} B",
            "run the same command again",
            code="source-changed",
            path=path,
        )


def _examined(spec: SourceSpec, entry: Entry, data: bytes) -> list[Examined]:
    try:
        return spec.source.examine(data)
    except Exception as error:
        if isinstance(error, DimmagenError) or is_machine_trouble(error):
            raise
        raise DimmagenError(
            f"the source {spec.name} fails on {candidate_name(entry)!r} in {spec.path} ({fault_of(error)})",
            "fix that code, or leave the file out",
            code="failed",
            source=spec.name,
            name=candidate_name(entry),
        ) from error


def _sized(examined: Examined, selection: PhotoSelection) -> Examined:
    """The accepted image in the size that the user chose, or its rejection."""
    assert examined.pixels is not None
    pixels, steps, verdict = selection.apply_size(examined.pixels)
    if not verdict.accepted:
        return _refused(examined, verdict)
    if not steps:
        return examined
    done = [] if examined.transform == "verbatim" else [examined.transform]
    transform = "+".join([*done, *steps])
    return replace(examined, pixels=pixels, transform=transform, extension="png", whole=_all_of(examined))


def _all_of(examined: Examined) -> np.ndarray:
    """The upright image of which the light image may be a part."""
    assert examined.pixels is not None
    return examined.pixels if examined.whole is None else examined.whole


def _scene_distance(scenes: SceneHashes, examined: Examined) -> int:
    """To the nearest excluded image, by all of the photo: the part of it that is kept has another hash."""
    assert examined.pixels is not None
    distance = scenes.distance(examined.pixels)
    return distance if examined.whole is None else min(distance, scenes.distance(examined.whole))


def _refused(examined: Examined, verdict: Verdict) -> Examined:
    return replace(examined, verdict=verdict, pixels=None, transform="", extension="", whole=None)


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
        **(asdict(facts.shown) if facts else {}),
        icc_profile=facts.icc_profile if facts else "",
        white_border=examined.white_border,
        scene_distance=distance,
        accepted=examined.verdict.accepted,
        rule=examined.verdict.rule,
        reason=examined.verdict.reason,
        transform=examined.transform,
        extension=examined.extension,
    )


def _with_light(row: CatalogRow, examined: Examined, data: bytes, stored: bool) -> CatalogRow:
    """The row with the facts of the light image and of its file, which is the photo's or a lossless PNG."""
    pixels = examined.pixels
    assert pixels is not None
    size, sha256 = 0, ""
    if stored:
        file = codec.kept_file(data, examined.transform) or codec.encode_png(pixels)
        size, sha256 = len(file), row.sha256 if file is data else hashing.sha256(file)
    return replace(
        row,
        light_width=pixels.shape[1],
        light_height=pixels.shape[0],
        light_bytes=size,
        light_sha256=sha256,
    )
