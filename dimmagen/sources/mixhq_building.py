"""Building a MixHQ in three steps, between which a command may say how far it is: open, check, write.

:func:`open_build` lists the candidates, :meth:`MixHQBuild.check` judges them, :meth:`MixHQBuild.write` packs
the accepted ones (:mod:`.mixhq`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dimmagen.core.errors import UsageError
from dimmagen.core.processors import processor_count
from dimmagen.sources import mixhq, parse_specs
from dimmagen.sources.candidate_files import CandidateFiles, list_candidate_files
from dimmagen.sources.candidates import Candidates
from dimmagen.sources.index_pass import ScanExecution, index_candidates
from dimmagen.sources.mixhq_generations import base_of, earlier_in_mixhq
from dimmagen.sources.newcomers import Earlier, refuse_limit
from dimmagen.sources.photo_selection import PhotoSelection
from dimmagen.sources.scan_keys import ScanSettings
from dimmagen.sources.scene_hash import SceneHashes
from dimmagen.sources.verdict_counts import VerdictCounts, tally


@dataclass(frozen=True, slots=True)
class MixHQBuild:
    """A MixHQ that is to be built, or to which photos are to be added.

    Attributes:
        out: folder or fsspec URL.
        listing: of the candidates.
        inputs: that decide it, from :func:`.mixhq.describe_inputs`.
        settings: of the index pass.
        finished: the verdicts if nothing has to be done, because it is finished already; otherwise None.
        base: manifest of the finished MixHQ to which photos are added; None for a new one.
        earlier: what that one holds.
    """

    out: str
    listing: CandidateFiles
    inputs: dict
    settings: ScanSettings
    finished: dict[str, VerdictCounts] | None = None
    base: Mapping | None = None
    earlier: Earlier | None = None

    def check(self, execution: ScanExecution, on_file: Callable[[], None] = lambda: None) -> Candidates:
        """The verdicts on all candidates; with `base`, on those that it does not have.

        What a stopped run came to is used and added to, unless the build is a dry run.

        Args:
            execution: of the index pass.
            on_file: called once per file of the listing.

        Raises:
            UsageError: `out` cannot be written.
            DimmagenError: another run is writing to `out`, or as :func:`.index_candidates`.
        """
        kept = mixhq.open_kept_ranges(self.out, execution.rescan) if self.settings.stored else None
        scanned = index_candidates(self.listing.files, self.settings, execution, kept, on_file)
        return Candidates(
            self.earlier.new_ones(scanned) if self.earlier else scanned, self.settings.selection.limit
        )

    def counts(self, candidates: Candidates) -> dict[str, VerdictCounts]:
        """The numbers of candidates by source and verdict, from those of :meth:`check`."""
        return tally((candidate.row for candidate in candidates), self.listing.others)

    def has_nothing_new(self, candidates: Candidates) -> bool:
        """Whether photos were to be added and none is new; if so, what :meth:`check` kept is removed."""
        if self.base is None or len(candidates):
            return False
        if self.settings.stored:
            mixhq.forget_kept_ranges(self.out)
        return True

    def write(
        self, candidates: Candidates, execution: ScanExecution, on_light: Callable[[], None] = lambda: None
    ) -> dict:
        """Pack the accepted candidates and publish the manifest.

        Args:
            candidates: from :meth:`check`.
            execution: that of the index pass. Light images are written by threads of this process alone: by
                as many as its `workers` if it is serial, otherwise by one per processor.
            on_light: called after each light image.

        Returns:
            The manifest.

        Raises:
            DimmagenError: as :func:`.write_mixhq`.
        """
        workers = execution.workers if execution.executor == "serial" else None
        return mixhq.write_mixhq(
            self.out,
            candidates,
            self.inputs,
            workers or processor_count(),
            on_light,
            self.listing.others,
            self.base,
        )


def open_build(
    out: str,
    sources: Sequence[str],
    *,
    exclude: Sequence[str] = (),
    selection: PhotoSelection | None = None,
    samples_per_shard: int = mixhq.SAMPLES_PER_SHARD,
    add: bool = False,
    dry_run: bool = False,
) -> MixHQBuild:
    """List the candidates, and see what is in `out`.

    Args:
        out: folder or fsspec URL.
        sources: as for :func:`.parse_specs`.
        exclude: folders or archives of images whose scenes must not be used.
        selection: the user's choices.
        samples_per_shard: maximum number of light images per shard.
        add: whether the photos that a finished MixHQ in `out` does not have are added to it.
        dry_run: whether nothing is going to be written: a new MixHQ then does not look at `out`.

    Raises:
        UsageError: an unknown source, a missing path, `add` with a limit, or `out` holds something else or a
            MixHQ of other inputs.
        DimmagenError: an archive or the MixHQ in `out` is damaged.
    """
    selection = selection or PhotoSelection()
    if add:
        refuse_limit(selection)
    if not sources:
        raise UsageError(
            "`sources` is empty",
            "name folders, archives or sources of photos",
            code="missing-argument",
            parameter="sources",
        )
    listing = list_candidate_files(parse_specs(sources), selection.names, selection.follow_links)
    scenes = SceneHashes.from_paths(exclude) if exclude else None
    inputs = mixhq.describe_inputs(listing, scenes, samples_per_shard, selection)
    settings = ScanSettings(scenes, selection, stored=not dry_run)
    finished = mixhq.finished_verdict_counts(out, inputs, add) if add or not dry_run else None
    base = base_of(out) if add and finished is None else None
    earlier = earlier_in_mixhq(out, base) if base else None
    return MixHQBuild(out, listing, inputs, settings, finished, base, earlier)
