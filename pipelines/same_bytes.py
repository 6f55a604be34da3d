"""`make same-bytes BASE=main~1`: prove that a change of the code moved no byte of any output.

    python -m pipelines.same_bytes BASE [--keep FOLDER]

Makes a set of each kind twice, with the code of the commit BASE and with the code of the working tree
(uncommitted changes count), from photos that scikit-image ships and from pairs and clips that are derived
from them, and compares every file. In addition, the working tree continues runs that BASE began. Takes about
five minutes on two cores; the bundled profiles and the installed libraries are used, nothing is downloaded.

The commands must be valid in both commits. An option that was renamed between them is therefore written here
by its old name, which keeps working for at least one minor version (CHANGELOG.md).
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import av
import numpy as np
from PIL import Image
from skimage import data

from benchmarks.compare import worktree
from dimmagen.core.storage import size_and_sha256
from dimmagen.dataset.compare import assert_same_dataset

ROOT = Path(__file__).resolve().parents[1]

_DIM = "dim --source mixhq --executor serial --samples-per-shard 4"
_SHORT = "--crop 64 --batch 2 --perceptual none --device cpu"
LAYOUTS = (
    "lol-v1",
    "lol-v2",
    "retinexformer",
    "basicsr",
    "basicsr-lmdb",
    "llformer",
    "mirnet",
    "retinexnet-syn",
    "unpaired-ab",
    "single-jpg",
    "filelist",
)
# A layout without validation pairs; a reader whose validation pictures must have one size.
_HELD_OUT = {"single-jpg": "", "mirnet": "--validation 1"}
SETS: dict[str, str] = {
    "mixhq": "build-mixhq --source sample --source inter4k={inputs}/clips --samples-per-shard 3 --out mixhq",
    "camera": f"{_DIM} --profile lol3 --variants 3 --shards camera",
    "ray": "dim --source mixhq --profile lol3 --variants 3 --samples-per-shard 4 --workers 2 --shards ray",
    "photos": "dim --source sample --profile lol5 --executor serial --shards photos",
    "mdn": f"{_DIM} --profile lol3 --model mdn --shards mdn",
    "reference": f"{_DIM} --profile lol3 --model mdn --compat reference --shards reference",
    "deterministic": f"{_DIM} --profile lol3 --model deterministic --shards deterministic",
    "linear": f"{_DIM} --profile linear --shards linear",
    "gamma": f"{_DIM} --profile gamma --shards gamma",
    "lid": f"{_DIM} --profile lid --shards lid",
    "ladder": f"{_DIM} --profile lol5 --ladder 0.3,1,2 --shards ladder",
    "webp": f"{_DIM} --profile lol8 --image-format webp --shards webp",
    "without": f"{_DIM} --profile lol3 --without tails --without spatial --shards without",
    "clip": f"{_DIM} --profile lol480 --group-by clip --shards clip",
    "subset": "subset camera --to subset --gamma 0.5:1.5",
    "merge": "merge camera linear --to merge",
    **{
        f"export-{name}": f"export camera --layout {name} {held_out} --to export-{name}"
        for name, held_out in {**dict.fromkeys(LAYOUTS, "--validation 2"), **_HELD_OUT}.items()
    },
    "profile": "profile fit --pairs {inputs}/pairs --out ./profile",
    "train": f"train --shards camera --validation-photos 2 --iterations 4 {_SHORT} --out train",
    "finetune": f"finetune --from train --pairs {{inputs}}/pairs --iterations 3 {_SHORT} --out finetune",
    "evaluate": "evaluate --from train --pairs {inputs}/pairs --device cpu --json evaluate.json",
    "enhance": "enhance --from train --device cpu {inputs}/pairs/low/coffee.png --out enhance",
}
"""Name of a set -> the command that makes it, with `{inputs}` for :func:`make_inputs`."""

# LMDB's own lock file holds process ids.
_NOT_COMPARED = frozenset({"lock.mdb"})


class NotTheSameError(Exception):
    """The two commits cannot be compared, or one of them failed."""


def make_inputs(folder: Path) -> Path:
    """Write the photos, pairs and clips that both commits read; independent of dimmagen's code.

    Returns:
        The folder: `pairs/low` and `pairs/high` with three PNG pairs each, `clips/pan.mp4` with ten frames.
    """
    generator = np.random.default_rng(0)
    for name, photo in {"coffee": data.coffee(), "cat": data.chelsea(), "face": data.astronaut()}.items():
        light = np.ascontiguousarray(photo[:256, :256])
        dark = light * 0.08 + generator.normal(0, 1.5, light.shape)
        for side, pixels in (("high", light), ("low", np.clip(np.rint(dark), 0, 255).astype(np.uint8))):
            (folder / "pairs" / side).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / "pairs" / side / f"{name}.png")
    (folder / "clips").mkdir()
    with av.open(str(folder / "clips" / "pan.mp4"), "w") as clip:
        stream = clip.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 384, 384, "yuv420p"
        for shift in range(10):
            pixels = np.ascontiguousarray(data.astronaut()[:384, 4 * shift : 4 * shift + 384])
            clip.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        clip.mux(stream.encode(None))
    return folder


def make_sets(tree: Path, folder: Path, inputs: Path, sets: Mapping[str, str] = SETS) -> None:
    """Make the sets in `folder` with the code in `tree`.

    Raises:
        NotTheSameError: other code than the tree's was loaded, or a command failed.
    """
    folder.mkdir(parents=True)
    loaded = _output([sys.executable, "-c", "import dimmagen; print(dimmagen.__file__)"], tree, folder)
    if Path(loaded.strip()).resolve().parents[1] != tree.resolve():
        raise NotTheSameError(f"{loaded.strip()} was loaded instead of the code in {tree}")
    for name, command in sets.items():
        start = time.monotonic()
        _output(_words(command, inputs), tree, folder)
        print(f"  {name:24s} {time.monotonic() - start:5.1f} s", flush=True)


def continue_runs(base: Path, head: Path, folder: Path, inputs: Path) -> None:
    """Continue with `head` what `base` made in part, and make it whole with `base`, all in `folder`.

    `grown` was complete with one variant and gets two more, `resumed` was killed after its first shard;
    both must equal `whole`.
    """
    _output(_words(SETS["mixhq"], inputs), base, folder)
    whole = f"{_DIM} --profile lol3 --variants 3 --samples-per-shard 1 --shards"
    for name in ("whole", "grown", "resumed"):
        (folder / name).mkdir()
    _output(_words(f"{whole} whole/out", inputs), base, folder)
    _output(_words(f"{whole} grown/out --variants 1", inputs), base, folder)
    _kill_after_a_shard(_words(f"{whole} resumed/out", inputs), base, folder, folder / "resumed" / "out")
    for name in ("grown", "resumed"):
        _output(_words(f"{whole} {name}/out", inputs), head, folder)


def differences(base: Path, head: Path) -> Iterator[str]:
    """One line for each file in which two folders differ, and for each data set what differs first."""
    files, others = _hashes(base), _hashes(head)
    for name in sorted(files.keys() | others.keys()):
        if name not in others:
            yield f"{name} is missing now"
        elif name not in files:
            yield f"{name} is new"
        elif files[name] != others[name]:
            yield f"{name} has other bytes"
    for name in _pair_sets(files) & _pair_sets(others):
        try:
            assert_same_dataset(base / name, head / name)
        except AssertionError as error:
            yield str(error)


def count_files(folder: Path) -> int:
    """How many files of a folder are compared."""
    return len(_hashes(folder))


def _words(command: str, inputs: Path) -> list[str]:
    words = [word.format(inputs=inputs) for word in shlex.split(command)]
    return [sys.executable, "-m", "dimmagen", *words]


def _environment(tree: Path, folder: Path) -> dict[str, str]:
    ours = {"PYTHONPATH": str(tree), "DIMMAGEN_PROFILES": str(folder / "profiles")}
    return {**os.environ, **ours, "GIT_DIR": os.devnull}  # a network records no commit: the two have others


def _output(words: list[str], tree: Path, folder: Path) -> str:
    done = subprocess.run(
        words,
        cwd=folder,
        env=_environment(tree, folder),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        raise NotTheSameError(f"{shlex.join(words)} failed in {tree}:\n{done.stderr or done.stdout}")
    return done.stdout


def _kill_after_a_shard(words: list[str], tree: Path, folder: Path, out: Path) -> None:
    """Run a command and kill it once it has noted its first shard (or let it end, if it is that fast)."""
    quiet = subprocess.DEVNULL
    run = subprocess.Popen(
        words, cwd=folder, env=_environment(tree, folder), stdin=quiet, stdout=quiet, stderr=quiet
    )
    while run.poll() is None and not any((out / ".dimmagen" / "records").glob("*.json")):
        time.sleep(0.005)
    run.kill()
    run.wait()


def _hashes(folder: Path) -> dict[str, tuple[int, str]]:
    """Relative name -> size and SHA-256 of every file below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in _NOT_COMPARED)
    return {path.relative_to(folder).as_posix(): size_and_sha256(str(path)) for path in files}


def _pair_sets(names: Iterable[str]) -> set[str]:
    """The folders among these files that are finished data sets of pairs."""
    listed = set(names)
    manifests = {name.removesuffix("/manifest.json") for name in listed if name.endswith("/manifest.json")}
    return {name for name in manifests if f"{name}/shards/train-00000.tar" in listed}


def compare(base: Path, head: Path, folder: Path) -> tuple[list[str], int]:
    """Make everything with two trees below `folder`: what differs, and how many files were compared."""
    inputs = make_inputs(folder / "inputs")
    for name, tree in (("base", base), ("head", head)):
        print(f"{name}: {tree}", flush=True)
        make_sets(tree, folder / name, inputs)
    print("runs that base began and head continues", flush=True)
    (folder / "continued").mkdir()
    continue_runs(base, head, folder / "continued", inputs)
    found = [*differences(folder / "base", folder / "head")]
    count = count_files(folder / "base")
    for name in ("grown", "resumed"):
        whole, continued = folder / "continued" / "whole", folder / "continued" / name
        found += [f"{name}: {line}" for line in differences(whole, continued)]
        count += count_files(whole)
    return found, count


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("base", help="commit to compare the working tree with")
    parser.add_argument("--keep", type=Path, help="new folder that keeps everything that is made")
    options = parser.parse_args()
    made = options.keep or Path(tempfile.mkdtemp(prefix="dimmagen-same-bytes-"))
    try:
        with worktree(ROOT, options.base) as base:
            found, count = compare(base, ROOT, made.resolve())
    except (NotTheSameError, RuntimeError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    finally:
        if not options.keep:
            shutil.rmtree(made, ignore_errors=True)
    if found:
        print("\n".join(["", *found]))
        print(f"\n{len(found)} differences between {options.base} and the working tree.")
        return 1
    print(f"\nNo byte moved: {count} files are the same with {options.base} and with the working tree.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
