"""What is measured of a camera, and how a profile stores it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dimmagen.dimmers.camera.response import KNOTS, SIGMA_KNOTS
from dimmagen.dimmers.camera.structure import RADIUS
from dimmagen.dimmers.profile import ModelFiles
from dimmagen.dimmers.stored_model import check_settings, read_tensors

KIND = "camera"
FILE = "camera.safetensors"
TENSORS = {
    "log_slopes": (KNOTS,),
    "log_exposure": (1,),
    "balance": (3,),
    "log_sigma": (3, SIGMA_KNOTS),
    "correlation": (3, 3),
    "spatial": (2,),
    "toe": (3,),
    "skew": (3, SIGMA_KNOTS),
}
# Parts that the profiles of dimmagen 0.1.0 do not have.
LATER_TENSORS = ("toe", "skew")
# Stored if the noise has a long structure, as the setting `structure` says.
STRUCTURE_TENSORS = {"filters": (2, 2, RADIUS + 1), "banding": (2, 2)}
# Lowest and highest values of the settings, which are stored in addition to the tensors.
RANGES = {
    "tail": (0.0, 1e6),
    "chroma_tail": (0.0, 1e6),
    "exposure_spread": (0.0, 10.0),
    "jpeg_quality": (0, 100),
    "gamma_low": (1e-6, 1e6),
    "gamma_high": (1e-6, 1e6),
    "tau": (0.0, 1e6),
    "balance_spread": (0.0, 10.0),
    "tint_spread": (0.0, 10.0),
    "noise_spread": (0.0, 10.0),
    "structure": (False, True),
    "fine_chroma": (0.0, 1.0),
    "headroom": (0.0, 10.0),
    "noise_by_luma": (False, True),
}
HEAVY_TAILS = (2.01, 1e6)  # of tails that are not 0: Student's t of 2 degrees of freedom has no variance
# Settings that profiles lack which were saved before there were such draws: nothing is drawn for them.
SPREADS = ("balance_spread", "tint_spread", "noise_spread")


@dataclass(frozen=True, eq=False)
class CameraFields:
    """The numbers of one camera.

    Attributes:
        log_slopes: float64 (14,), of the response curve, see :class:`.ResponseCurve`.
        log_exposure: ln of the light factor k from the light to the dark image at gamma 1.
        balance: float64 (3,), difference of each channel's ln k from `log_exposure`; sums to 0.
        log_sigma: float64 (3, 12), ln of the noise's standard deviation (grey levels) over the dark level,
            at :func:`.sigma_axis`.
        correlation: float64 (3, 3), between the channels' noise.
        spatial: float64 (2,), side taps of the luma and chroma noise filter [b, 1, b] (both directions);
            0 means white noise.
        filters: float64 (2, 2, 9), [luma | chroma][along rows | along columns][distance]: half of the
            symmetric filter of noise that is correlated further, of any scale; zeros where `spatial` is
            enough, which is 0 otherwise.
        banding: float64 (2, 2), [luma | chroma][rows | columns]: share of the noise's variance that all
            pixels of a row or of a column have in common.
        fine_chroma: share of the light image's fine chroma that its dark image shows, see
            :mod:`dimmagen.dimmers.camera.chroma`; 1 is all of it.
        headroom: ln of the light in the middle of a clipped area of the light image to that of its white,
            see :mod:`dimmagen.dimmers.camera.highlights`; 0 means that clipped light is white.
        noise_by_luma: whether the noise of all channels depends on the level of the pixel's luma, in place
            of each channel's own.
        tail: degrees of freedom of Student's t for the luma noise; 0 means Gaussian.
        exposure_spread: standard deviation of ln(brightness factor) between scenes.
        jpeg_quality: quality of the JPEG as which the dark image is stored; 0 means no compression.
        chroma_tail: as `tail`, for the two chroma axes; None means that of luma.
        toe: float64 (3,), black offset of each channel in grey levels, see :func:`.toe_level`.
        skew: float64 (3, 12), s of the noise z + s (z² - 1) over the dark level, in [-0.5, 0.5]; the skewness
            of the noise is about 6 s.
        balance_spread: of ln of red against blue, and of ln of green, as it is drawn: scale of Student's t
            with four degrees of freedom.
        noise_spread: the same of ln of the noise's level.
        gamma_range, tau: defaults of the draws; tau multiplies the noise, 1 is the measured noise.
    """

    log_slopes: np.ndarray
    log_exposure: float
    balance: np.ndarray
    log_sigma: np.ndarray
    correlation: np.ndarray
    spatial: np.ndarray
    tail: float
    exposure_spread: float
    jpeg_quality: int = 0
    chroma_tail: float | None = None
    toe: np.ndarray = field(default_factory=lambda: np.zeros(3))
    skew: np.ndarray = field(default_factory=lambda: np.zeros((3, SIGMA_KNOTS)))
    balance_spread: tuple[float, float] = (0.0, 0.0)
    noise_spread: float = 0.0
    filters: np.ndarray = field(default_factory=lambda: np.zeros((2, 2, RADIUS + 1)))
    banding: np.ndarray = field(default_factory=lambda: np.zeros((2, 2)))
    fine_chroma: float = 1.0
    headroom: float = 0.0
    noise_by_luma: bool = False
    gamma_range: tuple[float, float] = (0.3, 2.0)
    tau: float = 1.0


def model_files(model: CameraFields) -> ModelFiles:
    """A camera model as a profile stores it."""
    structured = bool(model.filters.any() or model.banding.any())
    shapes = {**TENSORS, **(STRUCTURE_TENSORS if structured else {})}
    tensors = {
        name: np.reshape(getattr(model, name), shape).astype(np.float32) for name, shape in shapes.items()
    }
    settings: dict[str, str | int | float | bool] = {
        "tail": model.tail,
        "chroma_tail": model.tail if model.chroma_tail is None else model.chroma_tail,
        "exposure_spread": model.exposure_spread,
        "jpeg_quality": model.jpeg_quality,
        "gamma_low": model.gamma_range[0],
        "gamma_high": model.gamma_range[1],
        "tau": model.tau,
        "balance_spread": model.balance_spread[0],
        "tint_spread": model.balance_spread[1],
        "noise_spread": model.noise_spread,
    }
    if structured:
        settings["structure"] = True
    if model.fine_chroma < 1.0:
        settings["fine_chroma"] = model.fine_chroma
    if model.headroom:
        settings["headroom"] = model.headroom
    if model.noise_by_luma:
        settings["noise_by_luma"] = True
    return ModelFiles(KIND, {FILE: tensors}, settings)


def read_fields(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """The arguments of :class:`CameraFields` as a profile stores them.

    Args:
        folder: of the profile; one of dimmagen 0.1.0 gives the images that it gave there.
        settings: of the kind `camera` in `profile.json`.

    Raises:
        DimmagenError: a file is missing or damaged, or a setting is outside its range.
    """
    early = "chroma_tail" not in settings
    settings = {**dict.fromkeys(SPREADS, 0.0), **settings}
    absent = {"structure": False, "fine_chroma": 1.0, "headroom": 0.0, "noise_by_luma": False}
    checked = {"chroma_tail": settings.get("tail"), **absent, **settings}
    heavy = {name: HEAVY_TAILS for name in ("tail", "chroma_tail") if checked[name] != 0}
    check_settings(folder, checked, RANGES | heavy)
    shapes = {name: shape for name, shape in TENSORS.items() if not (early and name in LATER_TENSORS)}
    if checked["structure"]:
        shapes |= STRUCTURE_TENSORS
    stored = read_tensors(folder / FILE, shapes)
    tensors = {name: array.astype(np.float64) for name, array in stored.items()}
    return {
        "log_slopes": tensors["log_slopes"],
        "log_exposure": float(tensors["log_exposure"][0]),
        "balance": tensors["balance"],
        "log_sigma": tensors["log_sigma"],
        "correlation": tensors["correlation"],
        "spatial": tensors["spatial"],
        "tail": settings["tail"],
        "exposure_spread": settings["exposure_spread"],
        "jpeg_quality": settings["jpeg_quality"],
        "chroma_tail": settings.get("chroma_tail"),
        "toe": tensors.get("toe", np.zeros(3)),
        "skew": tensors.get("skew", np.zeros((3, SIGMA_KNOTS))),
        "balance_spread": (settings["balance_spread"], settings["tint_spread"]),
        "noise_spread": settings["noise_spread"],
        "filters": tensors.get("filters", np.zeros((2, 2, RADIUS + 1))),
        "banding": tensors.get("banding", np.zeros((2, 2))),
        "fine_chroma": checked["fine_chroma"],
        "headroom": checked["headroom"],
        "noise_by_luma": checked["noise_by_luma"],
        "gamma_range": (settings["gamma_low"], settings["gamma_high"]),
        "tau": settings["tau"],
    }
