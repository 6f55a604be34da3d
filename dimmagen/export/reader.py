"""One code base that reads exports: what it needs, how it pairs images, and what was tried with it."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dimmagen.core.errors import UsageError
from dimmagen.export.sizes import ANY_SIZE, Fit, SizeRule


class Pairing(StrEnum):
    """How a reader finds the light image of a dark one."""

    NAME = "equal file names"
    SORTED = "the n-th of both sorted lists of names"
    LISTING = "the n-th of both folders as the file system lists them, unsorted"
    REPLACED = "the path of the dark image with a word replaced"
    LIST = "a list of paths"
    NONE = "not paired"


@dataclass(frozen=True, slots=True)
class Trial:
    """What happened when code of the code base itself ran on an export, on a processor.

    Attributes:
        starts, pairs, trains, validates: `yes`, `batches only` (the batches of an epoch were made, and no
            network saw them), `no: why`, `not recorded`, or empty if it was not run.
        what: ran, such as `data classes`.
        when: year and month.
    """

    starts: str = ""
    pairs: str = ""
    trains: str = ""
    validates: str = ""
    what: str = ""
    when: str = "2026-11"


NOT_RUN = Trial()


@dataclass(frozen=True, slots=True)
class Reader:
    """One code base.

    Attributes:
        name: of the preset.
        title: name of the project.
        repository: `owner/name` on GitHub.
        commit: the one whose files the row was read from, shortened; empty if only its behaviour is known.
        layout: name of the layout that it reads.
        pairing: how it pairs images.
        batch: what it puts into a training batch.
        path: where it expects the export, relative to the repository.
        marks: files by which the repository is recognised; without them it is not.
        runs_in: folder of the repository in which its scripts are started.
        options: lines of its option file or command that name the export; `{root}` is the export as seen from
            `runs_in`.
        as_is: whether its options name `path` already.
        fixed: its lists name images as seen from `runs_in`, so that an export is read at `path` alone.
        train, validation: what it needs of the images of a split.
        epoch: number of pairs that it reads in every epoch, whatever there are; 0 for as many as there are.
        replaces: words that it replaces in the paths that it is given, so that no other part of the path may
            hold them.
        trial: what was tried with the code base itself.
    """

    name: str
    title: str
    repository: str
    commit: str
    layout: str
    pairing: Pairing
    batch: str
    path: str = ""
    marks: tuple[str, ...] = ()
    runs_in: str = "."
    options: tuple[str, ...] = ()
    as_is: bool = False
    fixed: bool = False
    train: SizeRule = ANY_SIZE
    validation: SizeRule = ANY_SIZE
    epoch: int = 0
    replaces: tuple[str, ...] = ()
    trial: Trial = NOT_RUN

    @property
    def fit(self) -> Fit | None:
        """The fit that satisfies the reader, if one does whatever the images are."""
        for rule in (self.train, self.validation):
            if rule.exact:
                return Fit(*rule.exact)
        multiple = max(self.train.multiple, self.validation.multiple)
        return Fit(multiple=multiple) if multiple > 1 else None

    @property
    def shortest(self) -> int:
        """Shorter sides than this number of pixels cannot be read."""
        return max(self.train.shortest, self.validation.shortest)

    def check_fit(self, fit: Fit) -> None:
        """Refuse a size that the reader cannot take.

        Raises:
            UsageError: it cannot.
        """
        for rule in (self.train, self.validation):
            if fit.multiple:
                fault = "" if fit.multiple % rule.multiple == 0 and not rule.exact else "would not do"
            else:
                fault = rule.fault((fit.height, fit.width))
            if fault:
                raise UsageError(
                    f"{self.title} needs {rule}, and `fit={fit}` {fault}",
                    f"give another `fit`{f', such as {self.fit}' if self.fit else ''}, or leave it out",
                    code="out-of-range",
                    parameter="fit",
                    value=str(fit),
                )

    def is_repository(self, folder: Path) -> bool:
        """Whether a folder holds the code base."""
        return bool(self.marks) and all((folder / mark).exists() for mark in self.marks)

    def option_lines(self, root: Path, repository: Path | None) -> list[str]:
        """The lines to put into its option file or command, for an export; see :func:`lines_of_export`.

        Args:
            root: of the export.
            repository: that it was written into; None if it lies elsewhere, and is named by its whole path
                (by `path` if it has to be brought there).
        """
        if repository is None and self.fixed:
            seen = Path(os.path.relpath(self.path, self.runs_in)).as_posix()
        elif repository is None:
            seen = root.absolute().as_posix()
        else:
            seen = Path(os.path.relpath(root.absolute(), (repository / self.runs_in).absolute())).as_posix()
        return lines_of_export(self.options, root, seen)


def lines_of_export(options: Sequence[str], root: Path, seen: str) -> list[str]:
    """Lines of an option file, without those that name only what an export lacks: it may have no validation.

    Args:
        options: the lines, in which `{root}` is the folder of the export.
        root: of the export; where it does not exist yet, all lines are returned.
        seen: the folder as the reader is given it.
    """
    places = {line: re.findall(r"\{root\}/([\w./-]+)", line) for line in options}
    return [
        line.format(root=seen)
        for line in options
        if not (root.is_dir() and places[line]) or any((root / place).exists() for place in places[line])
    ]
