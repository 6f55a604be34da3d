"""The named protocol that scores enhanced images: `dimmagen-1`.

Images are 8-bit RGB; a score is the mean over the images. Each image is enhanced twice, to the lightness of
its ground truth and to a fixed lightness, and each result is scored as it is and with GT-mean (scaled to the
mean luma of the ground truth): four settings, because published numbers differ in exactly these.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dimmagen.core.errors import DimmagenError, UnavailableError
from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.enhance.enhancer import Enhancer
from dimmagen.enhance.inputs import FIXED_LIGHTNESS, mean_lightness
from dimmagen.metrics import image
from dimmagen.metrics.base import METRICS, DarkScore, MetricFiles

PROTOCOL = "dimmagen-1"


@dataclass(frozen=True, slots=True)
class ScoreSetting:
    """One of the four ways to score.

    Attributes:
        lightness: that the image is enhanced to: `truth` or `fixed`.
        gt_mean: whether the result is scaled to the mean luma of the ground truth.
    """

    lightness: str
    gt_mean: bool

    @property
    def name(self) -> str:
        """Such as `truth+gt-mean`."""
        return f"{self.lightness}{'+gt-mean' if self.gt_mean else ''}"


SETTINGS = tuple(
    ScoreSetting(lightness, gt_mean) for lightness in ("truth", "fixed") for gt_mean in (False, True)
)


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """One pair's results.

    Attributes:
        name: of the pair.
        dark, output, truth: uint8 (H, W, 3); `output` is enhanced to the lightness of the ground truth.
        asked, achieved: requested and actual lightness of `output`, in [0, 1].
        scores: by name of the setting, then by metric.
    """

    name: str
    dark: np.ndarray
    output: np.ndarray
    truth: np.ndarray
    asked: float
    achieved: float
    scores: dict[str, dict[str, float]]


def load_metrics(
    names: Sequence[str] | None, files: MetricFiles
) -> tuple[dict[str, DarkScore], dict[str, DimmagenError]]:
    """Load metrics, in the registry's order.

    Args:
        names: of :data:`METRICS`; None for all whose files are available.
        files: weights that some metrics need.

    Returns:
        The functions by name and, if `names` is None, the errors of the metrics that cannot be loaded.

    Raises:
        UnknownNameError: there is no such metric.
        DimmagenError: a named metric cannot be loaded, or the given LPIPS weights hold neither backbone.
    """
    for name in names or ():
        if name not in METRICS:
            raise METRICS.unknown(name)
    loaded: dict[str, DarkScore] = {}
    failures: dict[str, DimmagenError] = {}
    for name in METRICS:
        if names is None or name in names:
            try:
                loaded[name] = METRICS[name].scorer(files)
            except UnavailableError:
                raise
            except DimmagenError as error:
                failures[name] = error
    # A file of LPIPS weights holds one of the two backbones: with it, one of the two metrics fails to load.
    lpips = [name for name in failures if name.startswith("lpips")]
    unusable = files.lpips_weights is not None and lpips and not any(n.startswith("lpips") for n in loaded)
    if failures and (names is not None or unusable):
        raise failures[lpips[0]] if unusable else next(iter(failures.values()))
    return loaded, failures


def unsuitable_metrics(names: Iterable[str], pairs: Sequence[RealPair]) -> dict[str, str]:
    """The metrics that the smallest of the images is too small for, by name, with the reason.

    Args:
        names: of :data:`METRICS`.
        pairs: at least one.
    """
    smallest = min(pairs, key=lambda pair: min(pair.light.shape[:2]))
    height, width = smallest.light.shape[:2]
    return {
        name: f"pair {smallest.name} is {width}x{height}, "
        f"{name} needs {METRICS[name].min_side} pixels per side"
        for name in names
        if min(height, width) < METRICS[name].min_side
    }


def score(
    enhancer: Enhancer,
    pairs: Sequence[RealPair],
    chosen: Mapping[str, DarkScore],
    fixed_lightness: float = FIXED_LIGHTNESS,
) -> Iterator[Scored]:
    """Enhance and score pairs, one by one.

    Args:
        enhancer: the network to evaluate.
        pairs: of equal sizes within a pair, see :func:`~dimmagen.dimmers.pair_problems.check_pairs`.
        chosen: metrics by name, from :func:`load_metrics`.
        fixed_lightness: for the outputs that do not use the lightness of the ground truth, in [0, 1].
    """
    for pair in pairs:
        requested = mean_lightness(pair.light)
        outputs = {
            "truth": enhancer.enhance(pair.dark, requested),
            "fixed": enhancer.enhance(pair.dark, fixed_lightness),
        }
        scores = {}
        for setting in SETTINGS:
            output = outputs[setting.lightness]
            if setting.gt_mean:
                output = image.scaled_to_mean(output, pair.light)
            scores[setting.name] = {
                name: metric(output, pair.light, pair.dark) for name, metric in chosen.items()
            }
        output = outputs["truth"]
        yield Scored(pair.name, pair.dark, output, pair.light, requested, mean_lightness(output), scores)


def mean_scores(scored: Sequence[Scored]) -> dict[str, dict[str, float]]:
    """Means over the images, by name of the setting, then by metric.

    Scores that are not defined (NaN: NIQE of an image without structure) are left out of a mean.

    Args:
        scored: at least one.
    """
    return {
        setting.name: {
            metric: _mean([one.scores[setting.name][metric] for one in scored])
            for metric in scored[0].scores[setting.name]
        }
        for setting in SETTINGS
    }


def _mean(values: Sequence[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return float(np.mean(defined)) if defined else math.nan


def scores_as_json(scored: Sequence[Scored], fixed_lightness: float, exact_lightness: bool = False) -> dict:
    """Every number, with the name of the protocol, as JSON values.

    Numbers that are not defined or not finite are None.

    Args:
        scored: at least one.
        fixed_lightness: see :func:`score`.
        exact_lightness: whether the enhancer scaled its results to the requested lightness.
    """
    return {
        "protocol": PROTOCOL,
        "fixed_lightness": fixed_lightness,
        "exact_lightness": exact_lightness,
        "mean": _finite(mean_scores(scored)),
        "pictures": [
            {
                "name": one.name,
                "lightness_asked": one.asked,
                "lightness_achieved": one.achieved,
                **_finite(one.scores),
            }
            for one in scored
        ],
    }


def _finite(scores: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float | None]]:
    """Scores with None in place of NaN and infinity, which JSON does not have."""
    return {
        setting: {metric: value if math.isfinite(value) else None for metric, value in values.items()}
        for setting, values in scores.items()
    }
