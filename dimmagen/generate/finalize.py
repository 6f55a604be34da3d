"""The files next to the shards of a data set, written when all shards are complete; the manifest last."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from dimmagen.core import hashing, storage
from dimmagen.core.hashing import FileRecord
from dimmagen.core.hugging_face import LAYOUT
from dimmagen.core.parquet import describe_rows, write_rows
from dimmagen.dataset.card import CARD, SHEET, card, pair_layout_file
from dimmagen.dataset.croissant import CROISSANT, croissant_of
from dimmagen.dataset.generations import GENERATIONS
from dimmagen.dataset.manifest import Manifest, Run, build_manifest
from dimmagen.dataset.pair_tables import pair_tables, whole_rows
from dimmagen.dataset.reader import PairSet
from dimmagen.dataset.schema import schema_of
from dimmagen.dataset.sheet import CHOSEN_BY, choose_rows, pair_views
from dimmagen.dataset.statistics import COUNTED, NUMBERS, DatasetSummary
from dimmagen.dataset.writer import ShardRecord
from dimmagen.generate.resume import REJECTED, DatasetFolder
from dimmagen.images.sheets import contact_sheet, jpeg_bytes
from dimmagen.sources.catalog import REJECTED_SCHEMA

SHEET_PAIRS, SHEET_WIDTH = 6, 256


def finalize_dataset(
    folder: DatasetFolder,
    run: Run,
    command: str,
    lights_by_source: Mapping[str, int],
    light_extensions: Collection[str],
    rejected: Iterable[Mapping],
    shards: Sequence[ShardRecord],
    before: Manifest | None = None,
    rejected_as: str = REJECTED,
) -> Manifest:
    """Write everything that makes a data set complete once its shards are written.

    Args:
        folder: holds the shards.
        run: settings and environment.
        command: reproduces this data set on any machine.
        lights_by_source: number of light images by source.
        light_extensions: file types of the light images.
        rejected: rows of :data:`REJECTED_SCHEMA`, sorted by source, name and frame.
        shards: in the order of the plan.
        before: manifest of the data set to which these shards are added, and which stays what it is until
            the new manifest is published. The other arguments are about what is added.
        rejected_as: name of the file of `rejected`, which `before` must not have.

    Returns:
        The manifest as published.
    """
    left_out = write_rows(storage.join(folder.out, rejected_as), rejected, REJECTED_SCHEMA)
    files = [FileRecord(rejected_as, left_out.bytes, left_out.sha256)]
    rejections = left_out.rows
    if before is not None:
        files += [entry.record() for entry in before.files if entry.name != CROISSANT]
        shards = [*(entry.shard_record() for entry in before.shards), *shards]
        lights_by_source = Counter(before.counts.lights_by_source) + Counter(lights_by_source)
        rejections += before.counts.rejected
    return publish_dataset(
        folder, run, command, lights_by_source, light_extensions, rejections, shards, files
    )


def names_rejected(manifest: Manifest, name: str, rows: Iterable[Mapping]) -> bool:
    """Whether a file of rejected candidates in a manifest has exactly these rows.

    Args:
        manifest: of a data set of this environment, so that equal rows are equal bytes.
        name: of the file.
        rows: of :data:`REJECTED_SCHEMA`, in the order of :func:`finalize_dataset`.
    """
    written = describe_rows(rows, REJECTED_SCHEMA)
    return FileRecord(name, written.bytes, written.sha256) in [entry.record() for entry in manifest.files]


def publish_dataset(
    folder: DatasetFolder,
    run: Run,
    command: str,
    lights_by_source: Mapping[str, int],
    light_extensions: Collection[str],
    rejected: int,
    shards: Sequence[ShardRecord],
    files: Sequence[FileRecord],
) -> Manifest:
    """Write what describes a data set whose shards and rejected candidates are written; the manifest last.

    No manifest of a data set with generations names `croissant.json`, as none names the card: it changes
    when the manifest does, and one rename cannot change two files. It follows the manifest, see
    :meth:`.DatasetFolder.finish`.

    Args:
        folder, run, command, lights_by_source, light_extensions: of the whole data set.
        rejected: number of rejected candidates.
        shards: all.
        files: those of the rejected candidates.
    """
    manifest = build_manifest(run, command, lights_by_source, rejected, shards, files)
    document = croissant_of(manifest)
    if GENERATIONS not in run.settings:
        files = [*files, FileRecord(CROISSANT, len(document), hashing.sha256(document))]
        manifest = build_manifest(run, command, lights_by_source, rejected, shards, files)
    if not folder.is_growing():  # or else the manifest that is there may name it
        storage.atomic_write(storage.join(folder.out, CROISSANT), document)
    numbers, made = DatasetSummary(), PairSet(folder.out, manifest, schema_of(run.settings).empty_table())
    columns = list(dict.fromkeys((*CHOSEN_BY, *COUNTED, *NUMBERS)))
    tables = numbers.adding(pair_tables(folder.out, manifest, columns))
    shown = choose_rows(tables, run.settings["variants"], SHEET_PAIRS)
    shown = whole_rows(folder.out, manifest, shown)
    sheet = jpeg_bytes(contact_sheet(pair_views(made, shown), width=SHEET_WIDTH))
    storage.atomic_write(storage.join(folder.out, SHEET), sheet)
    shape = pair_layout_file(manifest)
    storage.atomic_write(storage.join(folder.out, LAYOUT), shape)
    text = card(manifest, light_extensions, numbers.result(manifest))
    storage.atomic_write(storage.join(folder.out, CARD), text.encode())
    folder.finish(manifest)
    return manifest
