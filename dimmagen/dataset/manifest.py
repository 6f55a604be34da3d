"""The manifest: the inputs and settings of a data set, and the SHA-256 of every file.

`manifest.json` is written last, so its presence means that the data set is complete. It holds nothing that
depends on time, host, folder or number of workers: equal data sets have equal manifests.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.hashing import FileRecord
from dimmagen.core.text import pluralize
from dimmagen.dataset.other_outputs import mixhq_error, refuse_other_kinds, refuse_part
from dimmagen.dataset.writer import ShardRecord
from dimmagen.sources.mixhq_reading import GROWN_MIXHQ_SCHEMA, MIXHQ_SCHEMA

SCHEMA_VERSION: Final = 1
MANIFEST = "manifest.json"

# Settings that may differ between two runs in one folder: more variants only append shards.
GROWING = ("variants",)
EXCLUDE = "exclude"  # the setting that names the excluded scenes, if there are any

_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Count = Annotated[int, Field(ge=0, lt=2**63)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class FileEntry(_Strict):
    """One file of the data set; `name` is relative to the data set and cannot leave it."""

    name: Annotated[str, Field(pattern=r"^((shards|metadata|rejected)/)?[a-z0-9][a-z0-9-]*\.[a-z]+$")]
    bytes: _Count
    sha256: _Sha256

    def record(self) -> FileRecord:
        """The entry as a record of the file."""
        return FileRecord(self.name, self.bytes, self.sha256)


class ShardEntry(FileEntry):
    """A tar with its number of samples and its parquet file."""

    name: Annotated[str, Field(pattern=r"^shards/train-[0-9]{5,}\.tar$")]
    samples: Annotated[int, Field(ge=1, lt=2**63)]
    metadata: FileEntry

    def shard_record(self) -> ShardRecord:
        """The entry as a record of the shard."""
        return ShardRecord(self.name, self.samples, self.bytes, self.sha256, self.metadata.record())


class Counts(_Strict):
    """Numbers of light images, pairs, shards and rejected candidates."""

    lights: _Count
    pairs: _Count
    shards: _Count
    rejected: _Count
    lights_by_source: dict[str, _Count]


class _UsedSettings(BaseModel):
    """The settings of a data set that others are read by; a manifest of a stranger may hold anything."""

    model_config = ConfigDict(strict=True, extra="allow")

    profile: str
    model: str
    variants: Annotated[int, Field(ge=1, lt=2**31)]
    samples_per_shard: Annotated[int, Field(ge=1, lt=2**31 + 1)]
    image_format: Annotated[str, Field(pattern=r"^[a-z0-9]{1,8}$")]
    labels: dict[str, Any] | None = None
    source_terms: dict[str, Any] = {}

    @field_validator("labels")
    @classmethod
    def _has_a_format(cls, labels: dict[str, Any] | None) -> dict[str, Any] | None:
        if labels and not isinstance(labels.get("format"), str):
            raise ValueError("it has no format")
        return labels


class Manifest(_Strict):
    """The content of `manifest.json`; :meth:`read` lists what is checked."""

    schema_version: Literal[1]
    fingerprint: _Sha256
    command: str
    settings: dict[str, Any]
    environment: dict[str, Any]
    counts: Counts
    shards: Annotated[list[ShardEntry], Field(min_length=1)]
    files: list[FileEntry]
    root_hash: _Sha256

    @property
    def run(self) -> "Run":
        """The settings and environment of the run that made the data set."""
        return Run(self.settings, self.environment)

    @classmethod
    def load(cls, out: str) -> "Manifest":
        """Read and check the manifest of a data set.

        Raises:
            UsageError: there is no such folder.
            DimmagenError: it is a MixHQ or an export, there is no manifest, or as :meth:`read`.
        """
        if storage.is_local(out):
            refuse_part(out)
            if not storage.is_folder(out):
                what = "is not a folder" if storage.exists(out) else "does not exist"
                raise UsageError(
                    f"{out} {what}", "give the folder of a data set", code="missing-path", path=out
                )
            refuse_other_kinds(out, storage.list_names(out))
        try:
            return cls.read(storage.join(out, MANIFEST))
        except FileNotFoundError:
            if not storage.is_local(out):  # asked only now: a listing costs requests
                names = storage.list_names(out)
                if not names:
                    raise UsageError(
                        f"there is nothing at {out}",
                        "give the URL of a data set",
                        code="missing-path",
                        path=out,
                    ) from None
                refuse_other_kinds(out, names)
            raise DimmagenError(
                f"{out} has no {MANIFEST}, so it is not a finished data set",
                "if a run was stopped there, start it again to continue it; if it is a folder of photos, "
                "make a data set from them with `make_dataset()`",
                code="unfinished",
                path=out,
            ) from None

    @classmethod
    def read(cls, path: str) -> "Manifest":
        """Read and check one manifest file.

        Raises:
            FileNotFoundError: the file does not exist.
            DimmagenError: the file is not JSON, has wrong types or an unknown schema version, names a file
                outside its folder, or its root hash or fingerprint does not match its content.
        """
        try:
            manifest = cls.model_validate_json(storage.read(path))
            _UsedSettings.model_validate(manifest.settings)
        except ValidationError as error:
            raise _unread(path, error) from error
        if manifest.root_hash != root_hash([*manifest.shards, *manifest.files]):
            raise DimmagenError(
                f"{path}: its root hash does not match the files that it names, so it was changed",
                code="damaged",
                path=path,
            )
        try:
            expected = fingerprint(manifest.settings, manifest.environment)
        except ValueError as error:
            raise DimmagenError(
                f"{path}: a setting is infinite or not a number ({error})", code="damaged", path=path
            ) from error
        if manifest.fingerprint != expected:
            raise DimmagenError(
                f"{path}: its fingerprint does not match its settings, so it was changed",
                code="damaged",
                path=path,
            )
        return manifest

    @classmethod
    def find(cls, path: str) -> "Manifest":
        """Read and check the manifest at a path.

        Args:
            path: folder of a data set, or a manifest file.

        Raises:
            UsageError: there is neither.
            DimmagenError: as :meth:`load` and :meth:`read`.
        """
        if storage.is_folder(path):
            return cls.load(path)
        try:
            return cls.read(path)
        except FileNotFoundError:
            raise UsageError(
                f"there is no manifest at {path}",
                "give a manifest.json or its folder",
                code="missing-path",
                path=path,
            ) from None

    def dump(self) -> bytes:
        """The bytes of `manifest.json`."""
        return json.dumps(self.model_dump(), indent=1, allow_nan=False).encode() + b"\n"


def _unread(path: str, error: ValidationError) -> DimmagenError:
    """The error for a manifest that cannot be read: it is not JSON, or of a later or of no known version."""
    fault = error.errors()[0]
    if fault["type"] == "json_invalid":
        return DimmagenError(
            f"{path} is damaged and not a manifest any more: {fault['msg']}",
            "copy the data set again, or remove its folder and run the command again that made it",
            code="damaged",
            path=path,
        )
    version = fault["input"]
    if isinstance(version, Mapping) and version.get("schema") in (MIXHQ_SCHEMA, GROWN_MIXHQ_SCHEMA):
        return mixhq_error(path, f"{path} is the manifest of a MixHQ")
    if fault["loc"] == ("schema_version",) and isinstance(version, int) and version > SCHEMA_VERSION:
        return DimmagenError(
            f"{path} was written by a later version of dimmagen (schema_version {version})",
            "install a later version of dimmagen to read it",
            code="wrong-format",
            path=path,
        )
    return DimmagenError(
        f"{path} is not a manifest of this version: {_first_fault(error)}",
        "make the data set again with this version",
        code="wrong-format",
        path=path,
    )


def _first_fault(error: ValidationError) -> str:
    fault = error.errors()[0]
    place = ".".join(str(part) for part in fault["loc"]) or "the file"
    return f"{place}: {fault['msg']}"


@dataclass(frozen=True, slots=True)
class Run:
    """The settings of a run, and the environment: the class of machine that makes the data set.

    Both are stored as they are after a round trip through JSON, so that a run equals one that is read from a
    file.
    """

    settings: dict
    environment: dict

    def __post_init__(self) -> None:
        for name in ("settings", "environment"):
            object.__setattr__(self, name, json.loads(json.dumps(getattr(self, name))))

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.settings, self.environment)


def changes(old: Run, new: Run) -> list[str]:
    """`name: old → new` for each setting that differs between two runs, unless it may grow and does."""
    before, after = ({**run.settings, "environment": run.environment} for run in (old, new))
    for name in GROWING:
        one, other = before.get(name), after.get(name)
        if isinstance(one, int) and isinstance(other, int) and other > one:
            del before[name], after[name]
    return changed_values(before, after)


def changed_values(before: Mapping, after: Mapping, part: str = "") -> list[str]:
    """`name: old → new` for each value that differs, sorted; a value in an inner mapping is `outer.inner`.

    Args:
        before, after: of a manifest.
        part: of the manifest in which they are, which comes before the names.
    """
    old, new = (_flat(_in_words(values), part and f"{part}.") for values in (before, after))
    return [
        f"{name}: {_shown(old.get(name, 'not set'))} → {_shown(new.get(name, 'not set'))}"
        for name in sorted(old.keys() | new.keys())
        if name not in old or name not in new or old[name] != new[name]
    ]


def _in_words(settings: Mapping) -> dict:
    """Settings with one text in place of what identifies the excluded scenes."""
    excluded = settings.get(EXCLUDE)
    if not isinstance(excluded, Mapping) or not {"pictures", "sha256", "bits"} <= excluded.keys():
        return dict(settings)
    pictures, digest = pluralize(excluded["pictures"], "picture"), str(excluded["sha256"])[:8]
    return {**settings, EXCLUDE: f"{pictures} (SHA-256 {digest}, {excluded['bits']} bits)"}


def _shown(value: object) -> str:
    """A value for a message; of a list of records, their number."""
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return f"{len(value)} with SHA-256 {hashlib.sha256(canonical_json(value)).hexdigest()[:8]}"
    return str(value) or "empty"


def _flat(values: Mapping, prefix: str = "") -> dict:
    flat: dict = {}
    for name, value in values.items():
        is_nested = isinstance(value, Mapping) and value
        flat |= _flat(value, f"{prefix}{name}.") if is_nested else {f"{prefix}{name}": value}
    return flat


def fingerprint(settings: Mapping, environment: Mapping) -> str:
    """SHA-256, hex, over everything that determines the bytes of a shard: `GROWING` settings do not."""
    fixed = {name: value for name, value in settings.items() if name not in GROWING}
    return hashlib.sha256(canonical_json({"settings": fixed, "environment": environment})).hexdigest()


def canonical_json(value: Any) -> bytes:
    """JSON that equal values have alike, as it is hashed: sorted, without spaces, and without NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def root_hash(entries: Iterable[FileEntry]) -> str:
    """SHA-256 over the `<sha256>  <name>` lines of shards, their parquet files and the other files, hex."""
    digest = hashlib.sha256()
    for entry in entries:
        digest.update(f"{entry.sha256}  {entry.name}\n".encode())
        if isinstance(entry, ShardEntry):
            digest.update(f"{entry.metadata.sha256}  {entry.metadata.name}\n".encode())
    return digest.hexdigest()


def build_manifest(
    run: Run,
    command: str,
    lights_by_source: Mapping[str, int],
    rejected: int,
    shards: Sequence[ShardRecord],
    files: Sequence[FileRecord],
) -> Manifest:
    """The manifest of a finished data set.

    Args:
        run: settings and environment.
        command: from :func:`command_line`.
        lights_by_source: number of light images by source.
        rejected: number of rejected candidates.
        shards: in plan order.
        files: the other files, in any order.
    """
    shard_entries = [ShardEntry.model_validate(shard.to_dict()) for shard in shards]
    file_entries = [
        FileEntry.model_validate(asdict(file)) for file in sorted(files, key=lambda file: file.name)
    ]
    return Manifest(
        schema_version=SCHEMA_VERSION,
        fingerprint=run.fingerprint,
        command=command,
        settings=run.settings,
        environment=run.environment,
        counts=Counts(
            lights=sum(lights_by_source.values()),
            pairs=sum(shard.samples for shard in shards),
            shards=len(shards),
            rejected=rejected,
            lights_by_source=dict(sorted(lights_by_source.items())),
        ),
        shards=shard_entries,
        files=file_entries,
        root_hash=root_hash([*shard_entries, *file_entries]),
    )
