"""A summary of the light images of a data set: their numbers, and the hash by which they are known again."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields

from dimmagen.dataset.manifest import canonical_json
from dimmagen.sources.light_image import LightImageRef
from dimmagen.sources.photo_selection import size_options

_IDENTIFYING = [field.name for field in fields(LightImageRef) if field.name != "locator"]


@dataclass(frozen=True, slots=True)
class LightImageCensus:
    """A summary of the light images of a data set.

    Attributes:
        count: number of light images.
        by_source: their number by source.
        by_extension: their number by file type.
        sha256: over everything about them that affects the output: all but their location.
        steps: of their transforms, those that are done when the photos are read (see
            :func:`dimmagen.images.versions.step_versions`); none for the lights of a MixHQ, which are stored.
        sizes: values of `resize` and `crop` by their transforms.
    """

    count: int
    by_source: dict[str, int]
    by_extension: dict[str, int]
    sha256: str
    steps: frozenset[str] = frozenset()
    sizes: Mapping[str, int] = field(default_factory=dict)

    @property
    def extensions(self) -> list[str]:
        """Their file types, sorted."""
        return list(self.by_extension)


def census(refs: Iterable[LightImageRef]) -> LightImageCensus:
    """Count and hash the light images of a data set, in one pass."""
    digest = hashlib.sha256()
    by_source, by_extension = Counter[str](), Counter[str]()
    steps, sizes = set[str](), dict[str, int]()
    for ref in refs:
        digest.update(canonical_json({name: getattr(ref, name) for name in _IDENTIFYING}) + b"\n")
        by_source[ref.source] += 1
        by_extension[ref.extension] += 1
        if ref.transform != "verbatim":
            done = ref.transform.split("+")
            sizes |= size_options(done)
            steps.update([] if json.loads(ref.locator).get("stored") else done)
    return LightImageCensus(
        by_source.total(),
        dict(sorted(by_source.items())),
        dict(sorted(by_extension.items())),
        digest.hexdigest(),
        frozenset(steps),
        sizes,
    )
