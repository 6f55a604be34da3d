"""The library's main functions, as notebooks and scripts call them: the counterparts of the commands.

`dimmagen` itself exports them. Errors name the arguments of these functions; see :mod:`dimmagen.core.errors`.
"""

from collections.abc import Collection, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Literal

from dimmagen.core import arguments as kinds
from dimmagen.core.arguments import converted, optional
from dimmagen.core.executors.base import Executor
from dimmagen.core.outputs import refuse_unsuitable
from dimmagen.dataset.manifest import Manifest
from dimmagen.dataset.reader import open_pairs
from dimmagen.dataset.verify import Verification, verify_dataset
from dimmagen.dataset.verify_mixhq import MixHQVerification
from dimmagen.dataset.verify_mixhq import verify_mixhq as check_mixhq
from dimmagen.dimmers.dimmer import Brightness
from dimmagen.dimmers.pair_problems import check_pairs_for_fit
from dimmagen.dimmers.profile import Profile, new_profile_folder
from dimmagen.dimmers.real_pairs import load_pairs, split_held_out
from dimmagen.evaluation.checked_fit import fit_and_check
from dimmagen.generate.execution import ChosenExecutor, choose_execution
from dimmagen.generate.growing import begin_addition, has_nothing_new, refuse_other_scenes
from dimmagen.generate.light_format import AskedLightFormat
from dimmagen.generate.pair import MAX_SIDES, PairSettings, dimmer_builder
from dimmagen.generate.removing import remove_from_dataset
from dimmagen.generate.run import GenerateProgress, generate_dataset, refuse_early
from dimmagen.generate.subset import CRITERIA, Selection, write_subset
from dimmagen.sources import mixhq
from dimmagen.sources.index_pass import ScanExecution
from dimmagen.sources.labels.index import open_labels, parse_labels
from dimmagen.sources.light_images import open_light_images
from dimmagen.sources.mixhq_building import open_build
from dimmagen.sources.mixhq_reading import MIXHQ_DEFAULT, is_mixhq
from dimmagen.sources.mixhq_removal import remove_from_mixhq
from dimmagen.sources.photo_selection import PhotoSelection
from dimmagen.sources.rules import MIN_LIGHTNESS
from dimmagen.sources.takedown import Removed
from dimmagen.sources.verdict_counts import VerdictCounts

Paths = str | PathLike[str] | Sequence[str | PathLike[str]]
"""One path or name, or several."""

# What each argument is, by its name, wherever it occurs; `labels` begins with the name of a format.
_KINDS: dict[str, kinds.Kind] = {
    **dict.fromkeys(("out", "profile", "dataset", "mixhq", "pairs"), kinds.path),
    **dict.fromkeys(("follow_links", "add", "rescan", "dry_run", "ignore_unknown"), kinds.flag),
    **dict.fromkeys(("variants", "seed", "samples_per_shard"), kinds.whole),
    **dict.fromkeys(("limit", "resize", "crop"), optional(kinds.whole)),
    "workers": optional(kinds.positive),
    **dict.fromkeys(("temperature", "worker_timeout"), optional(kinds.number)),
    **dict.fromkeys(("model", "address"), optional(kinds.word)),
    "labels": optional(kinds.path),
    "threads": kinds.positive,
    "min_lightness": kinds.share,
    **dict.fromkeys(("gamma", "lightness"), optional(kinds.span)),
    "licence": kinds.word,
    "min_side": kinds.whole,
    "ladder": kinds.distinct,
    "executor": kinds.one_of(("serial", "ray")),
    "device": kinds.one_of(("cpu", "cuda")),
    "resume": kinds.one_of(("if-possible", "always", "never")),
    "group_by": kinds.one_of(("", "clip")),
    **dict.fromkeys(("image_format", "light_format", "brightness", "compat"), kinds.word),
    "progress": optional(kinds.methods(("begin", "pairs", "shard", "workers"))),
}


@converted(_KINDS)
def build_mixhq(
    sources: Paths,
    out: str | Path = MIXHQ_DEFAULT,
    *,
    exclude: Paths = (),
    follow_links: bool = False,
    min_lightness: float = MIN_LIGHTNESS,
    resize: int | None = None,
    crop: int | None = None,
    limit: int | None = None,
    names: Paths | None = None,
    samples_per_shard: int = mixhq.SAMPLES_PER_SHARD,
    add: bool = False,
    executor: Executor = "serial",
    workers: int | None = None,
    address: str | None = None,
    worker_timeout: float | None = None,
    rescan: bool = False,
    dry_run: bool = False,
) -> dict[str, VerdictCounts]:
    """Select photos by the rules of their sources and pack them as light shards with a catalog (MixHQ).

    An interrupted run is resumed; a finished one with the same inputs is left unchanged. Files that were
    scanned before and have not changed since are not decoded again to check them.

    Args:
        sources: `NAME=PATH` with a name of :data:`dimmagen.sources.SOURCES`, `sample`, or paths.
        out: folder or fsspec URL.
        exclude: folders or archives of images whose scenes must not be used.
        follow_links: also follow links that lead out of a source's folder.
        min_lightness: mean lightness that a photo must have, in [0, 1].
        resize: length in pixels to which short sides are reduced; smaller photos keep their size.
        crop: side in pixels of the central square that is kept, after `resize`; smaller photos are rejected.
        limit: maximum number of photos; a larger one only adds to them.
        names: the only files that are candidates, by path or by path below the source.
        samples_per_shard: maximum number of light images per shard.
        add: add the photos that a finished MixHQ in `out` does not have, as new shards; see docs/growing.md.
        executor: of the index pass: `serial` works in the threads of this process, `ray` on a worker pool.
        workers: threads, or workers of the pool; default one per processor.
        address: of a running Ray cluster; default Ray on this machine for this run.
        worker_timeout: seconds without a file after which a Ray worker is replaced; default never.
        rescan: read and check every file again, whatever is known from earlier runs.
        dry_run: check the candidates and write nothing.

    Returns:
        Verdicts by source: accepted and rejected candidates, by rule; with `add` those on the new ones.

    Raises:
        UsageError: an unknown source, a missing path, or `out` holds something else.
        DimmagenError: no candidate is accepted, or an archive is damaged.

    Example:
        >>> build_mixhq(["sample"], dry_run=True)["sample"].accepted
        5
    """
    refuse_unsuitable(out, in_process=True)
    execution = ScanExecution(executor, workers, address, rescan, worker_timeout=worker_timeout)
    build = open_build(
        str(out),
        kinds.texts("sources", sources),
        exclude=kinds.texts("exclude", exclude),
        selection=_selection(follow_links, min_lightness, resize, crop, limit, names),
        samples_per_shard=samples_per_shard,
        add=add,
        dry_run=dry_run,
    )
    if build.finished is not None:
        return build.finished
    candidates = build.check(execution)
    if not build.has_nothing_new(candidates) and not dry_run:
        build.write(candidates, execution)
    return build.counts(candidates)


def _selection(
    follow_links: bool,
    min_lightness: float,
    resize: int | None,
    crop: int | None,
    limit: int | None,
    names: Paths | None,
    image_format: str = "png",
) -> PhotoSelection:
    listed = None if names is None else frozenset(kinds.texts("names", names))
    return PhotoSelection(
        min_lightness, resize, crop, limit, listed, follow_links, MAX_SIDES.get(image_format)
    )


@converted({**_KINDS, "executor": kinds.one_of(("serial", "ray", "auto"))})
def make_dataset(
    profile: str | Path,
    sources: Paths = (),
    out: str | Path = "out",
    *,
    exclude: Paths = (),
    follow_links: bool = False,
    min_lightness: float = MIN_LIGHTNESS,
    resize: int | None = None,
    crop: int | None = None,
    limit: int | None = None,
    names: Paths | None = None,
    labels: str | PathLike[str] | None = None,
    variants: int = 1,
    seed: int = 0,
    gamma: tuple[float, float] | None = None,
    ladder: Sequence[float] = (),
    group_by: Literal["", "clip"] = "",
    brightness: Brightness = "wide",
    temperature: float | None = None,
    model: str | None = None,
    without: Paths = (),
    compat: Literal["default", "reference"] = "default",
    samples_per_shard: int = 500,
    image_format: Literal["png", "webp"] = "png",
    light_format: AskedLightFormat = "auto",
    executor: ChosenExecutor = "serial",
    workers: int | None = None,
    address: str | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
    threads: int = 1,
    worker_timeout: float | None = None,
    rescan: bool = False,
    resume: Literal["if-possible", "always", "never"] = "if-possible",
    add: bool = False,
    progress: GenerateProgress | None = None,
) -> Manifest:
    """Make dark/light pairs of photos as sharded WebDataset tars with parquet metadata and a manifest.

    The same photos, profile and settings give the same bytes, with any executor and number of workers, and
    after any interruption.

    Args:
        profile: name or folder of a profile.
        sources: one MixHQ, or as for :func:`build_mixhq`; if empty, the MixHQ in `mixhq/`.
        out: folder or fsspec URL of the data set.
        exclude: folders or archives of images whose scenes must not be used.
        follow_links, min_lightness, resize, crop, limit, names: as for :func:`build_mixhq`.
        labels: `FORMAT=PATH` of the labels of the photos, which go into each pair: `coco`, `yolo`, `voc`,
            `masks` or `json`; see docs/dark-coco.md.
        variants: dark images per light image; with a ladder, per rung.
        seed: random seed for all draws.
        gamma: range of the brightness factor; default the profile's.
        ladder: fixed gammas instead of drawn ones, each with the same noise.
        group_by: `clip`: the frames of a clip share gamma and exposure.
        brightness: `wide` draws gamma; `as-pairs` makes dark images as dark as the pairs of the profile.
        temperature: scale of the noise; default the profile's.
        model: kind of dimmer model, such as `mdn`; default the profile's.
        without: parts of the model to disable, for ablations.
        compat: `reference` for the paper authors' own transform.
        samples_per_shard: maximum number of pairs per shard.
        image_format: of the dark images, both lossless.
        light_format: of the light images. `same` keeps the files; `png` converts them without loss; `jpg`
            converts all but JPEG files with loss. `auto` keeps the files if all have one format, and stores
            all as PNG otherwise, because many readers of WebDataset need a single format.
        executor: `serial` works in this process, `ray` on a worker pool. `auto`, the default of the command,
            is `serial` for a few pairs (less than 60 megapixels), and `ray` for more, or where `workers`,
            `address`, `worker_timeout` or a GPU is given.
        workers: of the pool; default one per processor.
        address: of a running Ray cluster; default Ray on this machine for this run.
        device: that renders the dark images; one GPU per worker. The bytes are the same.
        threads: per GPU worker, for reading and encoding.
        worker_timeout: seconds without a pair after which a Ray worker is replaced; default never.
        rescan: read and check every photo again, whatever is known from earlier runs.
        resume: `never` discards what is in `out`, `always` requires a run to continue.
        add: add the photos that a finished data set in `out` does not have, as new shards; the settings must
            be the same. See docs/growing.md.
        progress: notified of shards and pairs.

    Returns:
        The manifest as published.

    Raises:
        UsageError: an argument is out of range, a name is unknown, or `out` holds another run.
        DimmagenError: a photo can no longer be read, or the data set cannot be written.
    """
    if labels is not None:
        labels = str(labels)
        parse_labels(labels)  # before photos are scanned
    refuse_unsuitable(out, in_process=executor == "serial")
    # A number of threads is always given here; only GPU workers have them.
    execution = choose_execution(
        executor, workers, address, device, threads if device != "cpu" else None, worker_timeout
    )
    settings = PairSettings(
        variants * (len(ladder) or 1), seed, samples_per_shard, image_format, light_format
    )
    build_dimmer = dimmer_builder(
        str(profile),
        gamma,
        tuple(ladder),
        group_by=group_by,
        brightness=brightness,
        temperature=temperature,
        model=model,
        without=tuple(kinds.texts("without", without)),
        compat=compat,
    )
    selection = _selection(follow_links, min_lightness, resize, crop, limit, names, image_format)
    base = earlier = None
    if add:
        base, earlier = begin_addition(str(out), selection, resume, build_dimmer, settings)
    else:
        refuse_early(str(out), settings, resume)
    lights = open_light_images(
        kinds.texts("sources", sources),
        exclude=kinds.texts("exclude", exclude),
        selection=selection,
        execution=execution.of_index_pass(rescan),
        choose=earlier.new_ones if earlier else None,
        check_excluded=partial(refuse_other_scenes, base),
    )
    if base and has_nothing_new(lights, base):
        return base.manifest
    matched = open_labels(labels, lights) if labels else None
    return generate_dataset(
        lights, build_dimmer, str(out), settings, execution, resume, progress, labels=matched, base=base
    )


@converted(_KINDS)
def make_subset(
    dataset: str | Path,
    out: str | Path,
    *,
    sources: Paths = (),
    licence: str = "",
    gamma: tuple[float, float] | None = None,
    lightness: tuple[float, float] | None = None,
    min_side: int = 0,
    keys: Paths = (),
    without_keys: Paths = (),
) -> Manifest:
    """Write the pairs of a data set that meet all given criteria, in their order, as a new data set.

    Args:
        dataset: folder or fsspec URL.
        out: folder or fsspec URL of the new data set.
        sources: names of sources, such as `coco`; default all.
        licence: text in the terms of a pair's source, in upper or lower case.
        gamma: lowest and highest gamma.
        lightness: lowest and highest mean of the dark image, in [0, 1].
        min_side: minimum length of the shorter side, in pixels.
        keys: keys of pairs or of light images; default all.
        without_keys: keys of pairs or of light images that are left out.

    Returns:
        The manifest of the new data set.

    Raises:
        UsageError: no pair is selected, a source or key is unknown, or `out` holds something else.
        DimmagenError: the data set is damaged, or `out` cannot be written.
    """
    refuse_unsuitable(out, in_process=True)
    selection = Selection(
        tuple(kinds.texts("sources", sources)),
        licence,
        gamma,
        lightness,
        min_side,
        tuple(kinds.texts("keys", keys)),
        tuple(kinds.texts("without_keys", without_keys)),
    )
    return write_subset(open_pairs(str(dataset), CRITERIA), selection, str(out))


@converted(_KINDS)
def remove_photos(
    dataset: str | Path, names: str | Collection[str], *, ignore_unknown: bool = False
) -> Removed:
    """Remove photos from a data set or a MixHQ; only the shards that contain them are rewritten.

    Args:
        dataset: folder or fsspec URL.
        names: keys of photos or pairs, or names of photos as in the catalog. Photos with the same bytes are
            removed as well, and `add` does not bring them back.
        ignore_unknown: skip names that match nothing.

    Returns:
        The numbers of photos, pairs or light images, shards and rejected candidates; and what is unknown.

    Raises:
        UsageError: a name matches nothing, nothing would be left, or the data set is a subset or a merge.
        DimmagenError: the data set is damaged, or cannot be written.
    """
    refuse_unsuitable(dataset, in_process=True)
    remove = remove_from_mixhq if is_mixhq(str(dataset)) else remove_from_dataset
    return remove(str(dataset), kinds.texts("names", names), ignore_unknown)


@converted(_KINDS)
def fit_profile(
    pairs: str | Path,
    out: str | Path,
    *,
    names: Paths | None = None,
    hold_out: Paths = (),
    keep: Paths = (),
    seed: int = 0,
    model: str = "camera",
) -> Profile:
    """Fit a profile to a few real dark/light pairs of a camera, and check it on pairs that a fit did not see.

    Args:
        pairs: folder with `low/` and `high/` or the like, CSV of dark and light paths, or pattern of file
            names; see docs/pairs.md.
        out: name of the new profile among the user's own, or its folder; must not exist.
        names: pairs to use, by file name without extension.
        hold_out: pairs to leave out, by file name without extension.
        keep: pairs to accept although their images do not seem to show the same scene.
        seed: the same seed gives the same profile.
        model: default kind of the profile: `camera`, `mdn` or `deterministic`.

    Returns:
        The saved profile. `provenance["check"]` has the numbers of the check, and `profile.png` in its folder
        shows it.

    Raises:
        UsageError: the pairs are unsuitable or missing, or `out` exists.
    """
    folder = new_profile_folder(out)
    chosen = None if names is None else kinds.texts("names", names)
    found, _ = split_held_out(load_pairs(str(pairs), chosen), kinds.texts("hold_out", hold_out))
    problems = check_pairs_for_fit(found, kinds.texts("keep", keep))
    return fit_and_check(found, seed).save(folder, model, problems)


@converted(_KINDS)
def verify_mixhq(mixhq: str | Path) -> MixHQVerification:
    """Check every file, hash, count, sidecar and light image of a MixHQ against its catalog.

    Args:
        mixhq: folder or fsspec URL.

    Returns:
        What was found; `faults` is empty when the MixHQ is intact.

    Raises:
        DimmagenError: the folder does not hold a finished MixHQ.
    """
    return check_mixhq(str(mixhq))


@converted(_KINDS)
def verify(dataset: str | Path) -> Verification:
    """Check every file, hash, count, sidecar and image of a data set against its manifest.

    Args:
        dataset: folder or fsspec URL.

    Returns:
        What was found; `faults` is empty when the data set is intact.

    Raises:
        UsageError: there is no such folder.
        DimmagenError: the folder does not hold a finished data set.
    """
    return verify_dataset(str(dataset))
