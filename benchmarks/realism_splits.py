"""How true the dimmers are on five splits of LOL, on other scenes of LOL, and on two other cameras.

For each data set the camera model is fitted to three pairs by the code that is installed, and measured on
pairs of other scenes beside the paper's network (`mdn`) and a linear factor with Poisson-Gaussian noise, both
fitted to the same three pairs. Prints a Markdown table for each mode, a row for each data set and dimmer.

    python -m benchmarks.realism_splits ../shared/data
    python -m benchmarks.realism_splits ../shared/data --sets e1,e3 --dimmers camera --draws 1

The folder given with `--keep` keeps the networks of the other cameras, which do not depend on the camera
model.
"""

import argparse
import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from dimmagen.core.environment import environment
from dimmagen.dimmers.camera.fit import fit_camera
from dimmagen.dimmers.closed_form import LinearModel
from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.dimmers.fit import mdn_models
from dimmagen.dimmers.mdn.fit import fit_network
from dimmagen.dimmers.profile import save_profile
from dimmagen.dimmers.real_pairs import RealPair, load_pairs
from dimmagen.evaluation.realism import evaluate_dimmers
from dimmagen.evaluation.realism_results import AGAIN, REAL, Mode
from dimmagen.evaluation.realism_summary import MeasureEstimate, summarise
from dimmagen.evaluation.repeats import find_repeats, measure_repeats
from dimmagen.metrics.realism.noise import flat_area, residual

DIMMERS = ("camera", "mdn", "linear")
TITLES: dict[Mode, str] = {
    "gamma1": "Gamma 1",
    "drawn": "Gamma 1 and a drawn exposure",
    "matched": "Gamma matched to each real mean",
}
COLUMNS = {
    "luma_kl": "KL luma",
    "luma_noise": "luma noise",
    "chroma_noise": "chroma noise",
    "channel_correlation": "channel corr.",
    "histogram_distance": "EMD",
    "chromaticity_error": "colour",
    "auc": "AUC",
    "akld": "AKLD",
    "kld": "KLD",
    "denoiser_gap": "denoised, dB",
}
WHITE_SHARE = 0.894  # variance of the residual x - G_1.5(x) of white noise of variance 1


@dataclass(frozen=True)
class Split:
    """Three pairs to fit to, and those to measure on.

    Attributes:
        title: in the table.
        folder: of the pairs to fit to, below the folder of the data.
        fitted: their names.
        held_out: names of the pairs to measure on; empty for all others of their folder.
        measured_in: folder of these; the same if empty.
        profile: bundled profile with the network that was fitted to the three pairs; fitted here if empty.
    """

    title: str
    folder: str
    fitted: str
    held_out: str = ""
    measured_in: str = ""
    profile: str = ""


LOL = "lol/our485"
# The first three pairs of each experiment of the paper's Table 4, and every second pair of it.
_FITTED = ("2 5 6", "17 18 21", "36 38 39", "50 51 52", "61 62 63")
_SHOWN = ("2 6 10 13", "17 21 25 27", "36 39 42 44", "50 52 54 57", "61 63 67 69")
_NETWORKS = ("lol3", "lol3-e2", "lol3-e3", "lol3-e4", "lol3-e5")
_CANON, _NIKON = "cameras/canon", "cameras/nikon_d2x"


def _experiment(index: int) -> Split:
    others = " ".join(names for other, names in enumerate(_SHOWN) if other != index)
    return Split(f"LOL, experiment {index + 1}", LOL, _FITTED[index], others, profile=_NETWORKS[index])


SPLITS = {
    **{f"e{index + 1}": _experiment(index) for index in range(5)},
    "dev15": Split("LOL, experiment 1, on dev15", LOL, _FITTED[0], "", "lol/dev15", "lol3"),
    "canon-a": Split("Canon, pairs 1, 5, 10", _CANON, "1 5 10"),
    "canon-b": Split("Canon, pairs 3, 7, 12", _CANON, "3 7 12"),
    "nikon-a": Split("Nikon D2x, pairs 1, 7, 13", _NIKON, "1 7 13"),
    "nikon-b": Split("Nikon D2x, pairs 3, 9, 15", _NIKON, "3 9 15"),
}


REPEATS = "repeats"
TITLES_OF_SETS = {**{key: split.title for key, split in SPLITS.items()}, REPEATS: "LOL, scenes shot twice"}


def pairs_of(split: Split, data: Path) -> tuple[list[RealPair], list[RealPair]]:
    """The pairs to fit to and those to measure on; of other cameras than LOL's, names are numbers from 1."""
    names = split.fitted.split()
    if split.folder == LOL:
        fitted = load_pairs(data / split.folder, names)
        measured = load_pairs(data / (split.measured_in or LOL), split.held_out.split() or None)
        return fitted, measured
    pairs = load_pairs(data / split.folder)
    chosen = [int(name) - 1 for name in names]
    return [pairs[i] for i in chosen], [pair for i, pair in enumerate(pairs) if i not in chosen]


def fitted_dimmers(
    key: str, split: Split, pairs: Sequence[RealPair], kinds: Sequence[str], keep: Path
) -> dict[str, ImageDimmer]:
    """A dimmer of each kind, fitted to the pairs."""
    makers = {
        "camera": lambda: ImageDimmer(fit_camera(pairs), "camera", ""),
        "mdn": lambda: network_dimmer(split.profile or keep / f"{key}-mdn", pairs),
        "linear": lambda: ImageDimmer(fit_linear(pairs), "linear", ""),
    }
    return {kind: makers[kind]() for kind in kinds}


def network_dimmer(profile: str | Path, pairs: Sequence[RealPair]) -> ImageDimmer:
    """The paper's network of a bundled profile, or fitted to the pairs and kept in a folder."""
    if isinstance(profile, Path) and not profile.exists():
        models = mdn_models(pairs, fit_network(pairs).network)
        save_profile(profile, models, "mdn", {"made": "for benchmarks.realism_splits"})
    return ImageDimmer.from_profile(str(profile), model="mdn")


def fit_linear(pairs: Sequence[RealPair]) -> LinearModel:
    """One factor, the median over the pairs, and Poisson-Gaussian noise by least squares on flat areas."""
    darkness = float(np.median([pair.dark.mean() / pair.light.mean() for pair in pairs]))
    levels, variances = [], []
    for pair in pairs:
        dark = pair.dark.astype(np.float32)
        squares = residual(dark) ** 2 / WHITE_SHARE
        flat = flat_area(pair.light.astype(np.float32).mean(2))
        bins = np.minimum(dark[flat] / 4, 15).astype(int).ravel()
        counts = np.bincount(bins, minlength=16)
        enough = counts >= 1000
        levels.append((np.bincount(bins, dark[flat].ravel(), 16) / np.maximum(counts, 1))[enough])
        variances.append((np.bincount(bins, squares[flat].ravel(), 16) / np.maximum(counts, 1))[enough])
    shot, read = np.polyfit(np.concatenate(levels), np.concatenate(variances), 1)
    return LinearModel(darkness=darkness, shot=max(float(shot), 0.0), read=float(np.sqrt(max(read, 1e-3))))


def measured(
    key: str, data: Path, kinds: Sequence[str], modes: tuple[Mode, ...], draws: int, workers: int, keep: Path
) -> dict:
    """Every measure of each dimmer and of the real halves on one split, by label and mode."""
    split = SPLITS[key]
    fitted, held_out = pairs_of(split, data)
    dimmers = fitted_dimmers(key, split, fitted, kinds, keep)
    summary = summarise(evaluate_dimmers(dimmers, held_out, draws=draws, workers=workers, modes=modes))
    found = {}
    for label in (*kinds, REAL):
        by_mode = summary[label].items()
        found[label] = {mode: {name: asdict(e) for name, e in one.items()} for mode, one in by_mode}
    return found


def measured_repeats(data: Path, modes: tuple[Mode, ...], workers: int) -> dict:
    """Every measure of the scenes of LOL that were shot twice, each shot against the other."""
    results = measure_repeats(find_repeats(load_pairs(data / LOL)), modes=modes, workers=workers)
    summary = summarise(results)[AGAIN].items()
    return {AGAIN: {mode: {name: asdict(e) for name, e in found.items()} for mode, found in summary}}


def table(results: dict[str, dict], mode: Mode) -> str:
    """The Markdown table of one mode; signed measures as mean / mean of the absolutes."""
    lines = ["| fitted on | dimmer | " + " | ".join(COLUMNS.values()) + " |"]
    lines.append("|---|---" + "|--:" * len(COLUMNS) + "|")
    for key, found in results.items():
        for label, estimates in found.items():
            cells = (_cell(name, estimates[mode].get(name)) for name in COLUMNS)
            title = TITLES_OF_SETS[key] if label == next(iter(found)) else ""
            lines.append(f"| {title} | {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(name: str, found: dict | None) -> str:
    if found is None:
        return "-"
    estimate = MeasureEstimate(**found)
    if name in ("luma_noise", "chroma_noise", "denoiser_gap"):
        return f"{estimate.mean:+.2f} / {estimate.mean_absolute:.2f}"
    return f"{estimate.mean:.2f}" if name == "histogram_distance" else f"{estimate.mean:.3f}"


def commit() -> str:
    """The commit of the code that is measured, with a plus sign if files were changed since."""
    asked = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with lol/ and cameras/")
    parser.add_argument("--sets", default=",".join(TITLES_OF_SETS), help="default all: %(default)s")
    parser.add_argument("--dimmers", default=",".join(DIMMERS), help="default %(default)s")
    parser.add_argument("--modes", default="matched", help="of gamma1, drawn, matched; default %(default)s")
    parser.add_argument("--draws", type=int, default=4, help="default %(default)s")
    parser.add_argument("--workers", type=int, default=1, help="default %(default)s")
    parser.add_argument("--keep", type=Path, default=Path("realism-splits"), help="default %(default)s/")
    parser.add_argument("--json", type=Path, help="write every measure to this file")
    options = parser.parse_args()
    options.keep.mkdir(parents=True, exist_ok=True)
    modes, kinds = options.modes.split(","), options.dimmers.split(",")
    results = {}
    for key in options.sets.split(","):
        print(f"measuring {TITLES_OF_SETS[key]}", flush=True)
        if key == REPEATS:
            results[key] = measured_repeats(options.data, tuple(modes), options.workers)
        else:
            results[key] = measured(
                key, options.data, kinds, tuple(modes), options.draws, options.workers, options.keep
            )
        if options.json:
            options.json.write_text(json.dumps(results, indent=1))
    print(f"\ncommit {commit()}, {options.draws} draws, seed 0; {environment()}")
    for mode in modes:
        print(f"\n### {TITLES[mode]}\n\n{table(results, mode)}")


if __name__ == "__main__":
    main()
