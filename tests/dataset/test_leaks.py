"""The leak check finds changed copies of light images, and nothing in other images."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from simulated_camera import simulated_light
from skimage import data

from dimmagen.dataset import leaks as leaks_module
from dimmagen.dataset.leaks import Leak, find_leaks
from dimmagen.dataset.reader import open_pairs
from dimmagen.generate.pair import PairSettings
from dimmagen.generate.run import Execution, generate_dataset
from dimmagen.images import codec
from dimmagen.sources.light_images import open_light_images
from dimmagen.sources.photo_selection import PhotoSelection
from dimmagen.sources.scene_hash import SAME_SCENE_BITS, cuts_of
from tests.commands import exit_code
from tests.dataset_helpers import build_dimmer


@pytest.fixture
def evaluation(tmp_path):
    folder = tmp_path / "evaluation"
    folder.mkdir()
    Image.fromarray(data.rocket()).save(folder / "rocket.png")
    return folder


def test_a_smaller_and_darker_jpeg_copy_of_a_light_image_is_found(pair_set, evaluation):
    pairs = open_pairs(pair_set)
    row = pairs.row(0)
    assert find_leaks(pairs, [str(evaluation)]) == []
    copy = Image.fromarray(pairs.images(row)[1]).resize((150, 140)).point(lambda level: level * 0.8)
    copy.save(evaluation / "copy.jpg", quality=60)
    leaks = find_leaks(pairs, [str(evaluation)], workers=2)
    assert row["light_key"] == leaks[0].light_key
    assert leaks[0].bits < 40
    assert len({leak.light_key for leak in leaks}) == len(leaks) < 6


def test_every_scene_of_the_data_set_is_a_leak_and_other_scenes_are_not(tmp_path):
    from tests.dataset_helpers import make

    for name, first in (("trained", 0), ("evaluated", 100)):
        (tmp_path / name).mkdir()
        for seed in range(first, first + 4):
            Image.fromarray(simulated_light(seed, 260, 300)).save(tmp_path / name / f"{seed}.png")
    make(tmp_path / "trained", tmp_path / "out")
    pairs = open_pairs(tmp_path / "out")
    assert find_leaks(pairs, [str(tmp_path / "evaluated")]) == []
    assert len(find_leaks(pairs, [str(tmp_path / "trained")])) == 4


@pytest.mark.parametrize(("source", "choices"), [("clic", {}), ("folder", {"resize": 300, "crop": 128})])
def test_scenes_of_which_only_the_middle_was_kept_are_leaks(tmp_path, source, choices):
    photos = tmp_path / "photos"
    photos.mkdir()
    for seed in range(2):
        Image.fromarray(simulated_light(seed, 520, 700)).save(photos / f"{seed}.png")
    lights = open_light_images([f"{source}={photos}"], selection=PhotoSelection(**choices))
    settings = PairSettings(samples_per_shard=3)
    generate_dataset(lights, build_dimmer, str(tmp_path / "out"), settings, Execution("serial"))
    (photos / "1.png").unlink()
    leaks = find_leaks(open_pairs(tmp_path / "out"), [str(photos)])
    assert [(leak.name, leak.bits) for leak in leaks] == [("0.png", 0)]


def test_every_light_image_is_compared_once_and_those_as_near_as_one_scene_are_told(monkeypatch):
    """With a distance that is the grey level of the image; `b` has two variants."""
    levels = {"a": SAME_SCENE_BITS, "b": 3, "c": SAME_SCENE_BITS + 1, "d": 3}
    rows = [
        {
            "light_key": key,
            "source": f"of {key}",
            "name": f"{key}{number}.jpg",
            "transform": f"short{number}",
        }
        for number, key in enumerate("abcdb")
    ]
    data = {key: codec.encode_png(np.full((2, 2, 3), level, np.uint8)) for key, level in levels.items()}
    pairs = SimpleNamespace(
        table=pa.Table.from_pylist(rows),
        whole=lambda indices: map(rows.__getitem__, indices),
        data=lambda row, side: {"light": data}[side][row["light_key"]],
    )
    asked, noted = [], []
    scenes = SimpleNamespace(distance=lambda pixels: int(pixels[0, 0, 0]))
    monkeypatch.setattr(
        leaks_module, "SceneHashes", SimpleNamespace(from_paths=lambda *given: asked.append(given) or scenes)
    )
    found = find_leaks(pairs, ["lol"], on_start=noted.append, on_photo=lambda: noted.append("photo"))
    assert found == [
        Leak("b", "of b", "b1.jpg", 3),
        Leak("d", "of d", "d3.jpg", 3),
        Leak("a", "of a", "a0.jpg", SAME_SCENE_BITS),
    ]
    assert noted == [4, *["photo"] * 4]
    assert asked == [(["lol"], cuts_of(f"short{number}" for number in range(4)))]


def test_parts_that_nobody_could_have_kept_are_no_parts():
    number = "9" * 5000
    assert cuts_of(["short0", "reduce0+crop00", f"crop{number}", "short5+crop0"]) == [("short5",)]


def test_real_lol_scenes_are_leaks_and_other_scenes_are_not(shared_data, tmp_path):
    from tests.dataset_helpers import make

    make(shared_data / "lol/dev15/high", tmp_path / "out")
    pairs = open_pairs(tmp_path / "out")
    assert find_leaks(pairs, [str(shared_data / "lol/our485/high")]) == []
    assert len(find_leaks(pairs, [str(shared_data / "lol/dev15/high")])) == 15


def test_the_command_ends_with_1_and_names_the_light_image(pair_set, evaluation, capsys):
    def run():
        return exit_code("leaks", pair_set, evaluation), capsys.readouterr().out

    assert run() == (0, f"{pair_set} shows no scene of {evaluation}.\n")
    pairs = open_pairs(pair_set)
    Image.fromarray(pairs.images(pairs.row(1))[1]).save(evaluation / "same.png")
    code, output = run()
    assert code == 1
    assert pairs.row(1)["light_key"] in output


def test_the_leaks_are_left_out_as_the_message_says(pair_set, evaluation, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pairs = open_pairs(pair_set)
    Image.fromarray(pairs.images(pairs.row(0))[1]).save(evaluation / "copy.png")

    def run(*words):
        return exit_code(*words), " ".join(capsys.readouterr().err.split())

    code, message = run("leaks", pair_set, evaluation, "--keys", "leaks.txt")
    assert code == 1
    assert f"dimmagen subset {pair_set} --out DIR --without-keys leaks.txt" in message
    assert pairs.row(0)["light_key"] in (tmp_path / "leaks.txt").read_text().splitlines()
    assert run("subset", pair_set, "--out", "clean", "--without-keys", "leaks.txt")[0] == 0
    assert run("leaks", "clean", evaluation)[0] == 0


def test_what_is_wrong_is_told_with_what_to_give(pair_set, evaluation, tmp_path, monkeypatch, capsys):
    """A MixHQ is a source of `dim`, but there is nothing to make pairs from here."""
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("cut").mkdir()
    Path("cut/a.jpg").write_bytes((evaluation / "rocket.png").read_bytes()[:999])
    assert exit_code("build-mixhq", "--source", evaluation, "--out", "mixhq") == 0
    shutil.copytree("mixhq", "bare")
    shutil.rmtree("bare/catalog")
    capsys.readouterr()
    dim = ("dim", "--profile", "linear", "--shards", "out", "--source")
    build = ("build-mixhq", "--out", "other", "--source")
    images = "that dimmagen made, not images: give the images that it was made from\n"
    photos = "that dimmagen made, not photos: give the photos that it was made from, or"
    for words, code, said in (
        (("leaks", "mixhq", evaluation), 1, "mixhq is a MixHQ: light images only"),
        (("leaks", "empty", evaluation), 1, "empty has no manifest.json, so it is not a finished data set"),
        (("leaks", "nowhere", evaluation), 2, "nowhere does not exist: give the folder of a data set"),
        (("leaks", pair_set, "mixhq"), 2, f"mixhq is a MixHQ {images}"),
        (("leaks", pair_set, "mixhq/shards"), 2, f"mixhq/shards is part of a MixHQ {images}"),
        (("leaks", pair_set, "bare"), 2, f"bare is a MixHQ without its catalog {images}"),
        (("leaks", pair_set, pair_set), 2, f"{pair_set} is a data set {images}"),
        (("leaks", pair_set, "empty"), 2, "empty holds no image: give "),
        (("leaks", pair_set, "cut"), 1, "cut: the scene of a.jpg cannot be recognised, because the file "),
        ((*dim, evaluation, "--exclude", "mixhq"), 2, f"mixhq is a MixHQ {images}"),
        ((*dim, evaluation, "--labels", "yolo=mixhq"), 2, "made, not labels: give the folder of the labels"),
        ((*dim, "mixhq/shards"), 2, f"{photos} its own folder, alone, to dimmagen dim"),
        ((*build, "mixhq"), 2, f"{photos} its own folder, alone, to dimmagen dim"),
        ((*build, "bare"), 2, f"{photos} copy it again or finish it with the command that built it"),
    ):
        assert exit_code(*words) == code, words
        assert said in capsys.readouterr().err
