"""How far the response that is fitted to three pairs is off in other scenes, by how it is pulled.

The response (curve and black offsets) is fitted to three pairs of LOL's five experiments and of two other
cameras. In each held-out pair only its own exposure and white balance are fitted; the error is that of the
mean dark level of every light level on flat areas, in grey levels.

    python -m benchmarks.response ../shared/data
    python -m benchmarks.response ../shared/data --pulls 0.3,20,80,160 --smoothness 30
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import numpy as np
from scipy.optimize import least_squares

from benchmarks.realism_splits import SPLITS, Split, pairs_of
from dimmagen.dimmers.camera import response_fit
from dimmagen.dimmers.camera.fit import BRIGHTEST, TILES_PER_PAIR
from dimmagen.dimmers.camera.model import toe_level
from dimmagen.dimmers.camera.response import KNOTS, ResponseCurve
from dimmagen.dimmers.camera.response_fit import PairResponses, clipped_mean, fit_response
from dimmagen.dimmers.camera.tiles import Tile, tiles_of
from dimmagen.dimmers.real_pairs import RealPair

CANON, NIKON = "cameras/canon", "cameras/nikon_d2x"
MORE = {
    "canon-c": Split("Canon, pairs 2, 6, 9", CANON, "2 6 9"),
    "canon-d": Split("Canon, pairs 4, 8, 13", CANON, "4 8 13"),
    "nikon-c": Split("Nikon D2x, pairs 5, 11, 17", NIKON, "5 11 17"),
    "nikon-d": Split("Nikon D2x, pairs 4, 10, 16", NIKON, "4 10 16"),
}
SETS = {key: split for key, split in SPLITS.items() if key != "dev15"} | MORE


def tiles(pairs: Sequence[RealPair]) -> list[Tile]:
    return [tile for index, pair in enumerate(pairs) for tile in tiles_of(index, pair, TILES_PER_PAIR)]


def held_out_error(responses: PairResponses, pair: RealPair, brightest: int) -> float:
    """Mean absolute error in one pair, grey levels; its exposure and white balance are fitted."""
    levels = response_fit._level_means(tiles([pair]), 1, brightest)
    curve = ResponseCurve(responses.log_slopes)
    light = curve.log_light(levels.light)

    def errors(unknown: np.ndarray) -> np.ndarray:
        exposure, red, blue = unknown
        level = curve.level(light + exposure + np.array([red, -red - blue, blue])[levels.channel])
        return clipped_mean(level - toe_level(level, responses.toe[levels.channel])) - levels.dark

    def residuals(unknown: np.ndarray) -> np.ndarray:
        return np.concatenate(
            [np.sqrt(levels.weight) * errors(unknown), 3 * unknown[1:], [-3 * unknown[1:].sum()]]
        )

    found = least_squares(residuals, [-3.0, 0.0, 0.0], loss="soft_l1")
    return float(np.average(np.abs(errors(found.x)), weights=levels.weight))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with lol/ and cameras/")
    parser.add_argument("--pulls", default="80", help="of the log-slopes but the last, to compare")
    parser.add_argument(
        "--smoothness", type=float, default=response_fit.SMOOTHNESS, help="default %(default)s"
    )
    parser.add_argument("--sets", default=",".join(SETS), help="default all: %(default)s")
    options = parser.parse_args()
    pulls = [float(pull) for pull in options.pulls.split(",")]
    print("| fitted on |", " | ".join(f"{pull:g}" for pull in pulls), "|")
    print("|---" + "|--:" * len(pulls) + "|")
    for key in options.sets.split(","):
        fitted, held_out = pairs_of(SETS[key], options.data)
        brightest = 255 if key.startswith("e") else BRIGHTEST
        cells = []
        for pull in pulls:
            strengths = np.array([pull] * (KNOTS - 1) + [pull / 20])
            with (
                patch.object(response_fit, "PULL", strengths),
                patch.object(response_fit, "SMOOTHNESS", options.smoothness),
                patch.object(response_fit, "UNPULLED", 0.3 / pull),
            ):
                responses = fit_response(tiles(fitted), len(fitted), brightest)
            cells.append(np.mean([held_out_error(responses, pair, brightest) for pair in held_out]))
        print(f"| {SETS[key].title} |", " | ".join(f"{cell:.2f}" for cell in cells), "|", flush=True)


if __name__ == "__main__":
    main()
