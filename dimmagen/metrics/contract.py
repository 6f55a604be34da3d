"""The contract of an image metric, as a test that its author runs: `dimmagen.check_metric(metric)`."""

import numpy as np

from dimmagen.core.errors import DimmagenError
from dimmagen.core.promises import check
from dimmagen.metrics.base import ImageMetric, MetricFiles, metric_faults


def check_metric(metric: ImageMetric, files: MetricFiles | None = None) -> None:
    """Check that a metric keeps the promises that evaluations rely on.

    It gives one number for images of any size from its smallest on, also for equal and for black ones, the
    same for the same images, and leaves them unchanged, since other metrics are given them too.

    Args:
        metric: as registered, such as `MAE`.
        files: that it needs; none by default.

    Raises:
        AssertionError: a promise is broken; the message says which one and how.
        DimmagenError: a file that it needs is missing.

    Example:
        >>> from dimmagen.metrics.base import METRICS
        >>> check_metric(METRICS["psnr"])
    """
    faults = list(metric_faults("", metric))
    check(not faults, "; ".join(faults))
    scorer = metric.scorer(files or MetricFiles())
    generator = np.random.Generator(np.random.PCG64(5))
    least = metric.min_side
    for height, width in ((least, least), (least, least + 7), (least + 30, least + 21)):
        truth = generator.integers(0, 256, (height, width, 3), np.uint8)
        dark = truth // 8
        for output in (np.minimum(dark * 6 + 3, truth), truth.copy(), np.zeros_like(truth)):
            images = output, truth, dark
            before = [image.copy() for image in images]
            shown = f"{width}x{height} pixels"
            try:
                scores = [scorer(*images) for _ in range(2)]
            except DimmagenError as error:
                raise AssertionError(f"images of {shown}: {error.what}") from error
            for name, image, kept in zip(("output", "truth", "dark image"), images, before, strict=True):
                check(np.array_equal(image, kept), f"the {name} was changed")
            check(
                np.array_equal(scores[:1], scores[1:], equal_nan=True), f"two scores of one image: {scores}"
            )
