"""`make demo`: a reproducible low-light data set from the photos that scikit-image ships.

Runs the four commands that a user would type, then compares the result with the published digests in
`manifests/demo.json`. Keys, sources and draws must be equal. Pixels must be equal on the same class of
machine (processor features and library versions); elsewhere at most 1 % of the pixels may differ, by one
grey level.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

import dimmagen
from dimmagen.core.environment import environment
from dimmagen.dataset.manifest import Manifest
from dimmagen.dataset.schema import WHITE_BALANCE
from dimmagen.images.codec import decode_rgb8

ROOT = Path(__file__).resolve().parents[1]
DIGESTS = ROOT / "manifests" / "demo.json"
PIXELS = ROOT / "manifests" / "demo-pixels.png"
EXACT = (
    "key",
    "source",
    "name",
    "source_sha256",
    "gamma",
    "tau",
    "exposure",
    *WHITE_BALANCE,
    "noise_seed",
    "width",
    "height",
)
PIXEL_STEP = 8  # the published sample of a dark image is every eighth pixel of every eighth row
MAX_SHARE = 0.01  # of pixels that may differ on another class of machine
COMMANDS = (
    "dimmagen build-mixhq --source sample",
    "dimmagen dim --profile lol3 --shards out/",
    "dimmagen verify out/",
    "dimmagen inspect out/ --sheet sheet.png",
)


class DemoFailedError(Exception):
    """The demo's output differs from what was published."""


def make(folder: Path) -> None:
    """Run the demo's commands in a folder, from scratch.

    Raises:
        subprocess.CalledProcessError: a command failed and has printed the reason.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("mixhq", "out"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for command in COMMANDS:
        print(f"\n$ {command}", flush=True)
        subprocess.run([sys.executable, "-m", *command.split()], cwd=folder, check=True)


def rows_of(out: Path) -> list[dict]:
    """One row per pair of a data set, sorted by key; `tar` is the path of its shard."""
    rows = []
    for shard in sorted((out / "metadata").glob("*.parquet")):
        tar = out / "shards" / f"{shard.stem}.tar"
        rows += [{**row, "tar": tar} for row in pq.read_table(shard).to_pylist()]
    return sorted(rows, key=lambda row: row["key"])


def sampled_pixels(rows: list[dict]) -> np.ndarray:
    """Every eighth pixel of every eighth row of all dark images, one after another: uint8 (N, 3)."""
    samples = []
    for row in rows:
        with row["tar"].open("rb") as tar:
            tar.seek(row["dark_offset"])
            pixels, _ = decode_rgb8(tar.read(row["dark_size"]))
        samples.append(pixels[::PIXEL_STEP, ::PIXEL_STEP].reshape(-1, 3))
    return np.concatenate(samples)


def compare(out: Path, digests: Path = DIGESTS, pixels: Path = PIXELS) -> str:
    """Compare the demo's output with the published digests.

    Returns:
        A sentence that says which of the two guarantees holds.

    Raises:
        DemoFailedError: neither holds; the message names the pairs.
    """
    published = json.loads(digests.read_text())
    rows = rows_of(out)
    expected = {row["key"]: row for row in published["pairs"]}
    if [row["key"] for row in rows] != sorted(expected):
        raise DemoFailedError(
            f"the keys differ from those published: {sorted({r['key'] for r in rows} ^ set(expected))}"
        )
    for row in rows:
        different = [name for name in EXACT if row[name] != expected[row["key"]][name]]
        if different:
            raise DemoFailedError(f"{row['key']}: {', '.join(different)} differ from what was published")
    hashes = ("light_pixel_sha256", "dark_pixel_sha256")
    changed = [row["key"] for row in rows if any(row[h] != expected[row["key"]][h] for h in hashes)]
    same_class = published["environment"] == environment()
    if not changed:
        where = "the same class of machine" if same_class else "even on another class of machine"
        return f"keys, sources, draws and every pixel are exactly as published ({where})"
    if same_class:
        raise DemoFailedError(
            f"the pixels differ from those published, on the same class of machine: {', '.join(changed)}"
        )
    return _compare_sampled(sampled_pixels(rows), pixels)


def _compare_sampled(made: np.ndarray, pixels: Path) -> str:
    reference = np.asarray(Image.open(pixels).convert("RGB")).reshape(-1, 3)[: len(made)]
    difference = np.abs(made.astype(int) - reference).max(1)
    share = float((difference > 0).mean())
    if difference.max() > 1 or share > MAX_SHARE:
        raise DemoFailedError(
            f"{share:.2%} of the pixels differ, by up to {difference.max()} grey levels: on another class of "
            f"machine at most {MAX_SHARE:.0%} may differ, by one grey level"
        )
    return (
        "keys, sources and draws are exactly as published; pixels, on another class of machine, "
        f"differ by one grey level on {share:.3%} of those sampled"
    )


def publish(out: Path) -> None:
    """Write new digests from a finished demo; only after a deliberate change of the output."""
    rows = rows_of(out)
    keep = (*EXACT, "light_pixel_sha256", "dark_pixel_sha256")
    content = {
        "made_by": list(COMMANDS),
        "settings": Manifest.load(str(out)).settings,
        "environment": environment(),
        "pairs": [{name: row[name] for name in keep} for row in rows],
    }
    DIGESTS.write_text(json.dumps(content, indent=1) + "\n")
    sample = sampled_pixels(rows)
    padded = np.zeros((-(-len(sample) // 256) * 256, 3), np.uint8)
    padded[: len(sample)] = sample
    Image.fromarray(padded.reshape(-1, 256, 3)).save(PIXELS, optimize=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--into", type=Path, default=ROOT / "demo", help="folder of the demo (default: demo/)"
    )
    parser.add_argument(
        "--publish", action="store_true", help="write a new manifests/demo.json before comparing"
    )
    options = parser.parse_args()
    try:
        make(options.into)
        if options.publish:
            publish(options.into / "out")
        verdict = compare(options.into / "out")
    except subprocess.CalledProcessError as error:
        return error.returncode
    except DemoFailedError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    print(f"\nChecked against manifests/demo.json: {verdict}.")
    print(f"""
Made in {options.into}:
  mixhq/     light images, as shards with a catalog
  out/       dark/light pairs: out/shards/train-00000.tar, with one row per pair in out/metadata/
  sheet.png  light | dark | dark with gain

Next, with your own photos and your own camera (dimmagen {dimmagen.__version__} is in .venv/bin):
  dimmagen dim --profile lol3 --source ~/Pictures --shards mine/
  dimmagen profile fit --pairs PAIRS --out mycamera   # PAIRS/low/*.png and PAIRS/high/*.png; 3 are enough
  dimmagen dim --profile mycamera --source ~/Pictures --shards mine/""")
    return 0


if __name__ == "__main__":
    sys.exit(main())
