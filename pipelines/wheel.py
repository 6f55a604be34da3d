"""`make test-wheel`: the package as users install it runs what the README says.

Builds a wheel from the files that a release holds, installs it into a new virtual environment (with the
versions of constraints.txt), and runs every `dimmagen` line of the README's shell blocks in an empty folder
outside the repository. Photos, pairs and archives that the README only names are made from photos that
scikit-image ships.
"""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import av
import numpy as np
from PIL import Image
from skimage import data

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = "Scripts" if os.name == "nt" else "bin"
RELEASED = ("pyproject.toml", "README.md", "LICENSE")
NEEDED = (
    "dimmagen/py.typed",
    "dimmagen/cli/completion.json",
    "dimmagen/dataset/report.html",
    "dimmagen/dimmers/bundled/lol3/profile.json",
)
# Run after the commands of a block: what the README says between the blocks, and what needs data files.
MORE = (
    (
        "dimmagen --version",
        "dimmagen profile list",
        "dimmagen inspect out/ --html report.html",
        "python -c 'import dimmagen; print(len(dimmagen.PairDataset(\"out\")))'",
        "dimmagen train --data out/ --out run/ --perceptual none --iterations 1 --validation-photos 1",
    ),
    ("dimmagen profile evaluate lol3 --pairs my-phone/ --html report.html",),
    (),
    (
        "dimmagen dim --profile lol3 --source paper-mixhq/ --variants 4 --workers 2 --samples-per-shard 40 "
        "--shards paper-pairs/",
    ),
)


class WheelError(Exception):
    """The wheel lacks a file, or a command failed."""


def readme_commands(text: str) -> list[list[str]]:
    """The `dimmagen` command lines of each shell block of a README that has any, without comments."""
    blocks = []
    for block in re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        lines = block.replace("\\\n", " ").splitlines()
        if commands := [line.partition(" #")[0].strip() for line in lines if line.startswith("dimmagen ")]:
            blocks.append([" ".join(command.split()) for command in commands])
    return blocks


def make_inputs(folder: Path) -> None:
    """Write what the README's commands read into a folder, and a home folder with `Pictures` inside it."""
    photos = {"coffee": data.coffee(), "cat": data.chelsea(), "face": data.astronaut()}
    large = {
        f"{name}.jpg": Image.fromarray(photo[:300, :300]).resize((600, 600)) for name, photo in photos.items()
    }
    generator = np.random.default_rng(0)
    for name, light in large.items():
        pixels = np.asarray(light) * 0.08 + generator.normal(0, 1.5, (600, 600, 3))
        dark = Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
        _save(dark, folder / "my-phone" / "low" / name)
        _save(light, folder / "my-phone" / "high" / name)
        _save(light, folder / "home" / "Pictures" / name)
        _save(light, folder / "train2017" / name)
        _save(light, folder / "LOLdataset" / "our485" / "high" / name)
    _save(Image.fromarray(data.rocket()), folder / "LOLdataset" / "eval15" / "high" / "rocket.jpg")
    saved = sorted((folder / "my-phone" / "high").iterdir())
    for archive in ("unlabeled2017.zip", "CLIC.zip"):
        with zipfile.ZipFile(folder / archive, "w") as packed:
            for path in saved:
                packed.write(path, path.name)
    with tarfile.open(folder / "ILSVRC2012_img_val.tar", "w") as plain:
        for path in saved:
            plain.add(path, path.name)
    (folder / "Inter4K").mkdir()
    with av.open(str(folder / "Inter4K" / "1.mp4"), "w") as clip:
        stream = clip.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 512, 512, "yuv420p"
        for _ in range(5):
            clip.mux(stream.encode(av.VideoFrame.from_ndarray(data.astronaut(), format="rgb24")))
        clip.mux(stream.encode(None))


def _save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=95)


def build(folder: Path) -> Path:
    """Build the wheel in a copy of the sources, where nothing of an earlier build lies.

    Raises:
        WheelError: a needed file is missing, or it holds something else than the package.
    """
    sources = folder / "sources"
    shutil.copytree(ROOT / "dimmagen", sources / "dimmagen", ignore=shutil.ignore_patterns("__pycache__"))
    for name in RELEASED:
        shutil.copy(ROOT / name, sources)
    _run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(sources)], folder)
    (wheel,) = folder.glob("dimmagen-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    if missing := [name for name in NEEDED if name not in names]:
        raise WheelError(f"{wheel.name} lacks {', '.join(missing)}")
    if foreign := [name for name in names if not re.match(r"dimmagen(-[^/]+\.dist-info)?/", name)]:
        raise WheelError(f"{wheel.name} holds {', '.join(foreign)}")
    return wheel


def install(wheel: Path, folder: Path) -> Path:
    """A new virtual environment with the wheel and its dependencies: the folder of its commands."""
    _run([sys.executable, "-m", "venv", str(folder / "venv")], folder)
    scripts = folder / "venv" / SCRIPTS
    words = ["-m", "pip", "install", "-q", "--constraint", str(ROOT / "constraints.txt"), f"{wheel}[video]"]
    _run([str(scripts / "python"), *words], folder)
    return scripts


def run_readme(scripts: Path, folder: Path) -> int:
    """Run the README's commands with an installed package, each block in a folder of its own.

    Returns:
        How many commands were run.

    Raises:
        WheelError: one failed.
    """
    blocks = readme_commands((ROOT / "README.md").read_text(encoding="utf-8"))
    blocks = [[*block, *more] for block, more in zip(blocks, MORE, strict=True)]
    for number, block in enumerate(blocks):
        place = folder / f"block-{number}"
        place.mkdir()
        make_inputs(place)
        hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
        environment = {name: value for name, value in os.environ.items() if name not in hidden}
        environment["DIMMAGEN_PROFILES"] = str(place / "profiles")
        for command in block:
            print(f"$ {command}", flush=True)
            name, *words = shlex.split(command.replace("~/", f"{(place / 'home').as_posix()}/"))
            _run([str(scripts / name), *words], place, environment)
    return sum(map(len, blocks))


def _run(words: list[str], folder: Path, environment: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise WheelError(f"{shlex.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dimmagen-wheel-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        try:
            wheel = build(folder)
            print(f"built {wheel.name}, {wheel.stat().st_size / 1e6:.1f} MB", flush=True)
            count = run_readme(install(wheel, folder), folder)
        except WheelError as error:
            print(f"Error: {error}", file=sys.stderr)
            return 1
    print(f"\nAll {count} commands ran with the installed wheel.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
