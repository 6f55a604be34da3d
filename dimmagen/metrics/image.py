"""Scores of one image against its ground truth, on 8-bit RGB: see docs/training.md for the protocol.

All take uint8 (H, W, 3) RGB images of equal size and return a float.
"""

from functools import partial

import numpy as np
import torch
from skimage.color import deltaE_cie76, deltaE_ciede2000, rgb2lab
from skimage.metrics import structural_similarity

from dimmagen.core.errors import UsageError
from dimmagen.metrics.base import ImageMetric, MetricFiles, Score
from dimmagen.metrics.lpips import LPIPS, SMALLEST_SIDE, Backbone, load_lpips
from dimmagen.metrics.niqe import BLOCK, PristineModel, niqe

REC601 = np.array([0.299, 0.587, 0.114])


def gray(image: np.ndarray) -> np.ndarray:
    """Rec. 601 luma of a uint8 (H, W, 3) RGB image: float64 (H, W) in [0, 255], not rounded."""
    return image @ REC601


def psnr(output: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal-to-noise ratio over all pixels and channels, dB; infinite for equal images."""
    error = np.mean((output.astype(np.float64) - truth) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


def ssim_rgb(output: np.ndarray, truth: np.ndarray) -> float:
    """Structural similarity (Wang et al., 2004), Gaussian 11x11 of sigma 1.5, mean over the channels."""
    return float(structural_similarity(output, truth, channel_axis=2, **_WANG))


def ssim_gray(output: np.ndarray, truth: np.ndarray) -> float:
    """As :func:`ssim_rgb`, on the Rec. 601 luma."""
    return float(structural_similarity(gray(output), gray(truth), **_WANG))


# As in the paper: the weights of the window sum to 1, and only positions where the whole window fits count.
_WANG = {"data_range": 255, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}


def delta_e76(output: np.ndarray, truth: np.ndarray) -> float:
    """Mean CIE76 colour difference of sRGB images under D65."""
    return float(deltaE_cie76(rgb2lab(truth), rgb2lab(output)).mean())


def delta_e2000(output: np.ndarray, truth: np.ndarray) -> float:
    """Mean CIEDE2000 colour difference of sRGB images under D65."""
    return float(deltaE_ciede2000(rgb2lab(truth), rgb2lab(output)).mean())


def lpips_distance(network: LPIPS, output: np.ndarray, truth: np.ndarray) -> float:
    """LPIPS v0.1 with the network's backbone, on whole images."""
    first, second = (
        torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None].float() / 255
        for image in (output, truth)
    )
    with torch.inference_mode():
        return float(network(first, second)[0])


def scaled_to_mean(output: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The output times the ratio of the mean lumas ('GT-mean'), rounded and clipped: uint8 (H, W, 3)."""
    ratio = gray(truth).mean() / max(gray(output).mean(), 1e-6)
    return np.rint(output * ratio).clip(0, 255).astype(np.uint8)


def _lpips(backbone: Backbone, files: MetricFiles) -> Score:
    return partial(lpips_distance, load_lpips(backbone, files.lpips_weights))


def _niqe(files: MetricFiles) -> Score:
    if files.niqe_model is None:
        raise UsageError(
            "NIQE needs its pristine model",
            'give `niqe_model="niqe_pris_params.npz"`',
            code="missing-argument",
            parameter="niqe_model",
        )
    pristine = PristineModel.load(files.niqe_model)
    return lambda output, truth: niqe(output, pristine)


_SSIM_WINDOW = 11
PSNR = ImageMetric.of("PSNR", psnr)
SSIM_RGB = ImageMetric.of("SSIM RGB", ssim_rgb, digits=4, min_side=_SSIM_WINDOW)
SSIM_GRAY = ImageMetric.of("SSIM gray", ssim_gray, digits=4, min_side=_SSIM_WINDOW)
DELTA_E76 = ImageMetric.of("ΔE 76", delta_e76)
DELTA_E2000 = ImageMetric.of("ΔE 2000", delta_e2000)
LPIPS_ALEX = ImageMetric("LPIPS alex", partial(_lpips, "alex"), digits=4, min_side=SMALLEST_SIDE["alex"])
LPIPS_VGG = ImageMetric("LPIPS vgg", partial(_lpips, "vgg"), digits=4, min_side=SMALLEST_SIDE["vgg"])
NIQE = ImageMetric("NIQE", _niqe, min_side=2 * BLOCK)
