"""Sources of light images: where photos come from, and by which rules they are selected."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dimmagen.core import storage
from dimmagen.core.errors import UsageError
from dimmagen.core.registry import Registry
from dimmagen.sources.base import Source

# The order decides in which order candidates are looked at, and so the rows of a catalog.
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
        "sample": "dimmagen.sources.sample:Sample",
    },
    instantiate=True,
)


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """One source of a run: whose rules apply, and where the images are stored."""

    name: str
    path: str

    @property
    def source(self) -> Source:
        return SOURCES[self.name]

    def __str__(self) -> str:
        return self.name if self.path == self.source.default_path else f"{self.name}={self.path}"

    @classmethod
    def parse(cls, text: str) -> "SourceSpec":
        """`NAME=PATH`, the name of a source that needs no path, or a path alone, which means `folder=PATH`.

        Raises:
            UnknownNameError: there is no source of that name.
            UsageError: the path is missing.
        """
        if not text:
            raise UsageError(
                "one of `sources` is empty", "name a folder, an archive or a source; . is this folder"
            )
        name, separator, path = text.partition("=")
        if text in SOURCES:
            if not SOURCES[text].default_path:
                raise UsageError(f"the source {text} needs a path", f"write {text}=PATH")
            return cls(text, SOURCES[text].default_path)
        if separator and name in SOURCES and not SOURCES[name].default_path:
            if not path:
                raise UsageError(f"the source {text} names no path", f"write {name}=PATH")
            return cls(name, path)
        if separator and not storage.exists(text):
            raise SOURCES.unknown(name)
        return cls("folder", text)


def terms_of(source: str, settings: Mapping = {}) -> str:
    """The terms of use of a source: its own, or what a data set recorded of one that is not installed here.

    Args:
        source: name.
        settings: of the data set's manifest.
    """
    if source in SOURCES:
        return SOURCES[source].terms
    recorded = settings.get("source_terms")
    return str(recorded.get(source, "unknown")) if isinstance(recorded, Mapping) else "unknown"


def recorded_terms(sources: Iterable[str]) -> dict[str, dict[str, str]]:
    """What a data set's settings record of the sources that dimmagen itself does not have; empty without
    any."""
    terms = {
        name: SOURCES[name].terms for name in sorted(sources) if name in SOURCES and SOURCES.plugin(name)
    }
    return {"source_terms": terms} if terms else {}


def parse_specs(texts: Sequence[str]) -> list[SourceSpec]:
    """Specs in the order of the registry, so that the order of the options changes nothing."""
    order = list(SOURCES)
    return sorted((SourceSpec.parse(text) for text in texts), key=lambda spec: order.index(spec.name))
