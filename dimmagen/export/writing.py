"""Writing one export: plan the split, write each image once, and link it where it is needed again.

Every file appears complete or not at all, and `export.json` is written last: its presence means that the
export is complete. A stopped export is resumed when the same command is run again.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from dimmagen.core.errors import UsageError
from dimmagen.core.lock import exclusive
from dimmagen.dataset.reader import PairSet
from dimmagen.export.labels import refuse_other_labels
from dimmagen.export.layouts import Layout
from dimmagen.export.publishing import STAGE
from dimmagen.export.reader import Reader
from dimmagen.export.record import DONE, begin_export, finish_export
from dimmagen.export.rows import ExportRows, NamedPairs, PairNumbers, StoredRows
from dimmagen.export.scenes import find_scenes
from dimmagen.export.sizes import Fit
from dimmagen.export.split import Split, SplitPairs, split_pairs
from dimmagen.export.stores import SplitWork

_REPLACED_WORDS = ("low", "high", "normal")


@dataclass(frozen=True, slots=True)
class ExportProgress:
    """Functions that are notified of the progress.

    Attributes:
        begin: called once, with the number of light images to compare and of pairs to write.
        light_image: called after each light image.
        pair: called after each pair.
    """

    begin: Callable[[int, int], None] = lambda light_images, pairs: None
    light_image: Callable[[], None] = lambda: None
    pair: Callable[[], None] = lambda: None


def export_pairs(
    pairs: PairSet,
    layout: Layout,
    out: Path,
    *,
    count: int | None = None,
    validation: int | None = None,
    fit: Fit | None = None,
    reader: Reader | None = None,
    repository: Path | None = None,
    workers: int = 1,
    progress: ExportProgress | None = None,
) -> Split:
    """Write a data set in a layout that other trainers read.

    Args:
        pairs: a finished data set, with at least the columns of :data:`.EXPORTED`.
        layout: one of :data:`dimmagen.export.layouts.LAYOUTS`.
        out: folder to create, or whose export is resumed; with `repository`, a folder in it.
        count: exact number of training pairs; None takes all.
        validation: number of validation pairs, each of another light image; their scenes are kept out of
            training. None takes the layout's default, but at most a tenth of the light images.
        fit: the central window that is cut out of both images of a pair, without resampling; pairs that are
            too small are left out. None takes what the reader needs, or whole images.
        reader: one of :data:`dimmagen.export.readers.READERS`; its needs are met, or the export is refused.
        repository: of the reader, in which `out` lies; other files in `out` are kept.
        workers: number of threads.
        progress: notified of light images and pairs.

    Returns:
        The pairs of the splits, and what was left out.

    Raises:
        UsageError: there are not enough pairs, `validation` would have no effect, the reader cannot take the
            sizes, `out` holds something else, or its path would mislead a reader.
        DimmagenError: the data set is damaged, the disk is full, or another run is writing to `out`.
    """
    progress = progress or ExportProgress()
    _refuse_misleading(out, layout, reader, repository)
    refuse_other_labels(pairs, layout.name, layout.labels)
    _refuse_no_effect(layout, fit, validation)
    if reader and fit:
        reader.check_fit(fit)
    fit = fit or (reader.fit if reader else None)
    numbers = PairNumbers.of(pairs)
    chosen, sizes, validation = _choose(
        pairs, numbers, layout, count, validation, fit, reader, workers, progress
    )
    stored = StoredRows(pairs.whole())
    train, validated, tested = (
        ExportRows(stored, part) for part in (chosen.train, chosen.validation, chosen.test)
    )
    split = Split(train, validated, tested, chosen.left_out)
    plan = {
        "layout": layout.name,
        "data_set": pairs.manifest.root_hash,
        "count": count,
        "validation": validation,
        **({"reader": reader.name} if reader and reader.name != layout.name else {}),
        **({"fit": str(fit)} if fit else {}),
    }
    parts = [
        (name, NamedPairs(layout.names, name, rows, numbers, sizes))
        for name, rows in (("train", split.train), ("val", split.validation), ("test", split.test))
        if len(rows)
    ]
    with exclusive(str(out), may_only_read=True) as refused, ThreadPoolExecutor(workers) as pool:
        if refused and not (out / DONE).is_file():
            raise refused
        claims = _claims(layout, [name for name, _ in parts]) if repository else None
        if begin_export(out, plan, claims, reader):
            return split
        for name, named in parts:
            places = layout.splits[name]
            work = SplitWork(pairs, out, named, places, layout.paired, pool, progress.pair)
            _write_split(work, name, layout, split)
        used = np.concatenate([chosen.train, chosen.validation, chosen.test])
        sources = pc.unique(pairs.table["source"].take(used)).to_pylist()
        finish_export(out, plan, split, sources, pairs.manifest.settings, layout)
    return split


def _refuse_no_effect(layout: Layout, fit: Fit | None, validation: int | None) -> None:
    """Refuse what a layout cannot do."""
    if fit and layout.labels.needs:
        raise UsageError(
            f"the layout {layout.name} has labels, which do not follow `fit`",
            "make the data set in the wanted size, and its labels with it: "
            "`make_dataset(resize=..., crop=...)`",
            code="conflict",
            parameter="fit",
        )
    if validation and not layout.validation:
        raise UsageError(
            f"the layout {layout.name} has no validation pairs: `validation={validation}` has no effect",
            "leave `validation` out",
            code="conflict",
            parameter="validation",
        )


def _choose(
    pairs: PairSet,
    numbers: PairNumbers,
    layout: Layout,
    count: int | None,
    validation: int | None,
    fit: Fit | None,
    reader: Reader | None,
    workers: int,
    progress: ExportProgress,
) -> tuple[SplitPairs, np.ndarray, int]:
    """The pairs of the splits, the sizes of all exported images, and the number of validation pairs.

    Args:
        numbers: of the pairs.
        fit: that of the reader, where none was given.
        pairs, layout, count, validation, reader, workers, progress: as for :func:`export_pairs`.
    """
    every = np.arange(len(numbers.lights))
    if not any(dark for dark, _ in layout.train):  # light images only
        every = numbers.first[np.argsort(numbers.last, kind="stable")]
    rows, sizes, too_small = _fitting(every, numbers.sizes, fit, layout, reader)
    light_images = len(np.unique(numbers.lights[rows]))
    if validation is None:
        validation = min(layout.validation_size, max(1, light_images // 10))
    validation = validation if layout.validation else 0
    test = min(layout.test_size, max(1, light_images // 10)) if layout.test else 0
    compared = len(numbers.first) if validation + test else 0
    progress.begin(compared, len(rows))
    scenes = find_scenes(pairs, numbers, workers, progress.light_image) if compared else None
    split = split_pairs(numbers, rows, scenes, validation, count, test)
    split.left_out.update(too_small)
    if reader:
        _check_split(reader, split, rows, sizes)
    return split, sizes, validation


def _write_split(work: SplitWork, name: str, layout: Layout, split: Split) -> None:
    """Write the images, lists and labels of one split; adds to what was left out."""
    place, extension = work.places[0], layout.store.extension
    layout.store.write(work)
    layout.listing.write(work.root, name, place, work.named.files(extension))
    missing = layout.labels.write(work, name, extension)
    for reason, number in missing.items():
        split.left_out[reason] = split.left_out.get(reason, 0) + number


def _fitting(
    rows: np.ndarray, whole: np.ndarray, fit: Fit | None, layout: Layout, reader: Reader | None
) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """The pairs that are large enough, the sizes of their exported images, and the other pairs by reason.

    Args:
        rows: (N,), indices of pairs.
        whole: int64 (all pairs, 2), height and width of whole images.
        fit, layout, reader: as for :func:`export_pairs`.

    Returns:
        Indices; int64 (all pairs, 2), 0 for other pairs; and numbers.

    Raises:
        UsageError: no row is large enough.
    """
    shortest = max(layout.larger_than + 1, reader.shortest if reader else 0)
    reasons = (f"smaller than {fit}", f"a side shorter than {shortest} pixels")
    coded, kind = np.unique(whole[rows] @ np.array([2**32, 1]), return_inverse=True)
    cut, why = np.zeros((len(coded), 2), np.int64), np.zeros(len(coded), np.int8)
    for place, code in enumerate(coded.tolist()):
        found = divmod(code, 2**32)
        size = fit.size(found) if fit else found
        if size is None:
            why[place] = 1
        elif min(size) < shortest:
            why[place] = 2
        else:
            cut[place] = size
    sizes = np.zeros_like(whole)
    sizes[rows] = cut[kind]
    faults = why[kind]
    left_out = Counter(reasons[fault - 1] for fault in faults[faults > 0].tolist())
    if faults.all():
        raise UsageError(
            f"no pair is left ({', '.join(f'{number}: {reason}' for reason, number in left_out.items())})",
            "make a data set of larger images, or give a smaller `fit`",
            code="no-match",
        )
    return rows[faults == 0], sizes, dict(left_out)


def _check_split(reader: Reader, split: SplitPairs, rows: np.ndarray, sizes: np.ndarray) -> None:
    """Refuse pairs that the reader would fail on, whatever they are cut to.

    Raises:
        UsageError: sizes differ where they have to be equal, or there are fewer pairs than it reads.
    """
    parts = (
        (reader.train, split.train),
        (reader.validation, split.validation),
        (reader.validation, split.test),
    )
    for rule, part in parts:
        found = sizes[part]
        if rule.equal and (found != found[:1]).any():
            height, width = sizes[rows].min(axis=0).tolist()  # of every split, since one fit cuts them all
            mixture = rule.mixture((height, width) for height, width in found.tolist())
            raise UsageError(
                f"{reader.title} puts whole images into one batch, but there are {mixture}",
                f"give a `fit` for all images, such as {Fit(height, width)}, which leaves out none of them",
                code="unsuitable-pairs",
                reader=reader.name,
                parameter="fit",
            )
    if len(split.train) < reader.epoch:
        raise UsageError(
            f"{reader.title} reads {reader.epoch} pairs per epoch, but there are only {len(split.train)}",
            "make a data set with more images or variants",
            code="too-small",
            reader=reader.name,
            pairs=len(split.train),
        )


def _refuse_misleading(out: Path, layout: Layout, reader: Reader | None, repository: Path | None) -> None:
    """Refuse a folder in whose path the reader would replace a word; see :func:`refuse_misleading`."""
    if reader is None:
        if layout.by_replacing:
            refuse_misleading(out)
    elif repository is None:  # inside the repository, the reader is given a path of the table
        refuse_misleading(out, reader.replaces, exactly=True)


def refuse_misleading(root: Path, words: Sequence[str] = _REPLACED_WORDS, *, exactly: bool = False) -> None:
    """Refuse a folder whose own path contains a word that readers replace, such as `low` by `high`.

    Args:
        root: of the export.
        words: that are replaced.
        exactly: whether upper and lower case differ.

    Raises:
        UsageError: it does; the readers would look for light images in another folder.
    """
    path = str(root.absolute())
    for word in words:
        if word in (path if exactly else path.lower()):
            raise UsageError(
                f"the path {root.absolute()} holds the word {word!r}, which readers of this layout replace",
                "choose a folder whose whole path contains none of " + ", ".join(words),
                code="invalid-name",
                path=str(root.absolute()),
                word=word,
            )


def _claims(layout: Layout, splits: Sequence[str]) -> list[str]:
    """The paths of a layout that nobody else may have in a folder that is not ours alone."""
    paths = [DONE, STAGE]
    for split in splits:
        places = layout.splits[split]
        paths += [folder for place in places for folder in place if folder]
        paths += filter(None, [layout.listing.file(split, places[0])])
    return paths
