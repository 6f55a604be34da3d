"""What the commands of the documentation read, made small, under the names that the pages use."""

import csv
import shutil
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from PIL import Image

from tests.labelled_photos import write_labelled_photos
from tests.made_clips import write_clips
from tests.made_weights import write_published_dimmer
from tests.simulated_camera import SimulatedCamera, simulated_light

HEIGHT, WIDTH = 256, 288  # the smallest photos that are accepted, and a little
PAIR = 160, 192  # height and width of pairs, which are fitted and trained on
_light = cache(simulated_light)


def write_inputs(folder: Path) -> None:
    """Write all of them into a folder; the home folder of its user is `home` inside it."""
    home = folder / "home"
    _write_photos(folder / "photos", range(10, 14))
    _write_photos(folder / "more-photos", range(14, 16))
    (folder / "takedown.txt").write_text("11.png\n")
    _write_photos(home / "Pictures", range(20, 26))
    (home / "code").mkdir()
    for name in ("coco", "imagenet", "clic", "high_only", "my-test"):
        _write_photos(folder / name, (len(name),), 640, 640)
    for name in ("my-phone", "my-camera", "held-out", "LOL/eval15"):
        _write_pairs(folder / name / "low", folder / name / "high", ("desk", "shelf", "door"))
    for number, names in enumerate((("desk", "shelf"), ("desk-again", "shelf-again"))):
        _write_pairs(folder / "LOL/our485/low", folder / "LOL/our485/high", names, shot=number)
    lol2 = folder / "LOL-v2/Real_captured"
    _write_pairs(lol2 / "Low", lol2 / "Normal", (f"{number:05}" for number in (1, 2, 3)), ("low", "normal"))
    _write_pairs(folder / "SID/short", folder / "SID/long", ("00001", "00002"), ends=("_00_0.1s", "_00_10s"))
    with open(folder / "pairs.csv", "w", newline="") as stream:
        rows = [
            (f"my-phone/low/{name}.png", f"my-phone/high/{name}.png") for name in ("desk", "shelf", "door")
        ]
        csv.writer(stream).writerows([("dark", "light"), *rows])
    _save(_light(1, HEIGHT, WIDTH) // 8, folder / "night.jpg")
    write_published_dimmer(folder / "dimmers/3shot")
    _write_sources_of_mixhq(folder)
    _write_labelled(folder)


def _write_photos(folder: Path, seeds: Iterable[int], height: int = HEIGHT, width: int = WIDTH) -> None:
    for seed in seeds:
        _save(_light(seed, height, width), folder / f"{seed}.png")


def _write_pairs(
    dark: Path,
    light: Path,
    names: Iterable[str],
    starts: tuple[str, str] = ("", ""),
    ends: tuple[str, str] = ("", ""),
    shot: int = 0,
) -> None:
    for seed, name in enumerate(names):
        picture = _light(seed, *PAIR)
        _save(SimulatedCamera().shoot(picture, seed + 100 * shot), dark / f"{starts[0]}{name}{ends[0]}.png")
        _save(picture, light / f"{starts[1]}{name}{ends[1]}.png")


def _write_sources_of_mixhq(folder: Path) -> None:
    photos = folder / "coco"
    shutil.make_archive(str(folder / "unlabeled2017"), "zip", photos)
    shutil.make_archive(str(folder / "CLIC"), "zip", photos)
    shutil.make_archive(str(folder / "ILSVRC2012_img_val"), "tar", photos)
    write_clips(folder / "Inter4K")
    _write_photos(folder / "LOLdataset/our485/high", (60,), 400, 600)
    _write_photos(folder / "LOLdataset/eval15/high", (61,), 400, 600)


def _write_labelled(folder: Path) -> None:
    made = folder / "labelled"
    made.mkdir()
    write_labelled_photos(made)
    (folder / "annotations").mkdir()
    shutil.move(made / "photos", folder / "train2017")
    shutil.move(made / "instances.json", folder / "annotations/instances_train2017.json")


def _save(picture, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)
