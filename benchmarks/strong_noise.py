"""Simulated pairs of ISO 1600 and 12800: how far the mean dark levels of other scenes are off.

Linear light with shot and read noise is clipped at black and developed by one of two curves. Three pairs are
fitted, with and without the pull towards the standard response. Six other scenes are dimmed to the means of
their dark images; the error is that of the means of eight parts of the pixels, by their lightness.

    python -m benchmarks.strong_noise ../shared/data/lol/high_only
"""

import argparse
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import numpy as np
from PIL import Image
from scipy.optimize import brentq

from dimmagen.dimmers.base import Draw
from dimmagen.dimmers.camera import response_fit
from dimmagen.dimmers.camera.fit import fit_camera
from dimmagen.dimmers.camera.model import CameraModel
from dimmagen.dimmers.real_pairs import RealPair

FITTED, HELD_OUT, EXPOSURE = 3, 6, 0.04
NOISE = {"ISO 1600": (2e-4, 5e-4), "ISO 12800": (1.6e-3, 4e-3)}  # variance of shots for light 1, read noise


def srgb(light: np.ndarray) -> np.ndarray:
    """The transfer function of IEC 61966-2-1."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def contrast(light: np.ndarray) -> np.ndarray:
    """A curve of more contrast, which is not the standard one that the fit expects."""
    value = srgb(light)
    return value**1.25 * (1 + 0.25 * (1 - value))


def photographed(light: np.ndarray, seed: int, curve: Callable, shot: float, read: float) -> np.ndarray:
    """The dark image of a light one: uint8 (H, W, 3) -> uint8 (H, W, 3)."""
    random = np.random.default_rng(seed)
    value = light / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    linear = linear * EXPOSURE * np.exp(0.3 * random.standard_normal())
    linear = linear + np.sqrt(shot * linear + read**2) * random.standard_normal(linear.shape)
    return np.clip(np.rint(255 * curve(np.maximum(linear, 0))), 0, 255).astype(np.uint8)


def errors(model: CameraModel, pair: RealPair, seed: int) -> np.ndarray:
    """Relative errors of the means of eight parts of the pixels, from the darkest: (8,)."""

    def dimmed(log_exposure: float) -> np.ndarray:
        return model.dim(pair.light, Draw(1.0, 1.0, float(np.exp(log_exposure)), seed))

    dark = dimmed(brentq(lambda log: dimmed(log).mean() - pair.dark.mean(), -3, 3, xtol=1e-4))
    lightness = pair.light.mean(2)
    limits = np.quantile(lightness, np.linspace(0, 1, 9))
    parts = [(lightness >= low) & (lightness <= high) for low, high in pairwise(limits)]
    return np.array([dark[part].mean() / max(pair.dark[part].mean(), 1.0) - 1 for part in parts])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("lights", type=Path, help="a folder of well-lit images")
    arguments = parser.parse_args()
    files = sorted(arguments.lights.iterdir())[: FITTED + HELD_OUT]
    lights = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    print("| curve | noise | pulled | mean error | largest of eight parts |\n|---|---|---|--:|--:|")
    for curve in (srgb, contrast):
        for name, noise in NOISE.items():
            darks = [photographed(light, seed, curve, *noise) for seed, light in enumerate(lights)]
            pairs = [RealPair("", dark, light, "", "") for dark, light in zip(darks, lights, strict=True)]
            for pull in (0.0, 1.0):
                with patch.object(response_fit, "PULL", pull * response_fit.PULL):
                    model = fit_camera(pairs[:FITTED])
                found = np.abs([errors(model, pair, seed) for seed, pair in enumerate(pairs[FITTED:])])
                print(
                    f"| {curve.__name__} | {name} | {'yes' if pull else 'no'} | {found.mean():.1%} "
                    f"| {found.max(1).mean():.1%} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
