"""The named protocol by which a brightened picture is scored: `dimmagen-1`.

8-bit RGB; a score is the mean of the scores per picture. Each picture is brightened twice, to the lightness
of its ground truth and to one fixed lightness, and each result is scored as it is and with GT-mean (scaled to
the truth's mean luma): four settings, because published numbers differ in just these.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.enhance.enhancer import Enhancer
from dimmagen.enhance.inputs import FIXED_LIGHTNESS, mean_lightness
from dimmagen.metrics import image
from dimmagen.metrics.lpips import LPIPS, SMALLEST_SIDE
from dimmagen.metrics.niqe import BLOCK, PristineModel, niqe

PROTOCOL = "dimmagen-1"
Metric = Callable[[np.ndarray, np.ndarray], float]

# Needs nothing but the two pictures.
PLAIN_METRICS: dict[str, Metric] = {
    "psnr": image.psnr,
    "ssim_rgb": image.ssim_rgb,
    "ssim_gray": image.ssim_gray,
    "delta_e76": image.delta_e76,
    "delta_e2000": image.delta_e2000,
}
WEIGHTED_METRICS = ("lpips_alex", "lpips_vgg", "niqe")
ALL_METRICS = (*PLAIN_METRICS, *WEIGHTED_METRICS)
# Pixels: the shorter side of the smallest picture that a metric is defined on.
SMALLEST = {
    "ssim_rgb": 11,
    "ssim_gray": 11,
    "lpips_alex": SMALLEST_SIDE["alex"],
    "lpips_vgg": SMALLEST_SIDE["vgg"],
    "niqe": 2 * BLOCK,
}


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


def choose_metrics(
    names: Sequence[str], networks: Mapping[str, LPIPS], pristine: PristineModel | None
) -> dict[str, Metric]:
    """The functions of the metrics that are named, in the protocol's order.

    Args:
        names: of :data:`ALL_METRICS`.
        networks: LPIPS by backbone, `alex` and `vgg`, for the metrics that need them.
        pristine: for NIQE.
    """
    chosen = {name: metric for name, metric in PLAIN_METRICS.items() if name in names}
    for backbone, network in networks.items():
        if f"lpips_{backbone}" in names:
            chosen[f"lpips_{backbone}"] = partial(image.lpips_distance, network)
    if "niqe" in names and pristine is not None:
        chosen["niqe"] = partial(_niqe, pristine)
    return chosen


def _niqe(pristine: PristineModel, output: np.ndarray, truth: np.ndarray) -> float:
    return niqe(output, pristine)


def unfit_metrics(chosen: Mapping[str, Metric], pairs: Sequence[RealPair]) -> dict[str, str]:
    """Why metrics cannot be had, by name: the smallest of the pictures is too small for them.

    Args:
        chosen: from :func:`choose_metrics`.
        pairs: at least one.
    """
    smallest = min(pairs, key=lambda pair: min(pair.light.shape[:2]))
    height, width = smallest.light.shape[:2]
    return {
        name: f"pair {smallest.name} is {width}x{height}, {name} needs {SMALLEST[name]} pixels a side"
        for name in chosen
        if min(height, width) < SMALLEST.get(name, 1)
    }


def score(
    enhancer: Enhancer,
    pairs: Sequence[RealPair],
    chosen: Mapping[str, Metric],
    fixed_lightness: float = FIXED_LIGHTNESS,
) -> Iterator[Scored]:
    """Brighten and score pairs, one by one.

    Args:
        pairs: equal sizes within a pair, see :func:`~dimmagen.dimmers.real_pairs.check_pairs`.
        chosen: from :func:`choose_metrics`.
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
