"""Number and size of the light images, as an estimate needs them: large sources are sampled."""

import heapq
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from dimmagen.core import keyed_random
from dimmagen.core.errors import DimmagenError
from dimmagen.sources import parse_specs
from dimmagen.sources.candidate_files import list_candidate_files
from dimmagen.sources.index_pass import ScanExecution
from dimmagen.sources.light_image import LightImageRef
from dimmagen.sources.light_images import open_light_images, scanned_ref
from dimmagen.sources.mixhq_reading import is_mixhq
from dimmagen.sources.photo_selection import PhotoSelection
from dimmagen.sources.scan import scan
from dimmagen.sources.scene_hash import SceneHashes

MAX_SAMPLED = 500


@dataclass(frozen=True, slots=True)
class LightImageTotals:
    """Number and size of the light images.

    Attributes:
        count: number of accepted images.
        pixels: number in all of them together.
        most_pixels: number in the largest one.
        seconds: time to scan all candidates on this machine.
        estimated: whether only a sample of the candidates was scanned.
        photo_pixels: number in all photos, before the rules changed them; 0 if that is not known.
    """

    count: int
    pixels: float
    most_pixels: int
    seconds: float
    estimated: bool = False
    photo_pixels: float = 0.0

    def scaled_to(self, count: int) -> "LightImageTotals":
        """The totals of another number of such images."""
        factor = count / self.count
        return replace(
            self,
            count=count,
            pixels=self.pixels * factor,
            seconds=self.seconds * factor,
            estimated=True,
            photo_pixels=self.photo_pixels * factor,
        )


def sample_light_images(
    sources: Sequence[str],
    exclude: Sequence[str] = (),
    workers: int = 2,
    seed: int = 0,
    on_start: Callable[[int], None] = lambda files: None,
    on_file: Callable[[], None] = lambda: None,
    selection: PhotoSelection | None = None,
) -> tuple[Iterable[LightImageRef], LightImageTotals]:
    """Scan the candidates of some sources, or a sample of them.

    Args:
        sources, exclude, on_start, on_file, selection: as for :func:`open_light_images`.
        workers: number of threads.
        seed: random seed for the sample.

    Returns:
        The accepted light images, of a sample if there are more than `MAX_SAMPLED` candidates outside a
        MixHQ; and the totals over all candidates.

    Raises:
        UsageError, DimmagenError: as :func:`open_light_images`.
    """
    selection = selection or PhotoSelection()
    began = time.perf_counter()
    scanned = sources and not any(map(is_mixhq, sources))
    files = (
        list_candidate_files(parse_specs(sources), selection.names, selection.follow_links).files
        if scanned
        else []
    )
    if len(files) <= MAX_SAMPLED:
        lights = open_light_images(
            sources,
            exclude=exclude,
            selection=selection,
            execution=ScanExecution(workers=workers, cached=False),  # scanning is measured
            on_start=on_start,
            on_file=on_file,
        )
        return lights, _add_up(lights, lights.photo_sizes(), time.perf_counter() - began)
    sample = heapq.nsmallest(
        MAX_SAMPLED,
        files,
        key=lambda one: keyed_random.rank(seed, f"{one[0].name}/{one[1].name}", "survey"),
    )
    scenes = SceneHashes.from_paths(exclude) if exclude else None
    on_start(len(sample))
    candidates = scan(sample, scenes, workers, on_file, selection, stored=False)
    accepted_ones = [one for one in candidates if one.row.accepted]
    refs = [scanned_ref(one) for one in accepted_ones]
    if not refs:
        raise DimmagenError(
            f"none of {len(sample)} candidates drawn from {len(files)} is accepted",
            "see docs/sources-and-rules.md, or the verdicts of `build_mixhq(dry_run=True)`",
            code="no-match",
        )
    sizes = ((one.row.width, one.row.height) for one in accepted_ones)
    totals = _add_up(refs, sizes, time.perf_counter() - began)
    accepted = round(len(refs) / len(sample) * len(files))
    expected = totals.scaled_to(min(accepted, selection.limit or accepted))
    scanning = totals.seconds * len(files) / len(sample)  # all are scanned, whatever the limit
    return refs, replace(expected, seconds=scanning)


def _add_up(
    refs: Iterable[LightImageRef], photo_sizes: Iterable[tuple[int, int]], seconds: float
) -> LightImageTotals:
    count = pixels = max_pixels = 0
    for ref in refs:
        size = ref.width * ref.height
        count, pixels, max_pixels = count + 1, pixels + size, max(max_pixels, size)
    photo_pixels = sum(width * height for width, height in photo_sizes)
    return LightImageTotals(count, pixels, max_pixels, seconds, photo_pixels=photo_pixels)
