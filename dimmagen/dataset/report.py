"""`report.html`: a self-contained page that shows a data set in a browser without a server."""

import base64
import html
import io
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources

import numpy as np
from PIL import Image

from dimmagen.core.text import pluralize
from dimmagen.dataset.reader import PairSet
from dimmagen.dataset.schema import WHITE_BALANCE
from dimmagen.images.cropping import center_crop

IMAGE_WIDTH = 420
CROPS = 9
CROP_SIDE = 200  # pixels, shown as they are
_BINS = 24
_MOST_DOTS = 2000
_SHOWN = (
    "key",
    "source",
    "name",
    "variant",
    "gamma",
    "tau",
    "exposure",
    *WHITE_BALANCE,
    "lightness_before",
    "lightness_after",
)


def report_page(pairs: PairSet, chosen: Sequence[dict], facts: Mapping[str, str] | None = None) -> str:
    """The page of a data set.

    Args:
        pairs: the whole data set, for plots and counts.
        chosen: rows of the pairs to show, in this order; their images are embedded in the page, and the
            middle of the first ones at full size, so that their noise can be compared.
        facts: further lines for the top of the page, by name.

    Returns:
        HTML without external references. Images are reduced to every n-th pixel, not averaged, so that the
        noise keeps its appearance.
    """
    views = [_view(pairs, row, with_crop=number < CROPS) for number, row in enumerate(chosen)]
    profiles = sorted(set(pairs.table["profile"].to_pylist()))
    values = {
        "title": html.escape(f"{len(pairs)} dark/light pairs of profile {', '.join(profiles)}"),
        "facts": _facts(pairs, facts or {}),
        "plots": "".join(_plots(pairs)),
        # A "</script>" in a name must not close the script element.
        "pairs": json.dumps(views).replace("<", "\\u003c"),
    }
    page = resources.files("dimmagen.dataset").joinpath("report.html").read_text(encoding="utf-8")
    return re.sub("@(title|facts|plots|pairs)@", lambda found: values[found[1]], page)


def _view(pairs: PairSet, row: dict, with_crop: bool) -> dict:
    """The data of one pair for the script of the page."""
    dark, light = pairs.images(row)
    step = math.ceil(dark.shape[1] / IMAGE_WIDTH)
    crops = {}
    if with_crop:
        crops = {
            "dark_crop": _data_url(center_crop(dark, CROP_SIDE), lossless=True),
            "light_crop": _data_url(center_crop(light, CROP_SIDE), lossless=True),
        }
    return {
        **{name: row[name] for name in _SHOWN if name in row},
        "size": f"{row['width']}x{row['height']}",
        "gain": round(float(light.mean()) / max(float(dark.mean()), 0.25), 2),
        "dark": _data_url(dark[::step, ::step], lossless=True),
        "light": _data_url(light[::step, ::step], lossless=False),
        **crops,
    }


def _data_url(pixels: np.ndarray, lossless: bool) -> str:
    """A uint8 (H, W, 3) image as a data URL; dark images are lossless, because a gain shows artefacts."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "WEBP", lossless=lossless, quality=60 if lossless else 85, method=2)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode()


def _facts(pairs: PairSet, more: Mapping[str, str]) -> str:
    manifest = pairs.manifest
    counts, sources = manifest.counts, Counter(pairs.table["source"].to_pylist())
    photos, shards = pluralize(counts.lights, "photo"), pluralize(counts.shards, "shard")
    facts = {
        "pairs": f"{counts.pairs} of {photos}, in {shards}",
        "by source": ", ".join(f"{source} {number}" for source, number in sorted(sources.items())),
        "rejected candidates": str(counts.rejected),
        **more,
        "command": manifest.command,
        "root hash": manifest.root_hash,
    }
    return "".join(
        f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in facts.items()
    )


def _plots(pairs: PairSet) -> Iterable[str]:
    names = ("gamma", "lightness_before", "lightness_after")
    columns = {name: np.asarray(pairs.table[name]) for name in names}
    for name, values in columns.items():
        yield _histogram(name.replace("_", " "), values)
    yield _scatter("gamma", columns["gamma"], "lightness after", columns["lightness_after"])


def _histogram(title: str, values: np.ndarray) -> str:
    low, high = _range(values)
    counts, _ = np.histogram(values, _BINS, (low, high))
    bars = "".join(
        f'<rect x="{20 + 10 * index}" y="{110 - 90 * count / counts.max():.1f}" width="9" '
        f'height="{90 * count / counts.max():.1f}"><title>{count}</title></rect>'
        for index, count in enumerate(counts)
    )
    return _figure(f"{title} (pairs)", low, high, bars)


def _scatter(x_name: str, x: np.ndarray, y_name: str, y: np.ndarray) -> str:
    """A scatter plot of (N,) values; of many pairs, every n-th one is shown."""
    step = math.ceil(len(x) / _MOST_DOTS)
    (x_low, x_high), (y_low, y_high) = _range(x), _range(y)
    dots = "".join(
        f'<circle cx="{20 + 240 * (a - x_low) / (x_high - x_low):.1f}" '
        f'cy="{110 - 90 * (b - y_low) / (y_high - y_low):.1f}" r="2"/>'
        for a, b in zip(x[::step], y[::step], strict=True)
    )
    return _figure(f"{y_name} ({y_low:.2f} to {y_high:.2f}) over {x_name}", x_low, x_high, dots)


def _range(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _figure(title: str, low: float, high: float, marks: str) -> str:
    return (
        f'<svg viewBox="0 0 280 135" role="img" aria-label="{html.escape(title)}">'
        f'<text x="20" y="14">{html.escape(title)}</text>{marks}'
        f'<path d="M20 110.5H260" class="axis"/><text x="20" y="126">{low:.2f}</text>'
        f'<text x="260" y="126" text-anchor="end">{high:.2f}</text></svg>'
    )
