"""What each part of the camera model is worth: the model without it, on pairs of other scenes.

Fits the camera model, with the code that is installed, to three pairs of each experiment of the paper's
Table 4, and measures it on 16 pairs of the other experiments, gamma matched; no evaluation set is used.
Prints a Markdown table with a row for each part, and one with a row for each part and experiment.

    python -m benchmarks.camera_ablation ../shared/data
    python -m benchmarks.camera_ablation ../shared/data --sets e1 --parts toe,skew
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.realism_splits import SPLITS, commit, pairs_of
from dimmagen.core.environment import environment
from dimmagen.dimmers.camera.fit import fit_camera
from dimmagen.dimmers.camera.model import PARTS
from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.evaluation.realism import evaluate_dimmers
from dimmagen.evaluation.realism_summary import RealismSummary, summarise

WHOLE = "all parts"
COLUMNS = {
    "auc": "AUC",
    "histogram_distance": "EMD",
    "transfer_shape": "curve",
    "chromaticity_error": "colour",
    "luma_noise": "luma noise",
    "chroma_noise": "chroma noise",
    "luma_curve": "luma by intensity",
    "luma_kl": "KL luma",
    "chroma_kl": "KL chroma",
    "shape_kl": "KL shape",
    "channel_correlation": "channel corr.",
    "luma_lags": "luma lags",
    "akld": "AKLD",
    "denoiser_gap": "denoised, dB",
}
Row = dict[str, float]


def measured(key: str, data: Path, parts: Sequence[str], draws: int, workers: int) -> dict[str, Row]:
    """Each measure of the model with all parts and without each, with gamma matched.

    Signed measures are means of the absolutes.
    """
    fitted, held_out = pairs_of(SPLITS[key], data)
    model = fit_camera(fitted)
    variants = {WHOLE: model, **{f"without {part}": model.switched_off(part) for part in parts}}
    dimmers = {label: ImageDimmer(variant, label, "") for label, variant in variants.items()}
    summary = summarise(evaluate_dimmers(dimmers, held_out, draws=draws, workers=workers, modes=("matched",)))
    return {label: _row(summary, label) for label in dimmers}


def _row(summary: RealismSummary, label: str) -> Row:
    return {name: summary[label]["matched"][name].mean_absolute for name in COLUMNS}


def table(rows: Iterable[tuple[str, Row]]) -> str:
    """The Markdown table of (title, numbers)."""
    lines = ["| | " + " | ".join(COLUMNS.values()) + " |", "|---" + "|--:" * len(COLUMNS) + "|"]
    for title, row in rows:
        lines.append(f"| {title} | " + " | ".join(f"{row[name]:.3f}" for name in COLUMNS) + " |")
    return "\n".join(lines)


def mean(rows: Sequence[Row]) -> Row:
    """The mean of each measure."""
    return {name: float(np.mean([row[name] for row in rows])) for name in COLUMNS}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with lol/ and cameras/")
    parser.add_argument("--sets", default="e1,e2,e3,e4,e5", help="of benchmarks.realism_splits")
    parser.add_argument("--parts", default=",".join(PARTS), help="default %(default)s")
    parser.add_argument("--draws", type=int, default=1, help="default %(default)s")
    parser.add_argument("--workers", type=int, default=1, help="default %(default)s")
    parser.add_argument("--json", type=Path, help="write every number to this file, after each set")
    options = parser.parse_args()
    runs: dict[str, dict[str, Row]] = {}
    for key in options.sets.split(","):
        print(f"measuring {SPLITS[key].title}", flush=True)
        runs[key] = measured(key, options.data, options.parts.split(","), options.draws, options.workers)
        if options.json:
            options.json.write_text(json.dumps(runs, indent=1))
    print(f"\ncommit {commit()}, gamma matched, {options.draws} draws, seed 0; {environment()}\n")
    labels = list(next(iter(runs.values())))
    print(table((label, mean([run[label] for run in runs.values()])) for label in labels))
    print()
    titled = ((f"{SPLITS[key].title}, {label}", run[label]) for key, run in runs.items() for label in labels)
    print(table(titled))


if __name__ == "__main__":
    main()
