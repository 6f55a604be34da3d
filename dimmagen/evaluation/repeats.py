"""Scenes that a camera shot twice: how far it is from itself by every measure of the realism suite.

A second shot of a scene differs from the first as the result of an ideal dimmer would: in its noise, and a
little in exposure and white balance. So it is a better floor than the two halves of one image.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from dimmagen.core.errors import UsageError
from dimmagen.dimmers.pair_alignment import shift_between
from dimmagen.dimmers.pair_problems import MIN_SIDE_TO_ALIGN, SHIFT_TOLERANCE
from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.evaluation.pair_comparison import measure_each, measured_part, patches_of
from dimmagen.evaluation.realism_results import AGAIN, MODES, Mode, PairResult, floor_results
from dimmagen.metrics.realism.measures import Measured, Reference, measure

# Of 15 scenes of LOL that were shot again, the means differ by at most 2 %, and the correlation of the dark
# images is at least 0.99; of the other images of one scene, the means differ by half or more.
LARGEST_DIFFERENCE = 0.1  # of the means of the dark images, as the log of their ratio
LEAST_CORRELATION = 0.97  # of reduced images, dark and light
_REDUCED = (36, 24)  # pixels


@dataclass(frozen=True, slots=True)
class Repeat:
    """Two pairs of one scene, with dark images of one exposure."""

    first: RealPair
    second: RealPair

    @property
    def name(self) -> str:
        """Both names, as in "9 and 10"."""
        return f"{self.first.name} and {self.second.name}"


def find_repeats(pairs: Sequence[RealPair]) -> list[Repeat]:
    """Find the scenes that were shot twice, by their images.

    Two pairs show one scene if their light images are the same file, or look alike and are not shifted; and
    with one exposure if their dark images look alike and are equally bright, to 10 %. Names do not matter.

    Args:
        pairs: checked pairs of one camera, among them those of the repeated scenes.

    Returns:
        In the order of the first pair; each pair is part of one repeat at most.
    """
    reduced = [(_reduced(pair.light), _reduced(pair.dark)) for pair in pairs]
    found: list[Repeat] = []
    taken: set[int] = set()
    for one, first in enumerate(pairs):
        for two in range(one + 1, len(pairs)):
            if {one, two} & taken:
                continue
            alike = [float(np.mean(a * b)) for a, b in zip(reduced[one], reduced[two], strict=True)]
            if min(alike) >= LEAST_CORRELATION and _is_repeat(first, pairs[two]):
                found.append(Repeat(first, pairs[two]))
                taken |= {one, two}
    return found


def measure_repeats(
    repeats: Sequence[Repeat], *, workers: int = 1, modes: tuple[Mode, ...] = MODES
) -> list[PairResult]:
    """Measure each of two shots against the other.

    Args:
        repeats: at least two, from :func:`find_repeats`.
        workers: number of processes; the numbers do not depend on it.
        modes: to report the values in; they are the same in all.

    Returns:
        One result for each scene, whose only method is `AGAIN`.

    Raises:
        UsageError: fewer than two repeats, too few for the two-sample test.
    """
    if len(repeats) < 2:
        raise UsageError(
            f"there {'is one scene' if repeats else 'is no scene'} that was shot twice with one exposure",
            "give pairs among which at least two scenes occur twice, equally dark",
            code="too-small",
            repeats=[one.name for one in repeats],
        )
    return list(measure_each(RepeatComparison(modes), repeats, min(workers, len(repeats))))


@dataclass(frozen=True, slots=True)
class RepeatComparison:
    """Measures the second shot of a scene against the first, and the first against the second."""

    modes: tuple[Mode, ...]

    def __call__(self, repeat: Repeat) -> PairResult:
        (_, dark, light), (_, again, again_light) = map(measured_part, (repeat.first, repeat.second))
        reference, reverse = Reference(dark, light), Reference(again, again_light)
        other = Measured(again, reference)
        values = [measure(reference, other), measure(reverse, Measured(dark, reverse))]
        features = (patches_of(dark, light), patches_of(again, light))
        return PairResult(
            repeat.name,
            reference.counts,
            reference.real.transfer,
            reference.real.noise,
            floor_results(AGAIN, self.modes, values, other, features),
            {},
        )


def _reduced(image: np.ndarray) -> np.ndarray:
    """Standardised luma of an image, reduced to a few pixels: uint8 (H, W, 3) -> float (24, 36)."""
    small = Image.fromarray(image).convert("RGB").resize(_REDUCED, Image.Resampling.BOX)
    luma = np.asarray(small, np.float32).mean(2)
    return (luma - luma.mean()) / max(float(luma.std()), 1e-3)


def _is_repeat(first: RealPair, second: RealPair) -> bool:
    """Whether two pairs that look alike are two shots of one scene with one exposure."""
    if first.dark.shape != second.dark.shape or first.dark_sha256 == second.dark_sha256:
        return False
    ratio = max(float(second.dark.mean()), 1e-3) / max(float(first.dark.mean()), 1e-3)
    if abs(np.log(ratio)) > LARGEST_DIFFERENCE:
        return False
    if first.light_sha256 == second.light_sha256 or min(first.light.shape[:2]) < MIN_SIDE_TO_ALIGN:
        return True
    rows, columns, _ = shift_between(second.light, first.light)
    return max(abs(rows), abs(columns)) <= SHIFT_TOLERANCE
