"""The realism report: one self-contained HTML file with tables, plots and images."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from PIL import Image

from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.evaluation import realism_plots
from dimmagen.evaluation.dimming_methods import compared_methods
from dimmagen.evaluation.pair_comparison import measured_part
from dimmagen.evaluation.realism_results import AGAIN, MODES, REAL, Mode, PairResult
from dimmagen.evaluation.realism_summary import (
    ALL_MEASURES,
    MeasureEstimate,
    RealismSummary,
    best_dimmers,
    floor_of,
)
from dimmagen.evaluation.realism_verdict import checks_of, headline, headline_rows
from dimmagen.images.codec import encode_png
from dimmagen.images.cropping import center_crop
from dimmagen.metrics.realism import Measure

SHOWN_LEVEL = 90.0  # mean grey level that the gain brings the dark images to
SHOWN_PAIRS = 3
_WHOLE_WIDTH = 360
_DETAIL_SIDE = 100  # pixels, shown enlarged
_SECTIONS = {
    1: "Exposure",
    2: "Colour",
    3: "Noise level",
    4: "Noise shape",
    5: "Noise structure",
    6: "Two-sample test",
    7: "Likelihood",
    8: "Measures of other papers",
}
_MODE_HEADINGS = {
    "gamma1": "gamma 1",
    "drawn": "gamma 1 and a drawn exposure, as for a data set",
    "matched": "gamma matched to the mean of each real image",
}
_FLOOR_TEXTS = {
    REAL: "the even rows of a real image against its odd rows",
    AGAIN: "a second shot of one scene by the camera against the first",
}
_MEANINGS = {
    "mean_error": "Brighter (+) or darker (-) than the real image; after the bar without the sign.",
    "histogram_distance": "How far the grey levels would have to move, once both are equally bright.",
    "transfer_error": "Distance of the curves from light to dark level.",
    "transfer_shape": "The same once both are equally bright: the shape of the response.",
    "colour_error": "Difference after a blur that removes the noise; 1 is just visible.",
    "chromaticity_error": "The same at the illumination of the real image: hue and saturation only.",
    "luma_noise": "0 is right, +1 twice the noise, -1 half of it; after the bar without the sign.",
    "chroma_noise": "The same for the noise of the colours.",
    "luma_curve": "Mean error of the noise level in dark, middling and bright areas.",
    "chroma_curve": "The same for the noise of the colours.",
    "luma_kl": "How differently the noise is distributed on flat areas; its level counts.",
    "chroma_kl": "The same for the noise of the colours.",
    "shape_kl": "The same at equal level: tails and quantisation.",
    "channel_correlation": "How the noise of red, green and blue is correlated.",
    "lag1_picture": "How neighbouring pixels are correlated, edges included.",
    "luma_lags": "The same on flat areas: the grain of the noise.",
    "chroma_lags": "The same for the noise of the colours.",
    "akld": "Of local noise variances (Yue et al. 2020). Not 0 for the camera itself, 0.7 without noise.",
    "kld": "Of the noise of all channels (Noise Flow, NAFlow); what one of them lacks does not count.",
    "denoiser_gap": "What a fixed denoiser leaves: + is noise that is easier to remove than the camera's.",
    "auc": "How well a classifier separates synthetic from real patches: 0.5 is chance, 1 is always right.",
    "nll": "Of the models that know one; lower is better.",
}


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair: the light image, the real dark image, and that of every method.

    Attributes:
        name: of the pair.
        gain: that the dark images are shown with.
        images: (caption, PNG of the whole image, PNG of its middle).
    """

    name: str
    gain: float
    images: list[tuple[str, bytes, bytes]]


def html_report(
    summary: RealismSummary,
    results: Sequence[PairResult],
    dimmers: Mapping[str, ImageDimmer],
    pairs: Sequence[RealPair],
    settings: Mapping[str, object],
    repeats: Sequence[PairResult] = (),
) -> str:
    """The report, as the text of one self-contained HTML file.

    Args:
        summary, results: from `summarise` and `evaluate`.
        dimmers: label -> dimmer, as evaluated.
        pairs: as evaluated; three of them (darkest, median, brightest) are shown.
        settings: shown under the title; `seed` is required.
        repeats: from `measure_repeats`, as in the summary.
    """
    labels = list(dimmers)
    plots = [
        ("Transfer curve", realism_plots.transfer_plot(results, labels)),
        ("Noise against intensity", realism_plots.noise_plot(results, labels)),
        ("Residuals on flat areas", realism_plots.residual_plot(results, labels)),
        ("Every pair, gamma 1", realism_plots.pairs_plot(results, labels, repeats)),
    ]
    panels = image_panels(dimmers, pairs, int(str(settings["seed"])))
    described = " · ".join(f"{escape(key)} {escape(str(value))}" for key, value in settings.items())
    return "\n".join(
        [
            "<!doctype html><html lang=en><meta charset=utf-8>",
            "<meta name=viewport content='width=device-width'>",
            f"<title>Realism of {escape(', '.join(labels))}</title><style>{_STYLE}</style>",
            f"<h1>Realism of {escape(', '.join(labels))}</h1><p class=told>{described}</p>",
            _verdict(summary, labels, len(pairs)),
            f"<h2>Images</h2><p>As bright as the real one; every dark image with the gain given. Below "
            f"each its middle {_DETAIL_SIDE} pixels.</p>",
            *(_panel_html(panel) for panel in panels),
            *(f"<h2>{title}</h2>{_svg_image(svg, title)}" for title, svg in plots),
            "<h2>All measures</h2><p>Means over pairs with 95 % bootstrap intervals; the best profile of a "
            f"row is bold. In grey the floors: {_FLOOR_TEXTS[floor_of(summary)]}, which no dimmer can be "
            "expected to beat, and plain curves without noise, which every dimmer must.</p>",
            *(_table(summary, mode, labels) for mode in MODES),
            "</html>",
        ]
    )


def image_panels(dimmers: Mapping[str, ImageDimmer], pairs: Sequence[RealPair], seed: int) -> list[Panel]:
    """The darkest, the median and the brightest pair, each with its real and synthetic dark images."""
    cropped = [measured_part(pair) for pair in pairs]
    methods = compared_methods(dimmers, cropped)
    order = sorted(cropped, key=lambda pair: float(pair[1].mean()))
    chosen = np.linspace(0, len(order) - 1, min(SHOWN_PAIRS, len(order))).astype(int)
    panels = []
    for name, dark, light in (order[i] for i in chosen):
        mean = float(dark.mean())
        gain = round(max(1.0, SHOWN_LEVEL / max(mean, 0.5)), 1)
        images = [("light", light), ("real", _with_gain(dark, gain))]
        for method in methods:
            [(_, image)] = method.darken(light, name, mean, 1, seed)
            images.append((method.label, _with_gain(image, gain)))
        files = [
            (label, encode_png(_reduced(one)), encode_png(center_crop(one, _DETAIL_SIDE)))
            for label, one in images
        ]
        panels.append(Panel(name, gain, files))
    return panels


def _verdict(summary: RealismSummary, dimmers: Sequence[str], pairs: int) -> str:
    """The sentence that says which dimmer is closest, and the small table with what its rows mean."""
    checks = checks_of(summary, dimmers, pairs)
    heads = "".join(f"<th class=d>{escape(label)}" for label in dimmers)
    heads += "<th class=f>plain linear<th class=f>camera itself<th>"
    rows = []
    for row in headline_rows(summary, checks, dimmers):
        cells = "".join(
            f"<td class={'d' if number < len(dimmers) else 'f'}>{cell}"
            for number, cell in enumerate(row.cells)
        )
        rows.append(f"<tr><th>{row.label}{cells}<td class=m>{escape(row.meaning)}")
    table = f"<table class=short><tr><th>{heads}{''.join(rows)}</table>"
    return f"<p class=verdict>{escape(headline(checks))}</p>{table}"


def _table(summary: RealismSummary, mode: Mode, dimmers: Sequence[str]) -> str:
    labels = [*dimmers, *(label for label in summary if label not in dimmers)]
    heads = "".join(f"<th class={'d' if label in dimmers else 'f'}>{escape(label)}" for label in labels)
    rows: list[str] = []
    for measure in ALL_MEASURES:
        cells = list(_cells(summary, measure, mode, labels, dimmers))
        if not cells:
            continue
        section = _SECTIONS[measure.item]
        if not any(f">{section}<" in row for row in rows):
            rows.append(f"<tr class=s><th colspan={len(labels) + 2}>{section}</th>")
        meaning = f"<td class=m>{_MEANINGS[measure.name]}"
        rows.append(f"<tr><th>{measure.label} <small>({measure.unit})</small>{''.join(cells)}{meaning}")
    return f"<h3>Dimmed with {_MODE_HEADINGS[mode]}</h3><table><tr><th>{heads}<th>{''.join(rows)}</table>"


def _cells(
    summary: RealismSummary, measure: Measure, mode: Mode, labels: Sequence[str], dimmers: Sequence[str]
) -> Iterator[str]:
    best = best_dimmers(summary, measure, mode, dimmers)
    estimates = [summary[label][mode].get(measure.name) for label in labels]
    if not any(estimates):
        return
    for label, estimate in zip(labels, estimates, strict=True):
        kind = "b" if label in best else ("d" if label in dimmers else "f")
        yield f"<td class={kind}>{_cell(measure, estimate)}"


def _cell(measure: Measure, estimate: MeasureEstimate | None) -> str:
    if estimate is None:
        return "—"
    digits = measure.digits
    interval = f"<small>{estimate.low:.{digits}f} … {estimate.high:.{digits}f}</small>"
    return f"{estimate.text(measure)} {interval}"


def _panel_html(panel: Panel) -> str:
    figures = "".join(
        f"<figure><img alt='{escape(label)}' src='{_data('png', whole)}'>"
        f"<img class=detail alt='{escape(label)}, detail' src='{_data('png', detail)}'>"
        f"<figcaption>{escape(label)}</figcaption></figure>"
        for label, whole, detail in panel.images
    )
    return f"<h3>{escape(panel.name)}, gain {panel.gain:g}</h3><div class=row>{figures}</div>"


def _with_gain(image: np.ndarray, gain: float) -> np.ndarray:
    """uint8 (H, W, 3), multiplied and clipped."""
    return np.clip(image * np.float32(gain), 0, 255).astype(np.uint8)


def _reduced(image: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3), at most `_WHOLE_WIDTH` pixels wide."""
    height, width = image.shape[:2]
    if width <= _WHOLE_WIDTH:
        return image
    size = (_WHOLE_WIDTH, max(1, round(height * _WHOLE_WIDTH / width)))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))


def _svg_image(svg: str, title: str) -> str:
    return f"<img alt='{escape(title)}' src='{_data('svg+xml', svg.encode())}'>"


def _data(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1c1c1c; background: #fff; max-width: 1180px;
  margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem; margin-bottom: 0 } h2 { font-size: 1.15rem; margin-top: 2.2rem }
h3 { font-size: 1rem; margin-bottom: .3rem }
.told, small, figcaption { color: #6b6b6b } small { font-size: .74rem; font-weight: normal }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .86rem }
th, td { padding: .22rem .7rem .22rem 0; text-align: left; vertical-align: top }
td small { display: block; white-space: nowrap } tr { border-bottom: 1px solid #eee }
tr.s th { padding-top: .9rem; color: #6b6b6b; font-weight: 600; border-bottom: 1px solid #bbb }
tr > th:first-child { font-weight: normal } tr:first-child th { font-weight: 600 }
.verdict { font-size: 1.1rem; max-width: 62rem } .m { color: #6b6b6b; font-size: .78rem; min-width: 14rem }
table.short { font-size: .95rem; margin-top: 1rem } table.short td { white-space: nowrap }
table.short td.m { white-space: normal }
table.short td:not(.m) { text-align: right }
.b { font-weight: 700 } .f { color: #777; font-weight: normal }
img { width: 100%; display: block } figure { margin: 0 } figcaption { font-size: .78rem }
.row { display: grid; grid-template-columns: repeat(auto-fill, minmax(132px, 1fr)); gap: .8rem .5rem }
img.detail { image-rendering: pixelated; margin-top: 3px }
@media (max-width: 48rem) { table { display: block; overflow-x: auto } }
"""
