"""Writing one export: plan the split, write each image once, and link it where it is needed again.

Every file appears complete or not at all, and `export.json` is written last: its presence means that the
export is complete. A stopped export is resumed when the same command is run again.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from dimmagen.core.errors import UsageError
from dimmagen.core.lock import exclusive
from dimmagen.dataset.reader import PairSet
from dimmagen.export.labels import refuse_other_labels
from dimmagen.export.layouts import Layout
from dimmagen.export.publishing import STAGE
from dimmagen.export.reader import Reader
from dimmagen.export.record import DONE, begin_export, finish_export
from dimmagen.export.sizes import Fit, Size
from dimmagen.export.split import Split, find_scenes, split_pairs
from dimmagen.export.stores import NamedPair, SplitWork

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
        pairs: a finished data set.
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
    split, sizes, validation = _choose(pairs, layout, count, validation, fit, reader, workers, progress)
    plan = {
        "layout": layout.name,
        "data_set": pairs.manifest.root_hash,
        "count": count,
        "validation": validation,
        **({"reader": reader.name} if reader and reader.name != layout.name else {}),
        **({"fit": str(fit)} if fit else {}),
    }
    parts = [
        (name, [_named(layout, name, number, row, sizes) for number, row in enumerate(chosen, 1)])
        for name, chosen in (("train", split.train), ("val", split.validation), ("test", split.test))
        if chosen
    ]
    with exclusive(str(out)), ThreadPoolExecutor(workers) as pool:
        if begin_export(out, plan, _claims(layout, [name for name, _ in parts]) if repository else None):
            return split
        for name, named in parts:
            places = layout.splits[name]
            work = SplitWork(pairs, out, named, places, layout.paired, pool, progress.pair)
            _write_split(work, name, layout, split)
        finish_export(out, plan, split, pairs.manifest.settings, layout)
    return split


def _refuse_no_effect(layout: Layout, fit: Fit | None, validation: int | None) -> None:
    """Refuse what a layout cannot do."""
    if fit and layout.labels.needs:
        raise UsageError(
            f"the layout {layout.name} has labels, which do not follow `fit`",
            "make the data set in the wanted size: its labels follow `resize` and `crop`",
            code="conflict",
            parameter="fit",
        )
    if validation and not layout.validation:
        raise UsageError(
            f"the layout {layout.name} has no validation pairs: `validation={validation}` would do nothing",
            "leave `validation` out",
            code="conflict",
            parameter="validation",
        )


def _choose(
    pairs: PairSet,
    layout: Layout,
    count: int | None,
    validation: int | None,
    fit: Fit | None,
    reader: Reader | None,
    workers: int,
    progress: ExportProgress,
) -> tuple[Split, dict[str, Size], int]:
    """The pairs of the splits, the sizes of exported images by key, and the number of validation pairs.

    Args:
        fit: that of the reader, where none was given.
        pairs, layout, count, validation, reader, workers, progress: as for :func:`export_pairs`.
    """
    every = pairs.rows()
    if not any(dark for dark, _ in layout.train):  # light images only
        every = list({row["light_key"]: row for row in reversed(every)}.values())[::-1]
    rows, sizes, too_small = _fitting(every, fit, layout, reader)
    light_images = len({row["light_key"] for row in rows})
    if validation is None:
        validation = min(layout.validation_size, max(1, light_images // 10))
    validation = validation if layout.validation else 0
    test = min(layout.test_size, max(1, light_images // 10)) if layout.test else 0
    compared = len({row["light_key"] for row in every}) if validation + test else 0
    progress.begin(compared, len(rows))
    if compared:
        scenes = find_scenes(pairs, workers, progress.light_image)
    else:
        scenes = {row["light_key"]: row["light_key"] for row in rows}
    split = split_pairs(rows, scenes, validation, count, test)
    split.left_out.update(too_small)
    if reader:
        _check_split(reader, split, sizes)
    return split, sizes, validation


def _write_split(work: SplitWork, name: str, layout: Layout, split: Split) -> None:
    """Write the images, lists and labels of one split; adds to what was left out."""
    place, extension = work.places[0], layout.store.extension
    layout.store.write(work)
    files = {f"{one.name}.{extension}": one.size for one in work.named}
    layout.listing.write(work.root, name, place, files)
    missing = layout.labels.write(work, name, extension)
    for reason, number in missing.items():
        split.left_out[reason] = split.left_out.get(reason, 0) + number


def _named(layout: Layout, split: str, number: int, row: dict, sizes: Mapping[str, Size]) -> NamedPair:
    return NamedPair(layout.names.format(split=split, number=number), row, sizes[row["key"]])


def _fitting(
    rows: Sequence[dict], fit: Fit | None, layout: Layout, reader: Reader | None
) -> tuple[list[dict], dict[str, Size], dict[str, int]]:
    """The rows that are large enough, the size of the exported images by key, and the other rows by reason.

    Raises:
        UsageError: no row is large enough.
    """
    shortest = max(layout.larger_than + 1, reader.shortest if reader else 0)
    reasons = (f"smaller than {fit}", f"a side shorter than {shortest} pixels")
    sizes: dict[str, Size] = {}
    left_out: Counter[str] = Counter()
    for row in rows:
        whole = (row["height"], row["width"])
        size = fit.size(whole) if fit else whole
        if size is None:
            left_out[reasons[0]] += 1
        elif min(size) < shortest:
            left_out[reasons[1]] += 1
        else:
            sizes[row["key"]] = size
    if not sizes:
        raise UsageError(
            f"no pair is left ({', '.join(f'{number}: {reason}' for reason, number in left_out.items())})",
            "make a data set of larger images, or give a smaller `fit`",
            code="no-match",
        )
    return [row for row in rows if row["key"] in sizes], sizes, dict(left_out)


def _check_split(reader: Reader, split: Split, sizes: Mapping[str, Size]) -> None:
    """Refuse pairs that the reader would fail on, whatever they are cut to.

    Raises:
        UsageError: sizes differ where they have to be equal, or there are fewer pairs than it reads.
    """
    parts = (
        (reader.train, split.train),
        (reader.validation, split.validation),
        (reader.validation, split.test),
    )
    for rule, rows in parts:
        found = [sizes[row["key"]] for row in rows]
        if rule.equal and len(set(found)) > 1:
            every = sizes.values()  # of every split, since one fit cuts them all
            inside_all = Fit(min(height for height, _ in every), min(width for _, width in every))
            raise UsageError(
                f"{reader.title} puts whole images into one batch, and there are {rule.mixture(found)}",
                f"give a `fit` for all images, such as {inside_all}, which leaves out none of them",
                code="unsuitable-pairs",
                reader=reader.name,
                parameter="fit",
            )
    if len(split.train) < reader.epoch:
        raise UsageError(
            f"{reader.title} reads {reader.epoch} pairs in every epoch, and there are {len(split.train)}",
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
