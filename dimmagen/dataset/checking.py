"""Checking one shard: its files against their record, every sample against its row, every image."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from dimmagen.core import hashing, storage
from dimmagen.core.errors import DimmagenError, UnavailableError
from dimmagen.core.hashing import FileRecord
from dimmagen.core.lock import STATE
from dimmagen.core.machine import machine_trouble
from dimmagen.core.parquet import Schemas, read_rows
from dimmagen.core.tar import Member, members, read_at
from dimmagen.core.text import pluralize
from dimmagen.dataset.schema import PAIR_SCHEMAS, sidecar
from dimmagen.dataset.writer import ShardRecord
from dimmagen.images import codec


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with a data set.

    Attributes:
        where: name of the file.
        what: the end of the sentence "FILE: ..."; names the sample if it is known.
        is_stranger: whether it is a file of someone else, which can only be moved away.
    """

    where: str
    what: str
    is_stranger: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True, slots=True)
class ShardCheck:
    """The result for one shard.

    Attributes:
        keys: of its samples, according to its parquet file.
        faults: all that were found.
    """

    keys: list[str]
    faults: list[Fault]


def files_of(out: str, folders: Iterable[str]) -> set[str]:
    """Names of the files in the folder of a data set, and in some folders of it, `shards/...`.

    Args:
        out: folder or fsspec URL.
        folders: names of these folders.
    """
    present = {*storage.list_names(out)} - {*folders}
    for folder in folders:
        present |= {f"{folder}/{name}" for name in storage.list_names(storage.join(out, folder))}
    return present


def is_unpublished(name: str, folders: Iterable[str], numbered: re.Pattern[str]) -> bool:
    """Whether an addition or a removal that was stopped may have left a file, its temporary files among them.

    Args:
        name: of the file, as :func:`files_of` gives it.
        folders: as for :func:`files_of`.
        numbered: what matches the names of the files that are written there.
    """
    folder, _, file = name.rpartition("/")
    is_temporary = folder in {"", *folders} and storage.is_unfinished(file)
    return name == STATE or is_temporary or bool(numbered.fullmatch(name))


def check_file(out: str, record: FileRecord) -> Iterator[Fault]:
    """Compare a file's size and SHA-256 with its record.

    Args:
        out: folder or fsspec URL of the data set.
        record: of the file.
    """
    try:
        size, sha256 = storage.size_and_sha256(storage.join(out, record.name))
    except FileNotFoundError:
        yield Fault(record.name, "is missing")
        return
    if size != record.bytes:
        yield Fault(record.name, f"has {size} bytes, the manifest says {record.bytes}")
    elif sha256 != record.sha256:
        yield Fault(record.name, "does not have the SHA-256 of the manifest")


def check_pair_shard(out: str, record: ShardRecord, schemas: Schemas = PAIR_SCHEMAS) -> ShardCheck:
    """Check everything about one shard; faults are collected, not raised.

    Args:
        out: folder or fsspec URL of the data set.
        record: of the shard.
        schemas: that its parquet file can have.

    Raises:
        UnavailableError: the storage does not answer.
    """
    faults = list(check_file(out, FileRecord(record.name, record.bytes, record.sha256)))
    faults += check_file(out, record.metadata)
    path = storage.join(out, record.metadata.name)
    try:
        rows = read_rows(path, schemas, record.samples)
    except UnavailableError:
        raise
    except DimmagenError as error:
        return ShardCheck([], [*faults, Fault(record.metadata.name, error.what.removeprefix(f"{path} "))])
    if len(rows) != record.samples:
        found_rows = pluralize(len(rows), "row")
        faults.append(Fault(record.metadata.name, f"has {found_rows}, the manifest says {record.samples}"))

    def check_samples(file: BinaryIO, found: list[Member], is_whole: bool) -> Iterator[Fault]:
        yield from _compare_members(record.name, rows, found)
        present = {member.name: member for member in found}
        for row in rows:
            yield from _check_sample(file, record.name, row, present)

    return ShardCheck([row["key"] for row in rows], [*faults, *check_tar(out, record.name, check_samples)])


def check_tar(
    out: str, name: str, check: Callable[[BinaryIO, list[Member], bool], Iterable[Fault]]
) -> list[Fault]:
    """Check what a tar holds; one that is missing is left to :func:`check_file`.

    Args:
        out: folder or fsspec URL of the data set.
        name: of the tar in it.
        check: given the tar, its members up to the first that is damaged, and whether none is.

    Raises:
        UnavailableError: the storage does not answer.
    """
    path = storage.join(out, name)
    try:
        with machine_trouble(path), storage.open_binary(path) as file:
            found, broken = read_members(file, name)
            return [*broken, *check(file, found, not broken)]
    except FileNotFoundError:
        return []


def check_image(data: bytes, member: str, sha256: str) -> tuple[list[str], np.ndarray | None]:
    """Check the bytes of an image file, and that it can be decoded.

    Args:
        data: of the file.
        member: its name in the tar.
        sha256: that its row says.

    Returns:
        What is wrong, beginning with the name; and the pixels, uint8 (H, W, 3), or None.
    """
    wrong = [] if hashing.sha256(data) == sha256 else [f"the bytes of {member} are not those of its row"]
    try:
        return wrong, codec.decode_rgb8(data)[0]
    except codec.ImageError as error:
        return [*wrong, f"{member}: {error.reason}"], None


def check_size(pixels: np.ndarray, member: str, width: int, height: int) -> list[str]:
    """What is wrong with the size of a decoded image; arguments as for :func:`check_image`."""
    rows, columns, _ = pixels.shape
    is_right = (columns, rows) == (width, height)
    return [] if is_right else [f"{member} is {columns}x{rows}, not {width}x{height}"]


def read_members(file: BinaryIO, name: str) -> tuple[list[Member], list[Fault]]:
    """The members of a tar up to the first that is damaged, and what is wrong with that one.

    Args:
        file: the shard.
        name: of the shard in its data set.

    Raises:
        UnavailableError: the storage does not answer.
    """
    found: list[Member] = []
    try:
        for member in members(file, name):
            found.append(member)
    except UnavailableError:
        raise
    except DimmagenError as error:
        return found, [Fault(name, error.what.removeprefix(f"{name}: "))]
    return found, []


def expected_members(row: dict) -> list[Member]:
    """The members of a sample in tar order, from its row."""
    expected = [
        Member(row["dark_member"], row["dark_offset"], row["dark_size"]),
        Member(f"{row['key']}.json", row["json_offset"], row["json_size"]),
        Member(row["light_member"], row["light_offset"], row["light_size"]),
    ]
    if "labels_member" in row:
        expected.append(Member(row["labels_member"], row["labels_offset"], row["labels_size"]))
        expected.sort(key=lambda member: member.name)
    return expected


def _compare_members(name: str, rows: list[dict], found: list[Member]) -> Iterator[Fault]:
    """Report where the members of a tar first differ from the rows, and in which sample."""
    expected = [(member, row["key"]) for row in rows for member in expected_members(row)]
    for index, (member, key) in enumerate(expected):
        if index >= len(found):
            missing = len(expected) - index
            yield Fault(name, f"sample {key}: ends before {member.name} ({missing} members are missing)")
            return
        if found[index] != member:
            yield Fault(name, f"sample {key}: {member.name} is not at byte {member.offset}")
            return
    for extra in found[len(expected) :]:
        yield Fault(name, f"holds {extra.name!r}, which no row names")


def _check_sample(file: BinaryIO, name: str, row: dict, present: dict[str, Member]) -> Iterator[Fault]:
    """Check the bytes, the pixels and the sidecar of one sample."""
    where = f"sample {row['key']}"
    for side in ("dark", "light"):
        member = present.get(row[f"{side}_member"])
        if member is None:
            continue  # reported by _compare_members
        data = read_at(file, member.offset, member.size)
        wrong, pixels = check_image(data, member.name, row[f"{side}_sha256"])
        if pixels is not None:
            wrong += check_size(pixels, member.name, row["width"], row["height"])
            if codec.pixel_sha256(pixels) != row[f"{side}_pixel_sha256"]:
                wrong.append(f"the pixels of {member.name} are not those of its row")
        yield from (Fault(name, f"{where}: {what}") for what in wrong)
    labels = present.get(row.get("labels_member", ""))
    if labels and hashing.sha256(read_at(file, labels.offset, labels.size)) != row["labels_sha256"]:
        yield Fault(name, f"{where}: the bytes of {labels.name} are not those of its row")
    json_member = present.get(f"{row['key']}.json")
    if json_member is not None:
        data = read_at(file, json_member.offset, json_member.size)
        yield from _check_sidecar(name, where, row, data)


def _check_sidecar(name: str, where: str, row: dict, data: bytes) -> Iterator[Fault]:
    if data == sidecar(row):
        return
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        yield Fault(name, f"{where}: the JSON file is not a JSON object")
        return
    wrong = [key for key in values if values[key] != row.get(key)] or ["its keys or number formats"]
    yield Fault(name, f"{where}: the JSON differs from its row in {', '.join(wrong)}")
