"""Making a whole data set again from its manifest and the same photos, and comparing the two.

The settings and the profile are those of the manifest. For a data set that grew, its parquet files also
record which photo was added when (:mod:`.regrowing`).
"""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from dimmagen.core import storage
from dimmagen.core.disk_map import DiskMap
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.text import pluralize
from dimmagen.dataset.command_line import choices_of
from dimmagen.dataset.compare import changed_files, stages_that_differ
from dimmagen.dataset.croissant import CROISSANT
from dimmagen.dataset.generations import GENERATIONS
from dimmagen.dataset.manifest import EXCLUDE, MANIFEST, Manifest, Run, changes
from dimmagen.dataset.reader import ROWS_ALONE, open_pairs
from dimmagen.generate.derived import refuse_itself
from dimmagen.generate.execution import Execution
from dimmagen.generate.from_manifest import dimmer_from_manifest, settings_from_manifest
from dimmagen.generate.pair import MAX_SIDES, BuildDimmer, PairSettings
from dimmagen.generate.regrowing import Membership, StagedLightImages, regrow
from dimmagen.generate.run import GenerateProgress, generate_dataset, refuse_early
from dimmagen.generate.run_environment import refuse_missing_plugins
from dimmagen.generate.run_plan import plan_dataset
from dimmagen.sources.index_pass import ScanExecution
from dimmagen.sources.labels.index import Labels, open_labels, parse_labels
from dimmagen.sources.light_images import LightImages, open_light_images
from dimmagen.sources.mixhq_reading import is_mixhq
from dimmagen.sources.photo_selection import PhotoSelection

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reproduction:
    """A data set that is to be made again, and the photos for it.

    Attributes:
        path: of its manifest, or of its folder.
        manifest: of the original.
        build_dimmer: the recorded dimmer.
        settings: the recorded settings of the pairs.
        lights: the light images of the photos, by generation if there are several.
        labels: of the photos; None for a data set without labels.
        membership: which photo came when; None of a data set that was made at once.
    """

    path: str
    manifest: Manifest
    build_dimmer: BuildDimmer
    settings: PairSettings
    lights: LightImages
    labels: Labels | None = None
    membership: Membership | None = None

    def make(self, out: str, execution: Execution, progress: GenerateProgress | None = None) -> Manifest:
        """Make the data set again.

        Args:
            out: folder or fsspec URL of the data set to make.
            execution, progress: as for :func:`.generate_dataset`.

        Raises:
            UsageError: the photos are not those of the original, or `out` is its folder; nothing is written.
            DimmagenError: as :func:`.generate_dataset`.
        """
        refuse_itself(out, [folder_of(self.path)])
        lights, build, labels = self.lights, self.build_dimmer, self.labels
        if self.membership and isinstance(lights, StagedLightImages):
            original = open_pairs(folder_of(self.path), ("light_member", "transform"))
            return regrow(original, self.membership, lights, build, out, execution, progress, labels)
        self._refuse_other_photos()
        return generate_dataset(lights, build, out, self.settings, execution, None, progress, labels=labels)

    def _refuse_other_photos(self) -> None:
        planned = plan_dataset(self.lights, self.build_dimmer, self.settings, self.labels).run
        if other := changes(self.manifest.run, Run(planned.settings, self.manifest.environment)):
            raise UsageError(
                f"{self.lights.origin} is not what {self.path} was made from ({', '.join(other)})",
                "give the same photos and `sources` in the same order"
                f"{self._missing_choices()}{self._other_photos()}",
                code="other-settings",
                changes=other,
            )

    def _other_photos(self) -> str:
        """Which photos differ, if the parquet files of the original are next to its manifest."""
        try:
            original = open_pairs(folder_of(self.path), ("light_key", "name"))
        except DimmagenError:
            return ""
        then = _names_by_key((row["light_key"], row["name"]) for row in original.iter_rows())
        now = _names_by_key((ref.key, ref.name) for ref in self.lights)
        kinds = {
            "that it does not have": [name.decode() for key, name in now if key not in then],
            "missing": [name.decode() for key, name in then if key not in now],
        }
        parts = [
            f"; {pluralize(len(names), 'photo')} {what}, such as {names[0]!r}"
            for what, names in kinds.items()
            if names
        ]
        return "".join(parts)

    def _missing_choices(self) -> str:
        """What else has to be given, as far as the manifest says it."""
        if self.lights.excluded != self.manifest.settings.get(EXCLUDE, {}):
            return ", with the same `exclude`"
        if choices_of(self.manifest.command):
            return ""
        choices = "`min_lightness`, `resize`, `crop`, `limit`, `names` and `follow_links`"
        return f", with {choices} as they were used then, if its command does not name them"


def _names_by_key(photos: Iterable[tuple[str, str]]) -> DiskMap:
    """The names of photos by their keys, each once; there may be millions."""
    found = DiskMap()
    for key, name in photos:
        if key not in found:
            found.add(key, name.encode())
    return found


def open_reproduction(
    path: str,
    sources: Sequence[str],
    *,
    exclude: Sequence[str] = (),
    selection: PhotoSelection | None = None,
    labels: str | None = None,
    profile: str | None = None,
    scanning: ScanExecution | None = None,
    out: str | None = None,
) -> Reproduction:
    """Read a manifest, and scan the photos that its data set was made from.

    Args:
        path: of a manifest, or of its folder; local or fsspec URL.
        sources, exclude: as for :func:`.open_light_images`, as they were then.
        selection: of the photos; what has its default is as the manifest records it, where it does.
        labels: as for :func:`.open_labels`, if the data set has labels.
        profile: folder of its profile, where the recorded name does not find it.
        scanning: how the photos are scanned, without what was kept of earlier runs; default in threads.
        out: of the data set to make, which is refused before any scan where it is the original, or cannot be
            written to.

    Raises:
        UsageError: `out` is the folder of the original, the data set is a subset or a merge, its labels are
            not given, the package of its dimmer or of a source is not installed, or as
            :func:`.open_light_images`.
        DimmagenError: the manifest is damaged, or as :func:`.open_light_images`.
    """
    manifest = Manifest.find(path)
    if out is not None:
        refuse_itself(out, [folder_of(path)])
    _refuse_derived(manifest, path)
    _require_labels(manifest, path, labels)
    if labels:
        parse_labels(labels)
    refuse_missing_plugins(manifest.environment, path, "dimmer", "source")
    chosen = _chosen(manifest, path, selection or PhotoSelection(), bool(sources) and is_mixhq(sources[0]))
    build_dimmer = dimmer_from_manifest(manifest.settings, profile)
    settings = settings_from_manifest(manifest.settings)
    if out is not None:
        refuse_early(out, settings, "if-possible")
    membership = _membership(manifest, path)
    lights = open_light_images(
        sources,
        exclude=exclude,
        selection=replace(chosen, max_side=MAX_SIDES.get(settings.image_format)),
        execution=replace(scanning or ScanExecution(), cached=False),  # nothing is taken for granted
        choose=membership.choose if membership else None,
    )
    if membership:
        lights = StagedLightImages(lights, membership)
    matched = open_labels(labels, lights) if labels else None  # in the order of the light images
    return Reproduction(path, manifest, build_dimmer, settings, lights, matched, membership)


def _chosen(manifest: Manifest, path: str, asked: PhotoSelection, is_packed: bool) -> PhotoSelection:
    """The choices among photos: those that were asked for, and all others as the manifest records them.

    Raises:
        UsageError: another value is asked for than the one that is recorded, or a list of photos is missing,
            which a manifest does not hold.
    """
    recorded = choices_of(manifest.command)
    is_known = is_packed or GENERATIONS in manifest.settings  # whose parquet files name the photos
    if recorded.pop("names", False) and asked.names is None and not is_known:
        raise UsageError(
            f"the data set of {path} was made from the photos of a list",
            "give the same one by `names`",
            code="missing-argument",
            parameter="names",
        )
    if is_packed:  # a MixHQ was made with all others
        recorded = {name: value for name, value in recorded.items() if name == "limit"}
    usual = PhotoSelection()
    for name, value in recorded.items():
        given = getattr(asked, name)
        if given not in (getattr(usual, name), value):
            raise UsageError(
                f"the data set of {path} was made with `{name}={value}`, not {given}",
                f"omit `{name}`: the manifest records it",
                code="other-settings",
                parameter=name,
                value=given,
            )
    if recorded:
        words = ((name.replace("_", " "), value) for name, value in recorded.items())
        shown = ", ".join(name if value is True else f"{name} {value}" for name, value in words)
        _LOG.info("Note: photos are chosen as the manifest records it: %s", shown)
    return replace(asked, **recorded)


@dataclass(frozen=True, slots=True)
class Difference:
    """How a data set that was made again differs from the original.

    Attributes:
        files: names of the files that differ, shards first; empty if the two are identical.
        stages: number of pairs that differ, by the first stage that does; empty if the original's parquet
            files are not next to its manifest.
    """

    files: list[str]
    stages: Counter[str]


def difference_from(manifest: Manifest, path: str, made: Manifest, out: str) -> Difference:
    """Compare a data set that was made again with the original.

    Args:
        manifest, path: of the original.
        made, out: manifest and folder of the data set that was made again.
    """
    files = changed_files(manifest, made)
    if made.environment != manifest.environment and CROISSANT in files:
        files.remove(CROISSANT)  # it contains the fingerprint, and with it the class of the machine
    if not files:
        return Difference([], Counter())
    try:
        return Difference(
            files, stages_that_differ(*(open_pairs(one, ROWS_ALONE) for one in (folder_of(path), out)))
        )
    except DimmagenError:
        return Difference(files, Counter())


def folder_of(path: str) -> str:
    """The folder of a data set, from itself or from the path of its manifest."""
    return path if storage.is_folder(path) else path.removesuffix(MANIFEST) or "."


def _refuse_derived(manifest: Manifest, path: str) -> None:
    if "derived_from" in manifest.settings:
        raise UsageError(
            f"{path} describes a subset or a merge, which is made from data sets and not from photos",
            "make those data sets again (its settings name them), then run its command on them",
            code="usage",
            path=path,
        )


def _require_labels(manifest: Manifest, path: str, labels: str | None) -> None:
    if manifest.settings.get("labels") and not labels:
        raise UsageError(
            f"the data set of {path} has labels",
            "give the same ones by `labels`",
            code="missing-argument",
            parameter="labels",
        )


def _membership(manifest: Manifest, path: str) -> Membership | None:
    """Which photos belong to which generation of a data set that grew; None of one that was made at once."""
    if GENERATIONS not in manifest.settings:
        return None
    folder = folder_of(path)
    if not storage.exists(storage.join(folder, "metadata")):
        raise UsageError(
            f"{path} describes a data set to which photos were added, but not which photos were added when",
            "give the folder of the data set, with metadata/ and rejected/; the shards are not needed",
            code="missing-path",
            path=folder,
        )
    return Membership(open_pairs(folder, ("light_key", "name")))
