"""Light images, the inputs of a dimmer, wherever they are stored.

:class:`LightImages` is the ordered, deduplicated list of the accepted images (:mod:`.light_image`) of a
MixHQ, or of sources that were scanned directly. Both give the same keys, the same order and the same pixels,
so the pairs made from them are equal.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.file_names import portable
from dimmagen.sources import parse_specs, rules
from dimmagen.sources.candidate_files import list_candidate_files
from dimmagen.sources.candidates import Candidates
from dimmagen.sources.catalog import CatalogRow
from dimmagen.sources.index_pass import ScanExecution, index_candidates
from dimmagen.sources.light_image import LightImageRef
from dimmagen.sources.mixhq_reading import (
    MIXHQ_DEFAULT,
    catalog_parts,
    excluded_scenes,
    is_mixhq,
    read_catalog,
    read_mixhq_manifest,
    recorded_choices,
    refuse_other_catalogs,
)
from dimmagen.sources.photo_selection import PhotoSelection
from dimmagen.sources.scan import Candidate, rejected_row
from dimmagen.sources.scan_keys import ScanSettings
from dimmagen.sources.scene_hash import SceneHashes


class LightImages(Protocol):
    """The accepted light images, in canonical order (a keyed permutation of the keys).

    Attributes:
        origin: as named by the user: a path, or `coco=PATH clic=PATH`.
        others: number of files that are not candidates, by source and ending of their names; none of a MixHQ,
            whose own manifest has them.
        excluded: what identifies the excluded scenes (:meth:`.SceneHashes.describe`); empty for none.
        choices: by which the photos were chosen (:meth:`.PhotoSelection.choices`).
        catalogued: whether their verdicts are in the catalog of a MixHQ, and were shown when that was made.
    """

    origin: str
    others: Mapping[str, Mapping[str, int]]
    excluded: Mapping[str, int | str]
    choices: Mapping[str, Any]
    catalogued: bool

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[LightImageRef]: ...

    def refs(self, start: int = 0, stop: int | None = None) -> list[LightImageRef]:
        """The references from `start` to `stop`."""
        ...

    def photo_sizes(self) -> Iterator[tuple[int, int]]:
        """(width, height) of the upright photo of each light image, before the rules changed it."""
        ...

    def rejected(self) -> Iterator[dict]:
        """The catalog rows of the rejected candidates, sorted by source, name and frame."""
        ...


Choose = Callable[[Iterable[Candidate]], Iterable[Candidate]]
"""Chooses among candidates, such as :meth:`.newcomers.Earlier.new_ones`."""


class _CandidateLightImages:
    """The light images of candidates that are kept on disk, because there may be millions."""

    catalogued = False

    def __init__(
        self, origin: str, candidates: Candidates, to_ref: Callable[[Candidate], LightImageRef]
    ) -> None:
        self.origin = origin
        self.others: Mapping[str, Mapping[str, int]] = {}
        self.excluded: Mapping[str, int | str] = {}
        self.choices: Mapping[str, Any] = {}
        self._candidates = candidates
        self._to_ref = to_ref

    def __len__(self) -> int:
        return len(self._candidates.order)

    def __iter__(self) -> Iterator[LightImageRef]:
        return map(self._to_ref, self._candidates.accepted())

    def refs(self, start: int = 0, stop: int | None = None) -> list[LightImageRef]:
        return [self._to_ref(one) for one in self._candidates.accepted(start, stop)]

    def photo_sizes(self) -> Iterator[tuple[int, int]]:
        return ((one.row.width, one.row.height) for one in self._candidates.accepted())

    def rejected(self) -> Iterator[dict]:
        return (row.to_dict() for row in self._candidates.rejected())


class ScannedLightImages(_CandidateLightImages):
    """The accepted images of sources that were scanned in this process; the originals are read in place."""

    def __init__(
        self,
        origin: str,
        candidates: Iterable[Candidate],
        limit: int | None = None,
        others: Mapping[str, Mapping[str, int]] | None = None,
        excluded: Mapping[str, int | str] | None = None,
        choices: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(origin, Candidates(candidates, limit), scanned_ref)
        self.others = others or {}
        self.excluded = excluded or {}
        self.choices = choices or {}


class MixHQLightImages(_CandidateLightImages):
    """The light images of a finished MixHQ, from its catalog."""

    catalogued = True

    def __init__(
        self,
        path: str,
        selection: PhotoSelection | None = None,
        choose: Choose | None = None,
        check_excluded: Callable[[Mapping[str, int | str]], None] = lambda excluded: None,
    ) -> None:
        selection = selection or PhotoSelection()
        manifest = read_mixhq_manifest(path)
        check_excluded(excluded_scenes(manifest))
        refuse_other_catalogs(path, manifest)
        parts = catalog_parts(manifest)
        root = path if storage.is_url(path) else portable(str(Path(path).absolute()))
        candidates = _catalogued(path, parts, selection)
        chosen = Candidates(choose(candidates) if choose else candidates, selection.limit)
        super().__init__(path, chosen, lambda one: _packed_ref(one.row, root))
        self.excluded = excluded_scenes(manifest)
        own, asked = recorded_choices(manifest), selection.choices()
        self.choices = {**own, **asked}
        if "limit" in own and "limit" in asked:
            self.choices["limit"] = min(own["limit"], asked["limit"])


def open_light_images(
    sources: Sequence[str] = (),
    *,
    exclude: Sequence[str] = (),
    selection: PhotoSelection | None = None,
    execution: ScanExecution | None = None,
    on_start: Callable[[int], None] = lambda files: None,
    on_file: Callable[[], None] = lambda: None,
    choose: Choose | None = None,
    check_excluded: Callable[[Mapping[str, int | str]], None] = lambda excluded: None,
) -> LightImages:
    """The light images of some sources.

    Args:
        sources: empty (the MixHQ in the default folder), the path of one MixHQ, or any number of `NAME=PATH`,
            `sample`, and paths of folders, archives or globs, which mean `folder=PATH`.
        exclude: paths of images whose scenes are left out; only if sources are scanned.
        selection: the user's choices. A MixHQ was made with choices of its own: only `limit` and `max_side`
            apply to it.
        execution: how the index pass is executed; by default in a thread for each processor.
        on_start: called with the number of files before the index pass.
        on_file: called after each file of the index pass.
        choose: which of the candidates count; with it, there may be no light image.
        check_excluded: called before the index pass with what identifies the excluded scenes, see
            :class:`LightImages`; what it raises ends the run before any photo is read.

    Raises:
        UsageError: a source or a path is unknown, or a path has no image.
        DimmagenError: a MixHQ is not finished, an archive is damaged, or no image is accepted.
    """
    selection = selection or PhotoSelection()
    paths = [os.path.expanduser(source) for source in sources] or [_default_mixhq()]
    if any(is_mixhq(path) for path in paths):
        _refuse_choices_of_scans(paths, exclude, selection)
        lights: LightImages = MixHQLightImages(paths[0], selection, choose, check_excluded)
        if not len(lights) and not choose:
            raise none_accepted(map(_row_of, lights.rejected()), f"light images of {paths[0]}")
        return lights
    specs = parse_specs(paths)
    listing = list_candidate_files(specs, selection.names, selection.follow_links)
    files = listing.files
    scenes = SceneHashes.from_paths(exclude) if exclude else None
    check_excluded(scenes.describe() if scenes else {})
    on_start(len(files))
    candidates = index_candidates(
        files,
        ScanSettings(scenes, selection, stored=False),
        execution or ScanExecution(),
        on_file=on_file,
    )
    origin = " ".join(map(str, specs))
    lights = ScannedLightImages(
        origin,
        choose(candidates) if choose else candidates,
        selection.limit,
        listing.others,
        scenes.describe() if scenes else None,
        selection.choices(),
    )
    if not len(lights) and not choose:
        raise none_accepted(map(_row_of, lights.rejected()), f"{len(files)} files of {lights.origin}")
    return lights


def _refuse_choices_of_scans(paths: Sequence[str], exclude: Sequence[str], selection: PhotoSelection) -> None:
    """Refuse, with a MixHQ, other sources and what is chosen when photos are scanned."""
    if len(paths) > 1:
        raise UsageError(
            "a MixHQ cannot be combined with other sources",
            "give its path alone",
            code="conflict",
            parameter="sources",
        )
    if exclude:
        raise UsageError(
            "`exclude` is for sources that are scanned",
            "exclude these scenes when the MixHQ is built",
            code="conflict",
            parameter="exclude",
        )
    for name in ("resize", "crop", "names"):
        if getattr(selection, name) is not None:
            raise UsageError(
                f"`{name}` is for sources that are scanned",
                "give it when the MixHQ is built",
                code="conflict",
                parameter=name,
            )
    for name, usual in (("min_lightness", rules.MIN_LIGHTNESS), ("follow_links", False)):
        given = getattr(selection, name)
        if given == usual:
            continue
        there = read_mixhq_manifest(paths[0])["inputs"].get(name, usual)
        if given != there:
            raise UsageError(
                f"`{name}={given}` is for sources that are scanned: {paths[0]} was made with {there}",
                "give it when the MixHQ is built",
                code="conflict",
                parameter=name,
            )


def none_accepted(rejected: Iterable[CatalogRow], what: str) -> DimmagenError:
    """The error for candidates of which none is accepted: by which rules, with an example of each.

    Args:
        rejected: all of them.
        what: names them, after "none of the".
    """
    examples: dict[str, str] = {}
    too_small = set()
    for row in rejected:
        examples.setdefault(row.rule, f"{row.name!r}: {row.reason}")
        if row.rule in PAPER_SIZE_RULES and min(row.width, row.height) >= rules.FOLDER_MIN_SIDE:
            too_small.add(row.source)
    reasons = "; ".join(f"{rule}, such as {example}" for rule, example in sorted(examples.items()))
    advice = "see docs/sources-and-rules.md, or the verdicts of `build_mixhq(dry_run=True)`"
    if too_small:
        advice = hint_without_name(sorted(too_small)) + "; " + advice
    return DimmagenError(
        f"none of the {what} is accepted ({reasons})", advice, code="no-match", rules=sorted(examples)
    )


PAPER_SIZE_RULES = frozenset({"coco-min-500", "clic-min-512", "imagenet-size"})


def hint_without_name(sources: Sequence[str]) -> str:
    """What to do about photos that only the paper's sizes reject."""
    names = " and ".join(f"{name}=" for name in sources)
    side = rules.FOLDER_MIN_SIDE
    return f"these sizes are the paper's: give the path without {names} to take photos from {side}x{side} on"


def _row_of(values: dict) -> CatalogRow:
    return CatalogRow(**values)


def _default_mixhq() -> str:
    if not is_mixhq(MIXHQ_DEFAULT):
        raise UsageError(
            f"no `sources` are given, and there is no MixHQ in the default folder {MIXHQ_DEFAULT}/",
            "run `build_mixhq()` first, or give `sources`",
            code="missing-argument",
            parameter="sources",
        )
    return MIXHQ_DEFAULT


def _catalogued(path: str, parts: Sequence[str], selection: PhotoSelection) -> Iterator[Candidate]:
    for row in read_catalog(path, parts):
        if row.accepted and not _is_packed(row):
            raise DimmagenError(
                f"{path}/catalog: the row of {row.key!r} has invalid values",
                "it was changed or is of another kind: build it again",
                code="damaged",
                path=path,
                key=row.key,
            )
        if row.accepted:
            verdict = selection.judge_stored(row.light_width, row.light_height)
            row = row if verdict.accepted else rejected_row(row, verdict)
        yield Candidate(row, {})


def scanned_ref(one: Candidate) -> LightImageRef:
    """The reference of an accepted candidate in its source."""
    row = one.row
    return _light_ref(row, {**one.locator, "sha256": row.sha256, "frame": row.frame, "stored": False})


def _is_packed(row: CatalogRow) -> bool:
    """Whether an untrusted row names a member inside its MixHQ, and a key that is safe in file names."""
    place = re.fullmatch(r"shards/mixhq-[0-9]{5,}\.tar", row.shard) and row.offset >= 0
    key = re.fullmatch(r"[a-z0-9]+-[0-9a-f]{16}(-first|-last)?", row.key)
    return bool(place and key and row.extension in ("jpg", "png", "webp") and row.light_bytes > 0)


def _packed_ref(row: CatalogRow, root: str) -> LightImageRef:
    return _light_ref(
        row,
        {
            "kind": "range",
            "path": storage.join(root, row.shard),
            "offset": row.offset,
            "size": row.light_bytes,
            "sha256": row.light_sha256,
            "stored": True,
        },
    )


def _light_ref(row: CatalogRow, locator: dict) -> LightImageRef:
    return LightImageRef(
        key=row.key,
        source=row.source,
        name=row.name,
        sha256=row.sha256,
        transform=row.transform,
        extension=row.extension,
        width=row.light_width,
        height=row.light_height,
        locator=json.dumps(locator, sort_keys=True),
    )
