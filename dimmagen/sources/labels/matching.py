"""Which labels are those of which image, by their names."""

import posixpath
from collections.abc import Sequence

from dimmagen.core.errors import UsageError
from dimmagen.core.file_names import common_form
from dimmagen.sources.light_image import LightImageRef


class LabelMatcher:
    """Finds the labels of an image by its name: the last parts of both paths, without the ending.

    Args:
        names: of images or label files.
        path: where they are, for messages.
    """

    def __init__(self, names: Sequence[str], path: str) -> None:
        self.path = path
        self._names = names
        self._by_stem: dict[str, list[str]] = {}
        for name in names:
            self._by_stem.setdefault(_parts(name)[-1], []).append(name)
        self._used: dict[str, str] = {}

    def find(self, ref: LightImageRef) -> str | None:
        """The labels that fit a light image best, which are used by it; None if there are none.

        Raises:
            UsageError: several fit, or they fit another image as well.
        """
        name = self.best(ref)
        if name is None:
            return None
        if other := self._used.get(name):
            raise self._ambiguous(f"{name!r} fits both images {other!r} and {ref.name!r}")
        self._used[name] = ref.name
        return name

    def best(self, ref: LightImageRef) -> str | None:
        """The labels that fit a light image best; None if there are none.

        Raises:
            UsageError: several fit.
        """
        found = self._by_stem.get(_parts(ref.name)[-1], [])
        if not found or ref.key.endswith(("-first", "-last")):  # a frame is not a labelled image
            return None
        scores = {name: _common(name, ref.name) for name in found}
        best = max(scores.values())
        names = [name for name, score in scores.items() if score == best]
        if len(names) > 1:
            raise self._ambiguous(f"{names[0]!r} and {names[1]!r} both fit the image {ref.name!r}")
        return names[0]

    def unused(self) -> list[str]:
        """Names of labels that were not found by an image."""
        return [name for name in self._names if name not in self._used]

    def _ambiguous(self, what: str) -> UsageError:
        return UsageError(
            f"labels in {self.path} are ambiguous: {what}",
            "use the same folders for images and labels, or give images different names",
            code="usage",
            parameter="labels",
        )


def _parts(name: str) -> list[str]:
    """The parts of a path as every system writes them, the last one without its ending."""
    return posixpath.splitext(common_form(name))[0].split("/")


def _common(one: str, other: str) -> tuple[int, bool]:
    """How many last parts two paths share, and whether their file names are equal with the ending."""
    count = 0
    for left, right in zip(reversed(_parts(one)), reversed(_parts(other)), strict=False):
        if left != right:
            break
        count += 1
    return count, posixpath.basename(common_form(one)) == posixpath.basename(common_form(other))
