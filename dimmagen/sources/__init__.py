"""Sources of light pictures: what `--source NAME=PATH` names."""

from collections.abc import Sequence
from dataclasses import dataclass

from dimmagen.core import storage
from dimmagen.core.errors import UsageError
from dimmagen.sources.base import Source
from dimmagen.sources.clic import Clic
from dimmagen.sources.coco import Coco
from dimmagen.sources.folder import Folder
from dimmagen.sources.imagenet import Imagenet
from dimmagen.sources.inter4k import Inter4k
from dimmagen.sources.lol import Lol
from dimmagen.sources.sample import Sample, sample_folder

_ALL: tuple[Source, ...] = (Coco(), Clic(), Imagenet(), Inter4k(), Lol(), Folder(), Sample())
SOURCES: dict[str, Source] = {source.name: source for source in _ALL}


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """One `--source`: which rules, and where the pictures lie."""

    name: str
    path: str

    @property
    def source(self) -> Source:
        return SOURCES[self.name]

    def __str__(self) -> str:
        return self.name if self.name == "sample" else f"{self.name}={self.path}"

    @classmethod
    def parse(cls, text: str) -> "SourceSpec":
        """`NAME=PATH`, `sample`, or a path alone, which means `folder=PATH`.

        Raises:
            UsageError: an unknown name, or no path.
        """
        if not text:
            raise UsageError("a --source is empty", "name a folder, an archive or a source; . is this folder")
        name, separator, path = text.partition("=")
        if text == "sample":
            return cls("sample", sample_folder())
        if separator and name in SOURCES and name != "sample":
            if not path:
                raise UsageError(f"--source {text} names no path", f"write {name}=PATH")
            return cls(name, path)
        if text in SOURCES:
            raise UsageError(f"--source {text} needs a path", f"write {text}=PATH")
        if separator and not storage.exists(text):
            raise UsageError(f"there is no source {name!r}", f"known are {', '.join(SOURCES)}")
        return cls("folder", text)


def parse_specs(texts: Sequence[str]) -> list[SourceSpec]:
    """Specs in the order of the registry, so that the order of the options changes nothing."""
    order = list(SOURCES)
    return sorted((SourceSpec.parse(text) for text in texts), key=lambda spec: order.index(spec.name))
