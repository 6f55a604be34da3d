"""The named protocol by which a brightened picture is scored: `dimmagen-1`.

8-bit RGB; a score is the mean of the scores per picture. Each picture is brightened twice, to the lightness
of its ground truth and to one fixed lightness, and each result is scored as it is and with GT-mean (scaled to
the truth's mean luma): four settings, because published numbers differ in just these.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dimmagen.core.errors import DimmagenError
from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.enhance.enhancer import Enhancer
from dimmagen.enhance.inputs import FIXED_LIGHTNESS, mean_lightness
from dimmagen.metrics import image
from dimmagen.metrics.base import METRICS, MetricFiles, Score

PROTOCOL = "dimmagen-1"


@dataclass(frozen=True, slots=True)
class Setting:
    """One of the four ways to score: the lightness asked for, and whether GT-mean is applied."""

    lightness: str  # "truth" or "fixed"
    gt_mean: bool

    @property
    def name(self) -> str:
        return f"{self.lightness}{'+gt-mean' if self.gt_mean else ''}"


SETTINGS = tuple(Setting(wanted, gt_mean) for wanted in ("truth", "fixed") for gt_mean in (False, True))


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """One pair's results.

    Attributes:
        name: of the pair.
        dark, output, truth: uint8 (H, W, 3); the output is that at the truth's lightness.
        asked, achieved: lightness of that output, in [0, 1].
        scores: by setting name, then by metric.
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
) -> tuple[dict[str, Score], dict[str, DimmagenError]]:
    """Functions of the metrics that are named, in the registry's order.

    Args:
        names: of :data:`METRICS`; None for all whose files are there.
        files: weights that some metrics need.

    Returns:
        (functions by name, and, where all were asked for, why others cannot be loaded).

    Raises:
        UnknownNameError: there is no such metric.
        DimmagenError: a metric that is named cannot be loaded, or the LPIPS weights that are given hold
            neither backbone.
    """
    for name in names or ():
        if name not in METRICS:
            raise METRICS.unknown(name)
    loaded: dict[str, Score] = {}
    failures: dict[str, DimmagenError] = {}
    for name in METRICS:
        if names is None or name in names:
            try:
                loaded[name] = METRICS[name].load(files)
            except DimmagenError as error:
                failures[name] = error
    # A file of LPIPS weights holds one of the two backbones: with it, one of the two metrics fails to load.
    lpips = [name for name in failures if name.startswith("lpips")]
    unusable = files.lpips_weights is not None and lpips and not any(n.startswith("lpips") for n in loaded)
    if failures and (names is not None or unusable):
        raise failures[lpips[0]] if unusable else next(iter(failures.values()))
    return loaded, failures


def unsuitable_metrics(names: Iterable[str], pairs: Sequence[RealPair]) -> dict[str, str]:
    """Why metrics cannot be computed, by name: the smallest of the images is too small for them.

    Args:
        names: of :data:`METRICS`.
        pairs: at least one.
    """
    smallest = min(pairs, key=lambda pair: min(pair.light.shape[:2]))
    height, width = smallest.light.shape[:2]
    return {
        name: f"pair {smallest.name} is {width}x{height}, {name} needs {METRICS[name].min_side} pixels a side"
        for name in names
        if min(height, width) < METRICS[name].min_side
    }


def score(
    enhancer: Enhancer,
    pairs: Sequence[RealPair],
    chosen: Mapping[str, Score],
    fixed_lightness: float = FIXED_LIGHTNESS,
) -> Iterator[Scored]:
    """Brighten and score pairs, one by one.

    Args:
        pairs: equal sizes within a pair, see :func:`~dimmagen.dimmers.real_pairs.check_pairs`.
        chosen: from :func:`load_metrics`.
        fixed_lightness: of the outputs that do not know the truth's.
    """
    for pair in pairs:
        asked = mean_lightness(pair.light)
        outputs = {
            "truth": enhancer.enhance(pair.dark, asked),
            "fixed": enhancer.enhance(pair.dark, fixed_lightness),
        }
        scores = {}
        for setting in SETTINGS:
            output = outputs[setting.lightness]
            if setting.gt_mean:
                output = image.scaled_to_mean(output, pair.light)
            scores[setting.name] = {name: metric(output, pair.light) for name, metric in chosen.items()}
        output = outputs["truth"]
        yield Scored(pair.name, pair.dark, output, pair.light, asked, mean_lightness(output), scores)


def mean_scores(scored: Sequence[Scored]) -> dict[str, dict[str, float]]:
    """Mean over the pictures, by setting name, then by metric.

    Left out of a mean is a picture that the metric is not defined on (NaN: NIQE of one without structure).
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


def as_json(scored: Sequence[Scored], fixed_lightness: float) -> dict:
    """Every number, with the protocol's name; None is one that is not defined or not finite."""
    return {
        "protocol": PROTOCOL,
        "fixed_lightness": fixed_lightness,
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
    """JSON has no number for NaN and infinity."""
    return {
        setting: {metric: value if math.isfinite(value) else None for metric, value in values.items()}
        for setting, values in scores.items()
    }
