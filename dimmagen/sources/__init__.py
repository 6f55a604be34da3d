"""Sources of light images: where images come from, and by which rules they are selected."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dimmagen.core import storage
from dimmagen.core.errors import UsageError
from dimmagen.core.registry import Registry, did_you_mean
from dimmagen.sources.base import Source, source_faults

# The order decides the order in which candidates are examined, and so that of the rows of a catalog.
SOURCES: Registry[Source] = Registry(
    "source",
    "dimmagen.sources",
    {
        "coco": "dimmagen.sources.coco:Coco",
        "clic": "dimmagen.sources.clic:Clic",
        "imagenet": "dimmagen.sources.imagenet:Imagenet",
        "inter4k": "dimmagen.sources.inter4k:Inter4k",
        "lol": "dimmagen.sources.lol:Lol",
        "folder": "dimmagen.sources.folder:Folder",
        "sample": "dimmagen.sources.sample:SamplePhotos",
    },
    instantiate=True,
    faults=source_faults,
)


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """One source of a run.

    Attributes:
        name: in :data:`SOURCES`; decides which rules apply.
        path: where the images are stored: local path, glob or fsspec URL of a folder or an archive.
    """

    name: str
    path: str

    @property
    def source(self) -> Source:
        """The object of that name."""
        return SOURCES[self.name]

    def __str__(self) -> str:
        return self.name if self.path == self.source.default_path else f"{self.name}={self.path}"

    @classmethod
    def parse(cls, text: str) -> "SourceSpec":
        """Parse one of `sources`.

        Args:
            text: `NAME=PATH`, the name of a source that needs no path, or a path, which means `folder=PATH`.
                `~` is the home folder, which no shell puts in behind `NAME=`.

        Raises:
            UnknownNameError: there is no source of that name.
            UsageError: the path is missing, or the source takes none.
        """
        if not text:
            raise UsageError(
                "one of `sources` is empty",
                "name a folder, an archive or a source; . is this folder",
                code="missing-argument",
                parameter="sources",
            )
        name, separator, path = text.partition("=")
        if text in SOURCES:
            if not SOURCES[text].default_path:
                raise UsageError(
                    f"the source {text} needs a path",
                    f"write {text}=PATH{_folder_of_that_name(text)}",
                    code="missing-argument",
                    name=text,
                )
            return cls(text, SOURCES[text].default_path)
        if separator and name in SOURCES and not SOURCES[name].default_path:
            if not path:
                raise UsageError(
                    f"the source {text} names no path",
                    f"write {name}=PATH",
                    code="missing-argument",
                    name=name,
                )
            return cls(name, os.path.expanduser(path))
        if separator and not storage.exists(text):
            raise _takes_no_path(name, path) if name in SOURCES else SOURCES.unknown(name)
        if (advice := did_you_mean(text, SOURCES)) and not storage.exists(text):
            raise UsageError(
                f"there is no folder and no file at {text}",
                f"{advice}Otherwise check the path",
                code="missing-path",
                path=text,
            )
        return cls("folder", os.path.expanduser(text))


def _takes_no_path(name: str, path: str) -> UsageError:
    """The error for a path behind a source that brings its own photos."""
    return UsageError(
        f"the source {name} brings its own photos and takes no path",
        f"write {name} alone, or folder={path or 'PATH'} for photos of yours",
        code="conflict",
        name=name,
        path=path,
    )


def _folder_of_that_name(name: str) -> str:
    """What to write where a folder or file has the name of a source."""
    return (
        f", as in {name}={name}; ./{name} takes its photos by the rules of a folder"
        if storage.exists(name)
        else ""
    )


def terms_of(source: str, settings: Mapping = {}) -> str:
    """The terms of use of a source: its own or, if it is not installed here, those that a data set recorded.

    Args:
        source: name.
        settings: of the data set's manifest.

    Returns:
        One sentence; `unknown` if neither is there.
    """
    if source in SOURCES:
        return SOURCES[source].terms
    recorded = settings.get("source_terms")
    return str(recorded.get(source, "unknown")) if isinstance(recorded, Mapping) else "unknown"


def recorded_terms(sources: Iterable[str]) -> dict[str, dict[str, str]]:
    """What the settings of a data set record about sources of plug-ins; empty if there are none."""
    terms = {
        name: SOURCES[name].terms for name in sorted(sources) if name in SOURCES and SOURCES.plugin(name)
    }
    return {"source_terms": terms} if terms else {}


def parse_specs(texts: Sequence[str]) -> list[SourceSpec]:
    """Parse sources; in the order of the registry, so that the order of the arguments changes nothing."""
    order = list(SOURCES)
    return sorted((SourceSpec.parse(text) for text in texts), key=lambda spec: order.index(spec.name))
