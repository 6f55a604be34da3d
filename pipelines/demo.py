"""`make demo`: a real, reproducible low-light data set from the photos that scikit-image ships.

Runs the four commands that a user would type, then compares the result with the published digests in
`manifests/demo.json`: keys, sources and draws exactly; pixels exactly on the same class of machine (processor
features and library versions), elsewhere within one grey level on at most 1 % of the pixels.
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
    "noise_seed",
    "width",
    "height",
)
PIXEL_STEP = 8  # the published sample of a dark picture is every eighth pixel of every eighth row
LARGEST_SHARE = 0.01
COMMANDS = (
    "dimmagen build-mixhq --source sample",
    "dimmagen dim --profile lol3 --shards out/",
    "dimmagen verify out/",
    "dimmagen inspect out/ --sheet sheet.png",
)


class DemoFailedError(Exception):
    """The demo's output is not what was published."""


def make(folder: Path) -> None:
    """Run the demo's commands in a folder, from scratch.

    Raises:
        subprocess.CalledProcessError: a command failed; it has said why.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for made in ("mixhq", "out"):
        shutil.rmtree(folder / made, ignore_errors=True)
    for command in COMMANDS:
        print(f"\n$ {command}", flush=True)
        subprocess.run([sys.executable, "-m", *command.split()], cwd=folder, check=True)


def rows_of(out: Path) -> list[dict]:
    """The pairs of a data set, a row each, sorted by key; `tar` says in which shard."""
    rows = []
    for shard in sorted((out / "metadata").glob("*.parquet")):
        tar = out / "shards" / f"{shard.stem}.tar"
        rows += [{**row, "tar": tar} for row in pq.read_table(shard).to_pylist()]
    return sorted(rows, key=lambda row: row["key"])


def sampled_pixels(rows: list[dict]) -> np.ndarray:
    """Every eighth pixel of every eighth row of all dark pictures, one after the other: uint8 (N, 3)."""
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
        A sentence: which of the two promises held.

    Raises:
        DemoFailedError: neither did; the message names the pairs.
    """
    published = json.loads(digests.read_text())
    rows = rows_of(out)
    expected = {row["key"]: row for row in published["pairs"]}
    if [row["key"] for row in rows] != sorted(expected):
        raise DemoFailedError(
            f"other keys than published: {sorted({r['key'] for r in rows} ^ set(expected))}"
        )
    for row in rows:
        odd = [name for name in EXACT if row[name] != expected[row["key"]][name]]
        if odd:
            raise DemoFailedError(f"{row['key']}: {', '.join(odd)} differ from what was published")
    hashes = ("light_pixel_sha256", "dark_pixel_sha256")
    changed = [row["key"] for row in rows if any(row[h] != expected[row["key"]][h] for h in hashes)]
    same_class = published["environment"] == environment()
    if not changed:
        where = "the same class of machine" if same_class else "even on another class of machine"
        return f"keys, sources, draws and every pixel are exactly as published ({where})"
    if same_class:
        raise DemoFailedError(
            f"other pixels than published, on the same class of machine: {', '.join(changed)}"
        )
    return _compare_sampled(sampled_pixels(rows), pixels)


def _compare_sampled(made: np.ndarray, pixels: Path) -> str:
    reference = np.asarray(Image.open(pixels).convert("RGB")).reshape(-1, 3)[: len(made)]
    difference = np.abs(made.astype(int) - reference).max(1)
    share = float((difference > 0).mean())
    if difference.max() > 1 or share > LARGEST_SHARE:
        raise DemoFailedError(
            f"{share:.2%} of the pixels differ, by up to {difference.max()} grey levels: on another class of "
            f"machine at most 1 level on {LARGEST_SHARE:.0%} is expected"
        )
    return (
        "keys, sources and draws are exactly as published; pixels, on another class of machine, "
        f"differ by one grey level on {share:.3%} of those sampled"
    )


def publish(out: Path) -> None:
    """Write the digests anew from a finished demo: after a deliberate change of the output only."""
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
        "--publish", action="store_true", help="write manifests/demo.json anew instead of comparing"
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
  mixhq/     light pictures, as shards with a catalog
  out/       dark/light pairs: out/shards/train-00000.tar, a row a pair in out/metadata/
  sheet.png  light | dark | dark with gain

Now with your own photos and your own camera (dimmagen {dimmagen.__version__} is in .venv/bin):
  dimmagen dim --profile lol3 --source ~/Pictures --shards mine/
  dimmagen profile fit --pairs PAIRS --out mycamera   # PAIRS/low/*.png and PAIRS/high/*.png, 3 are enough
  dimmagen dim --profile mycamera --source ~/Pictures --shards mine/""")
    return 0


if __name__ == "__main__":
    sys.exit(main())
