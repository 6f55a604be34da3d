"""Summary of the realism suite: means over pairs with bootstrap intervals, the two-sample test, JSON."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.evaluation.realism_results import AGAIN, REAL, Mode, PairResult
from dimmagen.metrics.realism import MEASURES, Measure
from dimmagen.metrics.realism.two_sample import two_sample_auc

SCHEMA = 1
RESAMPLES = 2000
AUC = Measure("auc", 6, "two-sample test", "AUC, 0.5 is ideal", ideal=0.5)
NLL = Measure("nll", 7, "likelihood of the real image", "nats per pixel", ideal=-math.inf)
ALL_MEASURES = tuple(sorted((*MEASURES, AUC, NLL), key=lambda one: one.item))


@dataclass(frozen=True, slots=True)
class MeasureEstimate:
    """A mean over pairs with its bootstrap interval.

    Attributes:
        mean: over pairs and draws.
        low, high: bounds of 95 % of the means of bootstrap resamples of the pairs.
        mean_absolute: mean of the absolute values; larger than |mean| if errors of single pairs cancel.
    """

    mean: float
    low: float
    high: float
    mean_absolute: float

    def badness(self, measure: Measure) -> float:
        """The number that ranks profiles; lower is better.

        For signed measures, it is the mean of the absolute values.
        """
        if measure.signed:
            return self.mean_absolute
        return self.mean if math.isinf(measure.ideal) else abs(self.mean - measure.ideal)

    def text(self, measure: Measure) -> str:
        """`0.126`, or for a signed measure `-0.35 | 0.68`: the mean and the mean of the absolute values."""
        if measure.signed:
            return f"{self.mean:+.{measure.digits}f} | {self.mean_absolute:.{measure.digits}f}"
        return f"{self.mean:.{measure.digits}f}"


RealismSummary = dict[str, dict[Mode, dict[str, MeasureEstimate]]]


def summarise(
    results: Sequence[PairResult], seed: int = 0, repeats: Sequence[PairResult] = ()
) -> RealismSummary:
    """Summarise the results of all pairs.

    Args:
        results: from :func:`~dimmagen.evaluation.realism.evaluate_dimmers`.
        seed: of the bootstrap.
        repeats: from :func:`~dimmagen.evaluation.repeats.measure_repeats`: they take the place of the split
            halves.

    Returns:
        label -> mode -> name of the measure -> estimate, for everything that could be measured. The
        likelihood of the real dark image does not depend on gamma: it is the same in every mode.
    """
    if repeats:
        summary = summarise(results, seed)
        del summary[REAL]
        return summary | summarise(repeats, seed)
    summary = {}
    for label, mode in dict.fromkeys((one.label, one.mode) for one in results[0].methods):
        rows = per_pair(results, label, mode)
        estimates = {name: _estimate(values, seed) for name, values in rows.items()}
        summary.setdefault(label, {})[mode] = estimates
    return summary


def floor_of(summary: RealismSummary) -> str:
    """The label of the camera itself: scenes that it shot again, or the halves of real images."""
    return AGAIN if AGAIN in summary else REAL


def per_pair(results: Sequence[PairResult], label: str, mode: Mode) -> dict[str, np.ndarray]:
    """Every measure of one method by name, float (pairs, draws), without those that no pair has."""
    methods = [result.method(label, mode) for result in results]
    rows = {m.name: np.array([[draw[m.name] for draw in one.values] for one in methods]) for m in MEASURES}
    real, synthetic = zip(*(one.features for one in methods), strict=True)
    if all(len(features) for features in real):  # images smaller than 32 pixels have no patch
        rows[AUC.name] = two_sample_auc(real, synthetic)[:, None]
    if all(label in result.nll for result in results):
        rows[NLL.name] = np.array([[result.nll[label]] for result in results])
    return {name: values for name, values in rows.items() if np.isfinite(values).all(1).any()}


def best_dimmers(summary: RealismSummary, measure: Measure, mode: Mode, dimmers: Iterable[str]) -> set[str]:
    """Labels of the dimmers that no other beats in the decimals shown; empty if there is only one dimmer."""
    badness = {
        label: round(summary[label][mode][measure.name].badness(measure), measure.digits)
        for label in dimmers
        if measure.name in summary[label][mode]
    }
    return {label for label, value in badness.items() if len(badness) > 1 and value == min(badness.values())}


def summary_as_json(
    summary: RealismSummary,
    results: Sequence[PairResult],
    dimmers: Mapping[str, ImageDimmer],
    settings: dict,
    repeats: Sequence[PairResult] = (),
) -> dict:
    """Everything that was measured, as JSON values without NaN: the summary, and means over draws by pair."""
    contenders = []
    for label, modes in summary.items():
        estimates = {mode: {name: asdict(e) for name, e in values.items()} for mode, values in modes.items()}
        dimmer = dimmers[label].settings() if label in dimmers else None
        pairs = [
            {
                "pair": result.name,
                "mode": mode,
                "strengths": method.strengths,
                **_finite_means(method.values),
                **({NLL.name: result.nll[label]} if label in result.nll else {}),
            }
            for result in (repeats if label == AGAIN else results)
            for mode in modes
            for method in [result.method(label, mode)]
        ]
        contenders.append(
            {"label": label, "floor": dimmer is None, "dimmer": dimmer, "modes": estimates, "pairs": pairs}
        )
    measures = [
        {"name": m.name, "item": m.item, "label": m.label, "unit": m.unit, "signed": m.signed}
        for m in ALL_MEASURES
    ]
    return {"schema": SCHEMA, **settings, "measures": measures, "contenders": contenders}


def _estimate(values: np.ndarray, seed: int) -> MeasureEstimate:
    """Estimate from values (pairs, draws); pairs without a value (no bin is full enough) are left out."""
    values = values[np.isfinite(values).all(1)]
    each = values.mean(1)
    picks = np.random.default_rng(seed).integers(0, len(each), (RESAMPLES, len(each)))
    low, high = np.quantile(each[picks].mean(1), (0.025, 0.975))
    return MeasureEstimate(float(each.mean()), float(low), float(high), float(np.abs(values).mean()))


def _finite_means(draws: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean of each measure over the draws, without those that are not finite."""
    means = {name: float(np.mean([draw[name] for draw in draws])) for name in draws[0]}
    return {name: mean for name, mean in means.items() if math.isfinite(mean)}
