"""Making a whole data set again from its manifest and the same photos, and comparing the two.

The settings and the profile are those of the manifest. Of a data set that grew, its parquet files also say
which photo came when (:mod:`.regrowing`).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.dataset.compare import changed_files, stages_that_differ
from dimmagen.dataset.croissant import CROISSANT
from dimmagen.dataset.generations import GENERATIONS
from dimmagen.dataset.manifest import MANIFEST, Manifest, Run, changes
from dimmagen.dataset.reader import open_pairs
from dimmagen.generate.execution import Execution
from dimmagen.generate.from_manifest import dimmer_from_manifest, settings_from_manifest
from dimmagen.generate.pair import MAX_SIDES, BuildDimmer, PairSettings
from dimmagen.generate.regrowing import Membership, StagedLightImages, regrow
from dimmagen.generate.run import GenerateProgress, generate_dataset, plan_dataset
from dimmagen.generate.run_environment import refuse_missing_plugins
from dimmagen.sources.index_pass import ScanExecution
from dimmagen.sources.labels.index import Labels, open_labels, parse_labels
from dimmagen.sources.light_images import LightImages, open_light_images
from dimmagen.sources.photo_selection import PhotoSelection


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
            UsageError: the photos are not those of the original; nothing is written.
            DimmagenError: as :func:`.generate_dataset`.
        """
        lights, build, labels = self.lights, self.build_dimmer, self.labels
        if self.membership and isinstance(lights, StagedLightImages):
            original = open_pairs(folder_of(self.path))
            return regrow(original, self.membership, lights, build, out, execution, progress, labels)
        self._refuse_other_photos()
        return generate_dataset(
            lights, build, out, self.settings, execution, progress=progress, labels=labels
        )

    def _refuse_other_photos(self) -> None:
        planned = plan_dataset(self.lights, self.build_dimmer, self.settings, self.labels).run
        if other := changes(self.manifest.run, Run(planned.settings, self.manifest.environment)):
            raise UsageError(
                f"{self.lights.origin} is not what {self.path} was made from ({', '.join(other)})",
                "give the same photos, `sources` in the same order, and `exclude`, `min_lightness`, "
                "`resize`, `crop`, `limit`, `names` and `follow_links` as they were used then",
                code="other-settings",
                changes=other,
            )


def open_reproduction(
    path: str,
    sources: Sequence[str],
    *,
    exclude: Sequence[str] = (),
    selection: PhotoSelection | None = None,
    labels: str | None = None,
    profile: str | None = None,
    workers: int | None = None,
) -> Reproduction:
    """Read a manifest, and scan the photos that its data set was made from.

    Args:
        path: of a manifest, or of its folder; local or fsspec URL.
        sources, exclude, selection: as for :func:`.open_light_images`, as they were then.
        labels: as for :func:`.open_labels`, if the data set has labels.
        profile: folder of its profile, where the recorded name does not find it.
        workers: threads of the index pass; default one per processor.

    Raises:
        UsageError: the data set is a subset or a merge, its labels are not given, the package of its dimmer
            or of a source is not installed, or as :func:`.open_light_images`.
        DimmagenError: the manifest is damaged, or as :func:`.open_light_images`.
    """
    manifest = Manifest.find(path)
    _refuse_derived(manifest, path)
    _require_labels(manifest, path, labels)
    if labels:
        parse_labels(labels)
    refuse_missing_plugins(manifest.environment, path, "dimmer", "source")
    build_dimmer = dimmer_from_manifest(manifest.settings, profile)
    settings = settings_from_manifest(manifest.settings)
    membership = _membership(manifest, path)
    lights = open_light_images(
        sources,
        exclude=exclude,
        selection=replace(selection or PhotoSelection(), max_side=MAX_SIDES.get(settings.image_format)),
        execution=ScanExecution(workers=workers, cached=False),  # nothing is taken for granted
        choose=membership.choose if membership else None,
    )
    if membership:
        lights = StagedLightImages(lights, membership)
    matched = open_labels(labels, lights) if labels else None  # in the order of the light images
    return Reproduction(path, manifest, build_dimmer, settings, lights, matched, membership)


@dataclass(frozen=True, slots=True)
class Difference:
    """How a data set that was made again differs from the original.

    Attributes:
        files: names of the files that differ, shards first; empty if the two are identical.
        stages: number of pairs that differ, by the first stage that does; empty if the original's parquet
            files are not beside its manifest.
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
        return Difference(files, stages_that_differ(open_pairs(folder_of(path)), open_pairs(out)))
    except DimmagenError:
        return Difference(files, Counter())


def folder_of(path: str) -> str:
    """The folder of a data set, from itself or from the path of its manifest."""
    return path if storage.is_folder(path) else path.removesuffix(MANIFEST) or "."


def _refuse_derived(manifest: Manifest, path: str) -> None:
    if "derived_from" in manifest.settings:
        raise UsageError(
            f"{path} is of a subset or a merge, which is made from data sets and not from photos",
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
            f"{path} is of a data set to which photos were added, and does not say which ones came when",
            "give the folder of the data set, with metadata/ and rejected/; the shards are not needed",
            code="missing-path",
            path=folder,
        )
    return Membership(open_pairs(folder))
