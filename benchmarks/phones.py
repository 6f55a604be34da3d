"""Simulated phones: how well the camera model follows noise that is correlated far, held-out pairs.

A phone's picture is made of a well-lit one: Bayer mosaic, shot and read noise, bilinear demosaicing,
denoising of chroma and a little of luma, JPEG. Prints the autocorrelation of the residuals of a wide blur at
lags 1 to 4, real and synthetic, and the realism suite's measures, with and without long filters.

    python -m benchmarks.phones ../shared/data/lol/high_only
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import convolve, gaussian_filter

from dimmagen.dimmers.camera.fit import fit_camera
from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.dimmers.jpeg import through_jpeg
from dimmagen.dimmers.jpeg_traces import former_jpeg_quality
from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.evaluation.realism import evaluate_dimmers
from dimmagen.evaluation.realism_summary import summarise
from dimmagen.metrics.realism import noise

FITTED, HELD_OUT = 3, 9
LUMA = np.array([0.299, 0.587, 0.114])
RED_BLUE = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4
GREEN = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4
MEASURES = ("auc", "luma_kl", "luma_noise", "chroma_noise", "luma_lags", "chroma_lags")


@dataclass(frozen=True)
class Phone:
    """A simulated phone: blur of chroma and of half of luma in pixels, quality of JPEG, files' format."""

    chroma: float
    luma: float
    quality: int
    file_format: str


PHONES = {
    "JPEG": Phone(2.0, 1.0, 90, "JPEG"),
    "strong denoising, its JPEGs stored as PNG": Phone(3.0, 1.4, 90, "PNG"),
}


def photographed(light: np.ndarray, seed: int, phone: Phone) -> np.ndarray:
    """The dark picture of a light one: uint8 (H, W, 3) -> uint8 (H, W, 3)."""
    random = np.random.default_rng(seed)
    exposure = 0.06 * np.exp(0.3 * random.standard_normal())
    linear = (light / 255.0) ** 2.2 * exposure
    filters = np.zeros((3, *linear.shape[:2]))
    filters[0, ::2, ::2] = filters[2, 1::2, 1::2] = filters[1, ::2, 1::2] = filters[1, 1::2, ::2] = 1
    mosaic = (filters * np.moveaxis(linear, 2, 0)).sum(0)
    mosaic += np.sqrt(0.016 * exposure * mosaic + 0.004**2) * random.standard_normal(mosaic.shape)
    kernels = RED_BLUE, GREEN, RED_BLUE
    channels = [convolve(one * mosaic, k, mode="mirror") for one, k in zip(filters, kernels, strict=True)]
    developed = 255 * np.sqrt(np.maximum(np.stack(channels, 2) + 0.003, 0.0))
    luma = developed @ LUMA
    chroma = gaussian_filter(developed - luma[..., None], (phone.chroma, phone.chroma, 0))
    luma = (luma + gaussian_filter(luma, phone.luma)) / 2
    return through_jpeg(np.clip(np.rint(luma[..., None] + chroma), 0, 255).astype(np.uint8), phone.quality)


def pair_of(name: str, dark: np.ndarray, light: np.ndarray, phone: Phone) -> RealPair:
    """As the pair is read from files."""
    if phone.file_format == "JPEG":
        return RealPair(name, dark, light, "", "", phone.quality)
    former = former_jpeg_quality(dark)
    return RealPair(name, dark, light, "", "", former, was_jpeg=former > 0)


def wide_lags(image: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Autocorrelation of luma and chroma at lags 1 to 4, mean of both directions: (2, 4)."""
    area = noise.noise_area(light.astype(np.float32))
    residual = image - gaussian_filter(image.astype(np.float32), (5, 5, 0))
    luma = residual.mean(2, keepdims=True)
    return np.array(
        [[noise._flat_lag(part, area, lag) for lag in range(1, 5)] for part in (luma, residual - luma)]
    )


def report(name: str, phone: Phone, lights: list[np.ndarray]) -> None:
    darks = [photographed(light, 100 + i, phone) for i, light in enumerate(lights)]
    pairs = [pair_of(f"{i:02}", *images, phone) for i, images in enumerate(zip(darks, lights, strict=True))]
    model = fit_camera(pairs[:FITTED])
    near = replace(model, filters=np.zeros_like(model.filters), banding=np.zeros_like(model.banding))
    dimmers = {"long filters": ImageDimmer(model, "", ""), "white": ImageDimmer(near, "", "")}
    held_out = pairs[FITTED:]
    print(name)
    print("  real", np.mean([wide_lags(pair.dark, pair.light) for pair in held_out], 0).round(2).tolist())
    summary = summarise(evaluate_dimmers(dimmers, held_out, draws=1))
    for label, dimmer in dimmers.items():
        darks = [dimmer.dim(pair.light, dimmer.draw(pair.name)) for pair in held_out]
        lags = [wide_lags(dark, pair.light) for dark, pair in zip(darks, held_out, strict=True)]
        print(f"  {label}", np.mean(lags, 0).round(2).tolist())
        print("   ", {measure: round(summary[label]["matched"][measure].mean, 3) for measure in MEASURES})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("lights", type=Path, help="a folder of well-lit pictures")
    files = sorted(parser.parse_args().lights.iterdir())[: 2 * (FITTED + HELD_OUT) : 2]
    lights = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    for name, phone in PHONES.items():
        report(name, phone, lights)


if __name__ == "__main__":
    main()
