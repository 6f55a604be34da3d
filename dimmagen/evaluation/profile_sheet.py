"""`profile.png`: how good a profile is, on one sheet."""

import io
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dimmagen.core.text import one_line
from dimmagen.dimmers.camera.highlights import STEPS
from dimmagen.dimmers.camera.model import CameraModel
from dimmagen.evaluation.dimming_methods import PLAIN, DimmingMethod
from dimmagen.evaluation.plotting import Axes, Figure, mpl
from dimmagen.evaluation.profile_check import FITTED, NOT_CHECKED, HeldOutPair, ProfileCheck
from dimmagen.images.cropping import center_crop
from dimmagen.metrics.realism.noise import LARGEST_RESIDUAL, NoiseStatistics

SHOWN_PAIRS = 3
CROP = 176  # pixels
_SHOWN_LEVEL = 90.0  # mean grey level that the gain brings the dark crops to
_LARGEST_GAIN = 40.0
_CLIPPED_WIDTH = 28  # of the light levels' axis, for the light in clipped areas
_UNSEEN = "fit without it"  # the model of what is held out, which is not quite that of the profile
_REAL, _SYNTHETIC, _LINEAR = "#1c1c1c", "#d1495b", "#8a8a8a"
_CHANNELS = ("#c23b3b", "#2a8a45", "#3367b8")
_RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


@mpl.rc_context(_RC)
def profile_sheet(
    name: str, model: CameraModel, check: ProfileCheck | None, held_out: Sequence[HeldOutPair]
) -> bytes:
    """The sheet of a fitted profile: its curves, and real next to synthetic noise of the held-out pairs.

    Args:
        name: of the profile.
        model: fitted to all pairs.
        check: None if nothing could be measured.
        held_out: from :func:`~dimmagen.evaluation.profile_check.hold_out_pairs`; may be empty.

    Returns:
        A PNG, which depends on the arguments and matplotlib's version only.
    """
    shown = held_out[:SHOWN_PAIRS]
    figure = Figure(figsize=(11, 5.2 + (2.3 if shown else 0)), dpi=100, layout="constrained")
    verdict = f"{check.verdict} {check.advice}" if check else NOT_CHECKED
    title = f"{one_line(name)}\n" + textwrap.fill(verdict, 118)
    figure.suptitle(title, fontsize=11, x=0.01, ha="left", parse_math=False)
    parts: Any = figure.subfigures(2, 1, height_ratios=(4.3, 2.2)) if shown else [figure.subfigures(1, 1)]
    axes = parts[0].subplots(1, 3)
    _draw_response(axes[0], model, held_out)
    _draw_noise(axes[1], model, held_out)
    _draw_residuals(axes[2], held_out)
    if shown:
        _draw_crops(parts[1], shown)
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # letters of a name that the font does not have
        figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def _draw_response(panel: Axes, model: CameraModel, held_out: Sequence[HeldOutPair]) -> None:
    """Mean dark level of each light level: of the model, and of the pairs at the model's mean exposure."""
    middles, spread = np.arange(1.5, 256, 4), np.exp(model.exposure_spread)
    (places, mean), (_, low), (_, high) = (_response(model, factor) for factor in (1.0, 1 / spread, spread))
    panel.fill_between(places, low, high, color=_SYNTHETIC, alpha=0.12, lw=0, label="spread of the scenes")
    for one in held_out:
        panel.plot(
            middles, _smooth(one.result.transfer), color=_REAL, lw=0.8, alpha=0.55, label="a real pair"
        )
    panel.plot(places, mean, color=_SYNTHETIC, lw=2, label="this profile")
    panel.set(title="Response curve", xlabel="light, grey level", ylabel="dark, grey level")
    panel.set(xlim=(0, places[-1]), ylim=(0, None))
    if model.highlights:
        panel.axvspan(255, places[-1], color=_LINEAR, alpha=0.15, lw=0)
        words: dict[str, Any] = {"rotation": 90, "ha": "center", "va": "bottom", "fontsize": 8}
        panel.text(255 + _CLIPPED_WIDTH / 2, 0, " clipped: border to middle", color=_REAL, **words)
    _legend(panel)


def _response(model: CameraModel, brightness: float) -> tuple[np.ndarray, np.ndarray]:
    """Where the curve is drawn, and its dark level, (N,) each: light levels, and steps above the last one."""
    places, levels = np.arange(256.0), model.dark_levels(brightness).mean(0)
    if not model.highlights:
        return places, levels
    steps = np.linspace(255, 255 + _CLIPPED_WIDTH, STEPS)
    return np.append(places, steps), np.append(levels, model.dark_codes(brightness).mean(0)[-STEPS:])


def _draw_noise(panel: Axes, model: CameraModel, held_out: Sequence[HeldOutPair]) -> None:
    """Deviation of the noise over the dark level, by channel, as far as the pairs have such levels."""
    darks = [one.images[1] for one in held_out]
    largest = max(
        (float(np.quantile(dark, 0.995)) for dark in darks), default=float(model.dark_codes().max())
    )
    levels = np.arange(max(12, int(largest) + 1))
    for channel, sigma in enumerate(model.noise_level(np.tile(levels, (3, 1)))):
        panel.plot(levels, sigma, color=_CHANNELS[channel], label=("red", "green", "blue")[channel])
    panel.set(title="Noise against level", xlabel="dark, grey level", ylabel="deviation, grey levels")
    panel.set(ylim=(0, None), xlim=(0, levels[-1]))
    _legend(panel)


def _draw_residuals(panel: Axes, held_out: Sequence[HeldOutPair]) -> None:
    """Histograms of the luma residuals on flat areas: real, synthetic and plain."""
    panel.set(title="Noise on flat areas", xlabel="luma residual, grey levels", ylabel="share of the pixels")
    if not held_out:
        return
    levels = np.arange(-LARGEST_RESIDUAL, LARGEST_RESIDUAL + 1)

    def pooled(noises: Iterator[NoiseStatistics]) -> np.ndarray:
        return np.mean([noise.luma_histogram for noise in noises], axis=0)

    real = pooled(one.result.noise for one in held_out)
    panel.fill_between(levels, real, 1e-6, step="mid", color=_REAL, alpha=0.18, lw=0, label="real")
    for label, colour, style in ((PLAIN, _LINEAR, "--"), (FITTED, _SYNTHETIC, "-")):
        values = pooled(one.result.method(label, "matched").noise for one in held_out)
        shown = _UNSEEN if label == FITTED else label
        panel.plot(levels, values, color=colour, ls=style, lw=1.6, label=shown)
    reach = np.abs(levels[real > 1e-4]).max(initial=4)
    panel.set(yscale="log", ylim=(1e-4, 1), xlim=(-reach, reach))
    _legend(panel)


def _draw_crops(part: Any, held_out: Sequence[HeldOutPair]) -> None:
    """The middle of the pairs with gain: the camera's dark image and that of a fit that did not see it."""
    grid = part.subplots(1, 2 * SHOWN_PAIRS, squeeze=False)[0]
    for panel in grid:
        panel.axis("off")
    for number, one in enumerate(held_out):
        name, dark, light = one.images
        method = DimmingMethod(FITTED, one.dimmer)
        [(_, synthetic)] = method.darken(light, name, float(dark.mean()), 1, 0)
        gain = min(_LARGEST_GAIN, max(1.0, _SHOWN_LEVEL / max(float(dark.mean()), 0.5)))
        titles = (f"{_short(name)}: real, x {gain:.1f}", f"{_UNSEEN}, x {gain:.1f}")
        places = grid[2 * number : 2 * number + 2]
        for panel, image, title in zip(places, (dark, synthetic), titles, strict=True):
            panel.imshow(_with_gain(image, gain), interpolation="nearest")
            panel.set_title(one_line(title), fontsize=8, parse_math=False)


def _with_gain(image: np.ndarray, gain: float) -> np.ndarray:
    """The middle of a uint8 (H, W, 3) image, multiplied and clipped."""
    return np.clip(center_crop(image, CROP) * np.float32(gain), 0, 255).astype(np.uint8)


def _short(name: str) -> str:
    return name if len(name) <= 14 else f"{name[:13]}…"


def _smooth(transfer: np.ndarray) -> np.ndarray:
    """A transfer curve (256,) as means of four levels each, (64,); NaN where none of them occurs."""
    blocks = transfer.reshape(64, 4)
    count = np.isfinite(blocks).sum(1)
    return np.divide(np.nansum(blocks, 1), count, out=np.full(64, np.nan), where=count > 0)


def _legend(panel: Axes) -> None:
    """One entry for each label, without a frame."""
    handles, labels = panel.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    panel.legend(once.values(), once.keys(), frameon=False, fontsize=8)
