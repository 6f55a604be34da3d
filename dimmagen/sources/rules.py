"""The selection rules of MixHQ: pure functions from measured facts to a verdict with a reason.

Sizes are from the paper (Dimma, arXiv 2310.09633, the MixHQ paragraph); what the paper leaves open is decided
here and documented in docs/sources-and-rules.md. A changed rule needs a new `RULES_VERSION`, because a MixHQ
must be reproducible.
"""

from dataclasses import dataclass

import numpy as np

RULES_VERSION = 2

COCO_MIN_SIDE = 500
CLIC_SIDE = 512
IMAGENET_SIDES = (550, 1100)
FOLDER_MIN_SIDE = 256
MIN_SIDE = 64
# Mean lightness below which an image is taken for a dark one, in [0, 1]: of 108 ordinary photos (COCO, CLIC,
# ImageNet) the darkest has 0.127, of 39 LOL lights 0.223; 95 % of LOL's dark images are below 0.11.
MIN_LIGHTNESS = 0.12

# A label mask or a drawing: in 219 light images of three cameras, ImageNet, COCO and CLIC at most 0.64 of the
# pixels are like those to the right and below (products on white), and the fewest colours are 2241.
PALETTE_COLOURS = 256
FLAT_SHARE = 0.9
_FLAT_ROWS = 64  # that are measured, evenly spread

WHITE_LEVEL = 240
WHITE_BAND = 0.05
WHITE_BORDER_LIMIT = 0.5


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts that a rule may use.

    Attributes:
        width, height: of the candidate, upright, pixels.
        white_border: see :func:`white_border`, in [0, 1]; None if it has not been measured.
    """

    width: int
    height: int
    white_border: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Accepted, or rejected by a named rule for a readable reason.

    Attributes:
        accepted: whether the candidate becomes a light image.
        rule: name of the rule, lower-case ASCII; empty if accepted.
        reason: one phrase; empty if accepted.
    """

    accepted: bool
    rule: str = ""
    reason: str = ""


ACCEPTED = Verdict(True)


def rejected(rule: str, reason: str) -> Verdict:
    """The verdict of a rule that rejects."""
    return Verdict(False, rule, reason)


def _at_least(facts: Facts, side: int, rule: str) -> Verdict:
    if min(facts.width, facts.height) < side:
        return rejected(rule, f"{facts.width}x{facts.height} is smaller than {side}x{side}")
    return ACCEPTED


def coco(facts: Facts) -> Verdict:
    """COCO 2017 unlabeled: at least 500x500 (paper)."""
    return _at_least(facts, COCO_MIN_SIDE, "coco-min-500")


def clic(facts: Facts) -> Verdict:
    """CLIC: reduced to 512x512 (paper); never enlarged, so the short side must have 512 pixels (ours)."""
    return _at_least(facts, CLIC_SIDE, "clic-min-512")


def imagenet(facts: Facts) -> Verdict:
    """ImageNet-1K validation and test: both sides within 550..1100, no white background (paper)."""
    low, high = IMAGENET_SIDES
    if not (low <= min(facts.width, facts.height) and max(facts.width, facts.height) <= high):
        reason = f"{facts.width}x{facts.height} is not within {low}x{low} to {high}x{high}"
        return rejected("imagenet-size", reason)
    if facts.white_border is not None and facts.white_border >= WHITE_BORDER_LIMIT:
        reason = f"{facts.white_border:.3f} of the border is white, the limit is {WHITE_BORDER_LIMIT}"
        return rejected("white-border", reason)
    return ACCEPTED


def lol(facts: Facts) -> Verdict:
    """LOL, light images of the training split: all of them (paper); the smallest useful side is ours."""
    return _at_least(facts, MIN_SIDE, "min-64")


def inter4k(facts: Facts) -> Verdict:
    """Inter4K: all clips (paper); the frame, reduced to 0.3 of its size, must have useful sides (ours)."""
    return _at_least(facts, MIN_SIDE, "min-64")


def min_lightness(mean: float, limit: float) -> Verdict:
    """Every source: an image that is darker than the limit is not a light image (ours).

    Args:
        mean: of all pixels and channels of the light image, in [0, 1].
        limit: the smallest mean that is accepted; 0 accepts all.
    """
    if mean < limit:
        return rejected("min-lightness", f"its mean lightness of {mean:.3f} is below {limit:g}")
    return ACCEPTED


def folder(facts: Facts) -> Verdict:
    """A folder of images: at least 256x256, the usual crop of trainers (ours)."""
    return _at_least(facts, FOLDER_MIN_SIDE, "folder-min-256")


def palette(colours: int) -> Verdict:
    """Every source: what a palette of 256 colours can hold is not a photo, whatever its mode (ours).

    Args:
        colours: from :func:`flat_colours`.
    """
    if 1 < colours <= PALETTE_COLOURS:
        return rejected("palette", f"has {colours} colours in flat areas, as label masks and drawings have")
    return ACCEPTED


def flat_colours(pixels: np.ndarray) -> int:
    """The number of colours of an image that consists of flat areas; 0 for others, as photos are.

    Args:
        pixels: uint8 (H, W, 3) RGB.
    """
    height, width, _ = pixels.shape
    if min(height, width) < 2:
        return 0
    rows = np.linspace(0, height - 2, min(height - 1, _FLAT_ROWS)).astype(int)
    here = pixels[rows, :-1]
    alike = (here == pixels[rows, 1:]) & (here == pixels[rows + 1, :-1])
    if alike.all(axis=2).mean() < FLAT_SHARE:
        return 0
    red, green, blue = (pixels[..., channel].astype(np.uint32) for channel in range(3))
    return len(np.unique(red << 16 | green << 8 | blue))


def white_border(pixels: np.ndarray) -> float:
    """The share of the image's border band that is near-white.

    The band is 5 % of the shorter side wide, at least one pixel, along all four sides; a pixel is near-white
    if its darkest channel is 240 or more, so that JPEG ringing around an object still counts as white.

    Args:
        pixels: uint8 (H, W, 3) RGB.

    Returns:
        float in [0, 1], rounded to 6 decimals.
    """
    height, width, _ = pixels.shape
    band = max(1, round(min(height, width) * WHITE_BAND))
    inside = np.ones((height, width), bool)
    inside[band : height - band, band : width - band] = False
    return round(float((pixels[inside].min(axis=1) >= WHITE_LEVEL).mean()), 6)
