"""Plots of the realism report, pooled over the pairs, as SVG text."""

import io
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np

from dimmagen.evaluation.plotting import Axes, Figure, mpl
from dimmagen.evaluation.realism_results import AGAIN, REAL, Mode, PairResult
from dimmagen.evaluation.realism_summary import per_pair
from dimmagen.metrics.realism.noise import LARGEST_RESIDUAL, NoiseStatistics

_PROFILE_COLOURS = ("#d1495b", "#1f77b4", "#2a9d4a", "#e08e0b", "#7b4fa3", "#12a5a5", "#b05c2a", "#c04fa0")
_PLAIN_STYLES = ("--", ":")
_PLOTTED_MODES: dict[Mode, str] = {"gamma1": "gamma 1", "matched": "gamma matched to the real mean"}
_AXIS_FACTOR = (
    1.3  # length of an axis relative to the real curve, so that an outlier does not squeeze the rest
)
_Curve = Literal["luma_curve", "chroma_curve"]
_MIN_PIXELS = 2e-4  # share of all pixels that a light level needs to be drawn
_RC: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "svg.hashsalt": "dimmagen",  # makes the ids in the file deterministic
}


@mpl.rc_context(_RC)
def transfer_plot(results: Sequence[PairResult], dimmers: Sequence[str]) -> str:
    """Mean dark level at each light level, real and synthetic, at gamma 1 and at the real mean."""
    counts = np.stack([result.counts for result in results])
    shown = counts.sum(0) > _MIN_PIXELS * counts.sum()

    def pooled(curves: Sequence[np.ndarray]) -> np.ndarray:
        return (np.nan_to_num(np.stack(curves)) * counts).sum(0)[shown] / counts.sum(0)[shown]

    levels, real = np.flatnonzero(shown), pooled([result.transfer for result in results])
    figure, panels = _panels(2, sharey=True)
    for panel, (mode, title) in zip(panels, _PLOTTED_MODES.items(), strict=True):
        for label, style in _synthetic(results, dimmers):
            panel.plot(
                levels, pooled([r.method(label, mode).transfer for r in results]), label=label, **style
            )
        panel.plot(levels, real, label="real", color="black", lw=2.4, zorder=1)
        panel.set(title=title, xlabel="light illumination, grey level")
        panel.set_ylim(0, _AXIS_FACTOR * real.max())
    panels[0].set_ylabel("mean dark illumination, grey level")
    return _svg(figure)


def pooled_noise(statistics: Sequence[NoiseStatistics], curve: _Curve) -> tuple[np.ndarray, np.ndarray]:
    """The noise of several images as one curve.

    Args:
        statistics: of each image.
        curve: which one.

    Returns:
        (intensity, standard deviation), grey levels, float (N,) each, by growing intensity. A bin is the mean
        over the images in which it was measured.
    """
    variance = np.stack([getattr(one, curve) for one in statistics]) ** 2
    intensity = np.where(np.isfinite(variance), np.stack([one.intensity for one in statistics]), np.nan)
    measured = np.isfinite(variance).any(0)
    means = np.nanmean(intensity[:, measured], 0)
    order = np.argsort(means, kind="stable")
    return means[order], np.sqrt(np.nanmean(variance[:, measured], 0))[order]


@mpl.rc_context(_RC)
def noise_plot(results: Sequence[PairResult], dimmers: Sequence[str]) -> str:
    """Standard deviation of luma and chroma residuals over the intensity of the dark image, gamma matched."""

    figure, panels = _panels(2)
    curves: tuple[_Curve, ...] = ("luma_curve", "chroma_curve")
    for panel, curve in zip(panels, curves, strict=True):
        for label, style in _synthetic(results, dimmers):
            noise = [result.method(label, "matched").noise for result in results]
            panel.plot(*pooled_noise(noise, curve), marker="o", ms=3, label=label, **style)
        real = pooled_noise([result.noise for result in results], curve)
        panel.plot(*real, marker="o", ms=4, label="real", color="black", lw=2.4, zorder=1)
        part = curve.removesuffix("_curve")
        panel.set(title=f"{part} noise, gamma matched", xlabel="dark illumination, grey level")
        panel.set(xlim=(0, _AXIS_FACTOR * real[0].max()), ylim=(0, None))
    panels[0].set_ylabel("deviation of the residual, grey levels")
    return _svg(figure)


@mpl.rc_context(_RC)
def residual_plot(results: Sequence[PairResult], dimmers: Sequence[str]) -> str:
    """Histograms of luma and chroma residuals on flat areas, gamma matched, with a logarithmic axis."""
    levels = np.arange(-LARGEST_RESIDUAL, LARGEST_RESIDUAL + 1)

    def pooled(statistics: Sequence[NoiseStatistics], part: str) -> np.ndarray:
        return np.mean([getattr(one, part) for one in statistics], axis=0)

    figure, panels = _panels(2, sharey=True)
    for panel, part in zip(panels, ("luma", "chroma"), strict=True):
        for label, style in _synthetic(results, dimmers):
            noise = [result.method(label, "matched").noise for result in results]
            panel.plot(levels, pooled(noise, f"{part}_histogram"), label=label, **style)
        real = pooled([result.noise for result in results], f"{part}_histogram")
        panel.fill_between(levels, real, 1e-6, step="mid", color="black", alpha=0.15, lw=0, label="real")
        panel.set(title=f"{part} residuals", xlabel="x - G(x), grey levels", yscale="log", ylim=(1e-5, 1))
    panels[0].set_ylabel("share of the flat pixels")
    return _svg(figure)


@mpl.rc_context(_RC)
def pairs_plot(
    results: Sequence[PairResult],
    dimmers: Sequence[str],
    repeats: Sequence[PairResult] = (),
) -> str:
    """One dot per pair at gamma 1, which shows where a mean hides errors of opposite sign.

    Args:
        results: of the pairs.
        dimmers: labels of the methods to show.
        repeats: of scenes that were shot twice, which take the place of the split halves.
    """
    shown = {
        "mean_error": "mean error, grey levels",
        "colour_error": "colour, CIEDE2000",
        "luma_noise": "luma noise, log2 ratio",
        "chroma_noise": "chroma noise, log2 ratio",
    }
    floor = AGAIN if repeats else REAL
    labels = [floor, *dimmers]
    rows = {label: per_pair(results, label, "gamma1") for label in dimmers}
    rows[floor] = per_pair(repeats or results, floor, "gamma1")
    styles = {floor: {"color": "black"}} | dict(_synthetic(results, dimmers))
    figure, panels = _panels(len(shown), height=0.9 + 0.32 * len(labels), sharey=True)
    for panel, (name, title) in zip(panels, shown.items(), strict=True):
        for row, label in enumerate(labels):
            values = rows[label][name].mean(1)
            colour = styles[label]["color"]
            panel.scatter(values, np.full(len(values), row), s=14, color=colour, alpha=0.55, lw=0)
            panel.scatter(values.mean(), row, marker="|", s=160, color=colour)
        panel.axvline(0, color="black", lw=0.8)
        panel.set(title=title, yticks=range(len(labels)), yticklabels=labels)
    panels[0].invert_yaxis()
    return _svg(figure, legend=False)


def _synthetic(results: Sequence[PairResult], dimmers: Sequence[str]) -> Iterator[tuple[str, dict]]:
    """Label and line style of every method except the real halves: dimmers in colour, plain curves grey."""
    labels = list(dict.fromkeys(one.label for one in results[0].methods if one.label != REAL))
    plain = [label for label in labels if label not in dimmers]
    for i, label in enumerate(dimmers):
        yield label, {"color": _PROFILE_COLOURS[i % len(_PROFILE_COLOURS)], "lw": 1.4}
    for i, label in enumerate(plain):
        yield label, {"color": "#888888", "lw": 1.2, "ls": _PLAIN_STYLES[i % len(_PLAIN_STYLES)]}


def _panels(count: int, height: float = 3.4, sharey: bool = False) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(10, height), layout="constrained")
    return figure, list(figure.subplots(1, count, sharey=sharey, squeeze=False)[0])


def _svg(figure: Figure, legend: bool = True) -> str:
    if legend:
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 6), frameon=False)
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()
