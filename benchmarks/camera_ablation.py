"""What each part of the camera model is worth: leave-one-out on held-out scenes of the fitting pairs.

Fits the five 3-pair splits of the paper's Table 4 and measures each on pairs of the other splits' scenes, so
that nothing is tuned to an evaluation set. Writes a Markdown table.

    python benchmarks/camera_ablation.py ../shared/data/lol/our485 --out benchmarks/camera-ablation.md
"""

import argparse
from pathlib import Path

import numpy as np

from dimmagen.core.environment import environment
from dimmagen.dimmers.camera.fit import fit_camera
from dimmagen.dimmers.camera.model import PARTS
from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.dimmers.real_pairs import load_pairs
from dimmagen.evaluation.realism import evaluate
from dimmagen.evaluation.realism_summary import per_pair

SPLITS = ("2 5 6", "17 18 21", "36 38 39", "50 51 52", "61 62 63")
HELD_OUT = ("9", "24", "42", "57", "67")  # a scene of each split's block that no split was fitted on
MEASURES = (
    "auc",
    "histogram_distance",
    "transfer_error",
    "chromaticity_error",
    "luma_noise",
    "chroma_noise",
    "luma_curve",
    "luma_kl",
    "shape_kl",
    "channel_correlation",
)


def measured(split: str, folder: Path) -> dict[str, dict[str, float]]:
    """Mean of each measure's absolute over the held-out pairs, with gamma matched, for each variant."""
    model = fit_camera(load_pairs(folder, split.split()))
    variants = {"all parts": model, **{f"without {part}": model.switched_off(part) for part in PARTS}}
    dimmers = {label: ImageDimmer(variant, label, "") for label, variant in variants.items()}
    results = evaluate(dimmers, load_pairs(folder, HELD_OUT), draws=1)
    return {
        label: {name: float(np.abs(per_pair(results, label, "matched")[name]).mean()) for name in MEASURES}
        for label in dimmers
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    runs = [measured(split, options.pairs) for split in SPLITS]
    lines = ["| variant | " + " | ".join(MEASURES) + " |", "|---" * (len(MEASURES) + 1) + "|"]
    for label in runs[0]:
        cells = [f"{np.mean([run[label][name] for run in runs]):.3f}" for name in MEASURES]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    options.out.write_text("\n".join(lines) + f"\n\n{environment()}\n")
    print(options.out.read_text())


if __name__ == "__main__":
    main()
