"""Pairs that do not fit together, or to which nothing can be fitted: found and named."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dimmagen.core.errors import UsageError
from dimmagen.dimmers.pair_alignment import PairDetail, shift_of, turn_of
from dimmagen.dimmers.pair_colours import EXCHANGED, colour_agreement
from dimmagen.dimmers.pair_likeness import agree_in_place
from dimmagen.dimmers.real_pairs import RealPair, refuse_unknown_pairs

_LOG = logging.getLogger(__name__)

SHIFT_TOLERANCE = 0.5  # pixels; LOL's own pairs are shifted by at most 0.9, all but a few by at most 0.3
MAX_SHIFT = 2.0  # pixels; beyond it the noise of a fit is that of edges which do not meet
# Error of the alignment, 0 to 1: of 87 real pairs of three cameras the worst has 0.67; of other scenes,
# mirrored and turned images the best has 0.84.
MAX_STRUCTURE_ERROR = 0.75
MIN_SIDE_TO_ALIGN = 128  # pixels; smaller images have too little structure to distinguish a shift from noise
MIN_SIDE = 32  # pixels; noise is measured in blocks of 16, of which there have to be several
# Grey level that the brightest thousandth of a light image reaches: 178 and more in 87 real pairs. A file of
# 16 bits that holds 12 or 14 reaches 15 or 63.
_LEAST_WHITE = 64
SATURATED_SHARE = 0.25  # of the light image at full scale, where the colour is lost
BLACK_SHARE = 0.5  # of the dark image that is exactly black
_ALIKE = 0.05  # difference of the brightnesses, as a share, below which none is the dark one
# Blocks of pixels in which the dark image is brighter by so many grey levels: none in 497 real pairs. At 5 %
# of the area (a caption, a lamp that is lit in one image) the response curve follows them.
_BRIGHTER_BY, _BLOCK = 16, 8
_SOME_BRIGHTER, _MUCH_BRIGHTER = 0.005, 0.02  # shares of the area: told, and fitted to only on request
_MAX_WARNINGS = 5


@dataclass(frozen=True, slots=True)
class PairProblem:
    """A problem of one pair.

    Attributes:
        name: of the pair.
        problem: `size`, `small`, `identical`, `alike`, `swapped`, `repeated`, `camera`, `shifted`, `turned`,
            `unrelated`, `hidden`, `channels`, `brighter`, `gray`, `dim` or `saturated`.
        detail: the end of the sentence "pair NAME ...".
        fatal: whether the pair cannot be fitted.
        mismatched: whether the two images are probably not a pair, one that is there already, or one without
            colours: a profile is fitted to it only on request. Other problems are reported and recorded.
    """

    name: str
    problem: str
    detail: str
    fatal: bool
    mismatched: bool = False

    def __str__(self) -> str:
        return f"pair {self.name} {self.detail}"


def check_pairs(pairs: Sequence[RealPair]) -> list[PairProblem]:
    """Find pairs that do not fit together, and name them.

    Fatal problems are different sizes, sides below MIN_SIDE, identical images, and swapped images (the dark
    one is brighter). Other problems are two images of one brightness, the two files of an earlier pair under
    another name, another camera than that of most pairs, a shift of more than SHIFT_TOLERANCE pixels, no or
    little common structure (for images of at least MIN_SIDE_TO_ALIGN), a turn or another scale by which the
    corners are more than MAX_SHIFT pixels apart (from twice that side on), red and blue exchanged in one
    image, areas in which the dark image is the brighter one, an image without colours, a light image that is
    dark, and images so saturated or black that little can be learned from them.
    """
    first: dict[tuple[str, str], str] = {}
    findings = []
    cameras = Counter(pair.camera for pair in pairs if pair.camera).most_common(1)
    for pair in pairs:
        findings += _check(pair)
        if pair.camera and pair.camera != cameras[0][0]:
            text = f"is of the camera {pair.camera}, others are of {cameras[0][0]}: a profile is one camera's"
            findings.append(PairProblem(pair.name, "camera", text, fatal=False))
        files = (pair.dark_sha256, pair.light_sha256)
        if all(files) and files in first:
            text = f"has the two files of pair {first[files]}: it would count twice, and be checked on itself"
            findings.append(PairProblem(pair.name, "repeated", text, fatal=False, mismatched=True))
        first.setdefault(files, pair.name)
    return findings


def refuse_unsuitable_pairs(findings: Sequence[PairProblem]) -> None:
    """Raise a UsageError that names every pair with a fatal problem, if there is one."""
    fatal = [str(finding) for finding in findings if finding.fatal]
    if fatal:
        raise UsageError(
            "; ".join(fatal), "correct these pairs, or exclude them with `names`", code="unsuitable-pairs"
        )


def refuse_mismatched_pairs(findings: Sequence[PairProblem], keep: Sequence[str] = ()) -> None:
    """Raise a UsageError that names every pair whose images probably do not belong together.

    One such pair among five triples the noise of the fitted camera.

    Args:
        findings: from :func:`check_pairs`.
        keep: names of pairs to accept all the same.
    """
    wrong = [finding for finding in findings if finding.mismatched and finding.name not in keep]
    if wrong:
        names = list(dict.fromkeys(finding.name for finding in wrong))
        copies = {finding.name for finding in wrong if finding.problem == "repeated"}
        others = ",".join(name for name in names if name not in copies)
        todo = ["remove the copies"] if copies else []  # held out, a copy would be checked on itself
        if others:
            todo.append(f'leave {"the others" if copies else "them"} out with `hold_out="{others}"`')
        raise UsageError(
            "; ".join(map(str, wrong)),
            f'{", ".join(todo)}, or accept them with `keep="{",".join(names)}"`',
            code="unsuitable-pairs",
            names=names,
        )


def check_pairs_for_fit(pairs: Sequence[RealPair], keep: Sequence[str] = ()) -> list[PairProblem]:
    """Check pairs to which a profile is to be fitted.

    Args:
        pairs: to check.
        keep: names of pairs to accept although their images do not seem to belong together.

    Returns:
        The problems in spite of which they can be used.

    Raises:
        UsageError: naming every pair that cannot be used; or there is no pair of a name in `keep`.
    """
    refuse_unknown_pairs(pairs, keep, "keep")
    problems = check_pairs(pairs)
    refuse_unsuitable_pairs(problems)
    refuse_mismatched_pairs(problems, keep)
    return problems


def accept_pairs(pairs: Sequence[RealPair]) -> None:
    """Refuse unsuitable pairs, and warn of those whose images probably do not belong together.

    A score or a training run of such a pair says nothing, but a benchmark has the pairs that it has. Sides
    below MIN_SIDE do not matter here, where no noise is measured.

    Raises:
        UsageError: as :func:`refuse_unsuitable_pairs`.
    """
    findings = [finding for finding in check_pairs(pairs) if finding.problem != "small"]
    refuse_unsuitable_pairs(findings)
    wrong = [finding for finding in findings if finding.mismatched]
    for finding in wrong[:_MAX_WARNINGS]:
        _LOG.warning("%s", finding)
    if len(wrong) > _MAX_WARNINGS:
        _LOG.warning("%d more pairs do not fit together", len(wrong) - _MAX_WARNINGS)


def _check(pair: RealPair) -> list[PairProblem]:
    dark, light = pair.dark, pair.light
    if dark.shape != light.shape:
        sizes = f"{dark.shape[1]}x{dark.shape[0]}, light {light.shape[1]}x{light.shape[0]}"
        on_side = "; one of them lies on its side" if dark.shape[:2] == light.shape[1::-1] else ""
        return [PairProblem(pair.name, "size", f"differs in size: dark {sizes}{on_side}", fatal=True)]
    if np.array_equal(dark, light):
        text = (
            "is the same picture twice" if light.any() else "is black twice (files of 16 bits that hold 8?)"
        )
        return [PairProblem(pair.name, "identical", text, fatal=True)]
    dark_mean, light_mean = float(dark.mean()), float(light.mean())
    is_darker, means = dark_mean < light_mean, f"dark has mean {dark_mean:.0f}, light {light_mean:.0f}"
    findings = []
    if abs(light_mean - dark_mean) < _ALIKE * light_mean:
        text = f"has two images of one brightness ({means}): one is a copy of the other, or equally exposed"
        findings = [PairProblem(pair.name, "alike", text, fatal=not is_darker, mismatched=True)]
    elif not is_darker:
        findings = [PairProblem(pair.name, "swapped", f"seems to be swapped: {means}", fatal=True)]
    if not is_darker:
        return findings
    if min(dark.shape[:2]) < MIN_SIDE:
        text = f"is too small: {dark.shape[1]}x{dark.shape[0]}, with sides below {MIN_SIDE}"
        return [PairProblem(pair.name, "small", text, fatal=True)]

    if min(dark.shape[:2]) >= MIN_SIDE_TO_ALIGN:
        findings += _differences(pair)
        if (white := float(np.quantile(light.max(axis=2), 0.999))) < _LEAST_WHITE:
            text = f"has no light image: it reaches {white:.0f} of 255 (a file of 16 bits that holds fewer?)"
            findings.append(PairProblem(pair.name, "dim", text, fatal=False, mismatched=True))
    if gray := [side for side, image in (("dark", dark), ("light", light)) if _is_gray(image)]:
        text = f"has no colours ({' and '.join(gray)}): it shows neither their noise nor their balance"
        findings.append(PairProblem(pair.name, "gray", text, fatal=False, mismatched=True))
    clipped, black = float((light.min(axis=2) >= 250).mean()), float((dark.max(axis=2) == 0).mean())
    if clipped > SATURATED_SHARE or black > BLACK_SHARE:
        text = f"is saturated: {clipped:.0%} of the light picture white, {black:.0%} of the dark one black"
        findings.append(PairProblem(pair.name, "saturated", text, fatal=False))
    return findings


def _is_gray(image: np.ndarray) -> bool:
    """Whether all channels are equal: a gray file, or an infrared image of a surveillance camera."""
    if not np.any(image != image[0, 0]):
        return False  # one colour, which is all that can be said of it
    return np.array_equal(image[..., 0], image[..., 1]) and np.array_equal(image[..., 1], image[..., 2])


def _differences(pair: RealPair) -> list[PairProblem]:
    detail = PairDetail.of(pair.dark, pair.light)
    rows, columns, error = shift_of(detail)
    shift = max(abs(rows), abs(columns))
    findings = []
    if error > MAX_STRUCTURE_ERROR:
        if not agree_in_place(detail):
            text = "has no structure in common: two scenes, or nothing in the picture"
            for position, turned in (
                ("upside down", pair.dark[::-1, ::-1]),
                ("mirrored", pair.dark[:, ::-1]),
                ("flipped top to bottom", pair.dark[::-1]),
            ):
                if shift_of(PairDetail.of(turned, pair.light))[2] <= MAX_STRUCTURE_ERROR:
                    text = f"does not lie on itself: one of its images is {position}"
                    break
            return [PairProblem(pair.name, "unrelated", text, fatal=False, mismatched=True)]
        text = "shows little of the light picture in the dark one: it is very noisy, or something moved"
        findings.append(PairProblem(pair.name, "hidden", text, fatal=False))
    if shift > SHIFT_TOLERANCE:
        text = f"is shifted by {rows:+.2f} rows and {columns:+.2f} columns (tolerance {SHIFT_TOLERANCE})"
        findings.append(PairProblem(pair.name, "shifted", text, False, mismatched=shift > MAX_SHIFT))
    turn = turn_of(detail, MIN_SIDE_TO_ALIGN, MAX_STRUCTURE_ERROR)
    if turn and turn.corner > MAX_SHIFT:
        text = (
            f"is turned by {turn.degrees:.2f} degrees and {turn.scale:.3f} times as large: its corners are "
            f"{turn.corner:.1f} pixels off"
        )
        findings.append(PairProblem(pair.name, "turned", text, fatal=False, mismatched=True))
    agreement = colour_agreement(pair.dark, pair.light)
    if agreement is not None and agreement < EXCHANGED:
        text = "has red and blue exchanged in one of its images: OpenCV's order, BGR, was saved as RGB"
        findings.append(PairProblem(pair.name, "channels", text, fatal=False, mismatched=True))
    brighter = _brighter_share(pair.dark, pair.light)
    if brighter >= _SOME_BRIGHTER:
        text = (
            f"has a dark image that is brighter than the light one in {brighter:.1%} of its area: a lamp was "
            "lit, something moved, or one image has a caption"
        )
        findings.append(
            PairProblem(pair.name, "brighter", text, fatal=False, mismatched=brighter >= _MUCH_BRIGHTER)
        )
    return findings


def _brighter_share(dark: np.ndarray, light: np.ndarray) -> float:
    """The share of the area in which the dark image is clearly brighter, by blocks of pixels."""
    rows, columns = dark.shape[0] // _BLOCK, dark.shape[1] // _BLOCK
    shape = rows, _BLOCK, columns, _BLOCK
    of_dark, of_light = (
        image[: rows * _BLOCK, : columns * _BLOCK].sum(axis=2, dtype=np.int32).reshape(shape).sum(axis=(1, 3))
        for image in (dark, light)
    )
    return float((of_dark - of_light > 3 * _BLOCK**2 * _BRIGHTER_BY).mean())
