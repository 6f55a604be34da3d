"""Photos that are taken out of a MixHQ or a data set: which ones a list means, what is remembered of them.

A photo is what its file holds: what a list names goes with every candidate of the same bytes, both frames of
a clip among them. Names and keys are not kept: a list of takedowns is nothing to publish.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from dimmagen.core import hashing
from dimmagen.core.errors import UsageError
from dimmagen.core.file_names import common_form

_MAX_NAMES = 3  # in a message


class Listed(NamedTuple):
    """What can be taken out: a candidate, by all of its names.

    Attributes:
        source, name, sha256: of the candidate; the SHA-256 is empty where its file was not read.
        keys: of its light image, and of the pairs.
    """

    source: str
    name: str
    sha256: str
    keys: tuple[str, ...] = ()

    @property
    def photo(self) -> str:
        """Identifies the photo: by its content, or by its name where the content is not known."""
        return self.sha256 or f"{self.source}={self.name}"


@dataclass(frozen=True, slots=True)
class Removed:
    """What was taken out of a data set or a MixHQ.

    Attributes:
        photos: number of photos, by their contents.
        samples: number of pairs, or of light images of a MixHQ, that were taken out.
        shards: number of shards that were rewritten or dropped.
        rejected: number of rejected candidates that are named no more.
        unknown: what the list names and is not there.
    """

    photos: int
    samples: int
    shards: int
    rejected: int
    unknown: tuple[str, ...] = ()


class Takedown:
    """The photos that a list names.

    Args:
        lines: keys of light images or of pairs, or names of files as in the catalog.
        candidates: of the whole set, accepted and rejected ones.

    Attributes:
        photos: what :attr:`Listed.photo` is for each of them.
        unknown: lines that name nothing, sorted.
    """

    def __init__(self, lines: Iterable[str], candidates: Iterable[Listed]) -> None:
        self.lines = frozenset(lines)
        used: set[str] = set()
        by_form = {common_form(line): line for line in self.lines}
        self.photos: set[str] = set()
        for one in candidates:
            meant = self.lines.intersection((one.name, *one.keys))
            if not meant and (line := by_form.get(common_form(one.name))):  # written on another system
                meant = frozenset((line,))
            if meant:
                used |= meant
                self.photos.add(one.photo)
        self.unknown = sorted(self.lines - used)

    @property
    def list_sha256(self) -> str:
        """SHA-256 of the sorted lines, hex."""
        return hashing.sha256("\n".join(sorted(self.lines)).encode("utf-8", "backslashreplace"))

    def remembered(self) -> list[str]:
        """What is remembered of the photos, so that they are not added again; sorted."""
        return sorted(map(hash_of_photo, self.photos))

    def refuse_unknown(self, out: str) -> None:
        """Refuse a list with lines that name nothing.

        Raises:
            UsageError: there are any.
        """
        if self.unknown:
            some = ", ".join(self.unknown[:_MAX_NAMES])
            more = len(self.unknown) - _MAX_NAMES
            raise UsageError(
                f"{out} has nothing of these names: {some}{f' and {more} more' if more > 0 else ''}",
                "give keys, or names as in the catalog (the path below the source), or "
                "`ignore_unknown=True` to remove the others",
                code="unknown-name",
                path=out,
                names=self.unknown,
            )


def hash_of_photo(photo: str) -> str:
    """What is remembered of a photo that was taken out: a SHA-256, hex, of what identifies it.

    Whoever has the photo can tell that it was there; nobody else learns anything.

    Args:
        photo: as :attr:`Listed.photo`.
    """
    return hashing.sha256(f"removed {photo}".encode("utf-8", "backslashreplace"))


def is_done(removals: Iterable[Mapping], takedown: Takedown) -> bool:
    """Whether the same list was applied before and names nothing now: a command that is run again."""
    before = {one["list_sha256"] for one in removals}
    return not takedown.photos and takedown.list_sha256 in before
