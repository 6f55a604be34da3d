"""The estimate of a run from a sample of its light images: some of its pairs are made and measured."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

from dimmagen.core.processors import processor_count
from dimmagen.generate.estimate.calibration import calibrate, choose
from dimmagen.generate.estimate.estimate import RunEstimate
from dimmagen.generate.estimate.sample import LightImageTotals
from dimmagen.generate.execution import ChosenExecutor, faster_executor
from dimmagen.generate.light_format import LightConversion, choose_light_format, measure_conversion
from dimmagen.generate.pair import BuildDimmer, PairSettings
from dimmagen.sources.light_image import LightImageRef


def estimate_run(
    refs: Iterable[LightImageRef],
    photos: LightImageTotals,
    build_dimmer: BuildDimmer,
    settings: PairSettings,
    executor: ChosenExecutor = "ray",
    workers: int | None = None,
    *,
    pairs: int | None = None,
    calibration_pairs: int = 24,
    on_start: Callable[[int], None] = lambda pairs: None,
    on_pair: Callable[[], None] = lambda: None,
) -> tuple[RunEstimate, LightConversion]:
    """Estimate what a run will take, and what the conversion of its light images costs.

    Args:
        refs, photos: from :func:`.sample_light_images`.
        build_dimmer, settings: of the run.
        executor: of the run.
        workers: Ray actors of the run; None for one per processor of this machine.
        pairs: number to estimate for, as if there were photos enough; None for those of the photos.
        calibration_pairs: number of pairs to make and measure.
        on_start: called with the number of pairs that are made.
        on_pair: called after each of them.

    Raises:
        DimmagenError: an image can no longer be read or dimmed, or the memory ran out.
    """
    counts = Counter(ref.extension for ref in refs)
    light_format = choose_light_format(settings.light_format, counts)
    settings = replace(settings, light_format=light_format)
    conversion = measure_conversion(refs, counts, light_format)
    chosen = choose(refs, settings.variants, calibration_pairs, settings.seed)
    on_start(len(chosen))
    measured = calibrate(chosen, build_dimmer, settings, on_pair)
    if pairs is not None:
        photos = photos.scaled_to(-(-pairs // settings.variants))
    if executor == "auto":  # as a run decides: a large photo is decoded for a small image
        decoded = photos.photo_pixels or photos.pixels
        executor = faster_executor(decoded * settings.variants)
    workers = 1 if executor == "serial" else workers or processor_count()
    estimate = RunEstimate(photos, settings, executor, workers, measured)
    return estimate, conversion.scaled_to(photos.count)
