"""enhance, as a user types it."""

import threading
from pathlib import Path

import pytest
from PIL import Image, ImageCms

from dimmagen.cli.progress import Progress
from dimmagen.enhance.checkpoints import load_tensors
from dimmagen.enhance.enhancer import Enhancer, TrainingCrops, crops_of_header
from dimmagen.enhance.inputs import mean_lightness
from dimmagen.enhance.lightness import lightness_of_header
from dimmagen.enhance.onnx_model import OnnxReport
from dimmagen.enhance.run_folder import RunFolder
from dimmagen.images.codec import decode_rgb8
from tests.commands import exit_code

NETWORK = ("--network", "network")


def image(path):
    return decode_rgb8(Path(path).read_bytes())[0]


def test_a_lightness_of_its_own_choosing(run, place, tmp_path):
    words = ["enhance", "pairs/low", "--network", "network", "--lightness", "auto"]
    code, _, err = run(*words, "--out", tmp_path / "own")
    assert code == 0, err
    assert {file.name for file in (tmp_path / "own").iterdir()} == {"0.png", "1.png", "2.png"}
    own = lightness_of_header(load_tensors(place / "network" / "best.safetensors").header)
    chosen = own.choose(image("pairs/low/0.png"))
    run("enhance", "pairs/low/0.png", *NETWORK, "--lightness", chosen, "--out", tmp_path / "same")
    assert (tmp_path / "same" / "0.png").read_bytes() == (tmp_path / "own" / "0.png").read_bytes()
    code, _out, _ = run(*words, "--lightness", 0.3, "--out", tmp_path / "both")
    assert {"0-auto.png", "0-0.30.png", "0-ladder.png"} <= {f.name for f in (tmp_path / "both").iterdir()}


def test_a_network_that_learnt_no_lightness_takes_the_fixed_one_and_says_so(run, place, tmp_path):
    saved = load_tensors(place / "network" / "best.safetensors")
    header = {name: value for name, value in saved.header.items() if name in ("model", "iteration", "psnr")}
    RunFolder(tmp_path).save("best.safetensors", saved.tensors, header)
    words = ["enhance", "pairs/low/0.png", "--network", tmp_path]
    code, _, err = run(*words, "--lightness", "auto", "--out", tmp_path / "auto")
    assert code == 0
    assert "auto is 0.5 for every photo" in err
    run(*words, "--out", tmp_path / "fixed")
    assert (tmp_path / "auto" / "0.png").read_bytes() == (tmp_path / "fixed" / "0.png").read_bytes()


def test_windows_of_the_side_of_the_training_crops(run, place, tmp_path, monkeypatch):
    made = []

    class Watched(Enhancer):
        def __init__(self, network, *rest):
            super().__init__(network, *rest)
            made.append((self.tile, self.equalise))

    monkeypatch.setattr("dimmagen.cli.enhance.Enhancer", Watched)
    words = ["enhance", "pairs/low/0.png", *NETWORK, "--out", tmp_path / "out"]
    assert run(*words, "--window", "crop")[0] == 0
    assert run(*words, "--window", 64)[0] == 0
    assert run(*words)[0] == 0
    assert made[:2] == [(32, "image"), (64, "image")]
    assert made[2][0] > 64


def test_the_crops_of_a_network_that_does_not_name_them_are_asked_for(run, place, tmp_path):
    saved = load_tensors(place / "network" / "best.safetensors")
    assert crops_of_header(saved.header) == TrainingCrops(32, "image")
    header = {name: value for name, value in saved.header.items() if name != "crops"}
    RunFolder(tmp_path).save("best.safetensors", saved.tensors, header)
    words = ["enhance", "pairs/low/0.png", "--network", tmp_path, "--out", tmp_path / "out"]
    code, _, err = run(*words, "--window", "crop")
    assert code == 2
    assert "--window 256" in err


@pytest.mark.parametrize("crops", [None, {}, {"side": "9"}, {"side": 0, "equalise": "crop"}, {"side": 9}])
def test_crops_of_another_form_are_unknown(crops):
    assert crops_of_header({"crops": crops}) is None


def test_a_ladder_of_lightness_and_its_sheet(run, tmp_path):
    words = ["enhance", "pairs/low/0.png", *NETWORK, "--out", tmp_path]
    code, out, _ = run(*words, "--lightness", 0.2, "--lightness", 0.6)
    assert code == 0
    names = {"0-0.20.png", "0-0.60.png", "0-ladder.png"}
    assert {file.name for file in tmp_path.iterdir()} == names
    assert image(tmp_path / "0-0.20.png").shape == (64, 96, 3)
    assert all(name in out for name in names)


def test_a_broken_photo_does_not_stop_the_others(run, tmp_path):
    night, out = tmp_path / "night", tmp_path / "out"
    night.mkdir()
    whole = Path("pairs/low/0.png").read_bytes()
    for name, data in {"a.png": whole, "b.png": whole[:500], "c.jpg": b"x", "d.PNG": whole}.items():
        (night / name).write_bytes(data)
    (night / ".hidden.png").write_bytes(whole)
    (night / "notes.txt").write_text("not a photo")
    code, _, err = run("enhance", night, "--network", "network", "--out", out)
    assert code == 1
    assert {file.name for file in out.iterdir()} == {"a.png", "d.png"}
    assert "2 of 4 photos could not be read" in err
    assert f"Skipped: {night / 'b.png'}: " in err
    assert f"Skipped: {night / 'c.jpg'}: " in err


def test_the_result_keeps_the_colour_profile_and_the_time_of_the_photo(run, tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112], exif[0x0132] = 6, "2024:01:02 03:04:05"
    with Image.open("pairs/low/0.png") as dark:
        dark.save(tmp_path / "a.jpg", icc_profile=profile, exif=exif)
    assert run("enhance", tmp_path / "a.jpg", "--network", "network", "--out", tmp_path / "out")[0] == 0
    with Image.open(tmp_path / "out" / "a.png") as light:
        assert light.size == (64, 96)
        assert light.info["icc_profile"] == profile
        assert dict(light.getexif()) == {0x0132: "2024:01:02 03:04:05"}


def test_a_folder_without_a_photo_is_named(run, tmp_path):
    code, _, err = run("enhance", tmp_path, "--network", "network", "--out", tmp_path / "out")
    assert code == 2
    assert f"{tmp_path} has no photo directly in it" in err


def test_the_lightness_of_another_image_is_matched(run, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "dimmagen.enhance.enhancer.Enhancer.enhance", lambda self, dark, wanted: asked.append(wanted) or dark
    )
    words = ["enhance", "pairs/low/0.png", *NETWORK, "--out", tmp_path, "--match", "pairs/high/0.png"]
    assert run(*words)[0] == 0
    assert asked == [pytest.approx(image("pairs/high/0.png").mean() / 255)]


def test_a_result_of_exactly_the_lightness_that_was_asked_for(run, tmp_path):
    words = ["enhance", "pairs/low/0.png", *NETWORK]
    run(*words, "--out", tmp_path / "close", "--lightness", 0.5)
    wanted = 0.8 * mean_lightness(image(tmp_path / "close" / "0.png"))
    for name, options in (("close", []), ("exact", ["--exact-lightness"])):
        assert run(*words, "--out", tmp_path / name, "--lightness", wanted, *options)[0] == 0
    exact, close = (mean_lightness(image(tmp_path / name / "0.png")) for name in ("exact", "close"))
    assert exact == pytest.approx(wanted, abs=2e-4)
    assert abs(close - wanted) > 0.01


def test_an_export_that_takes_long_says_what_it_waits_for(monkeypatch, capsys):
    tell, is_told = Progress.tell, threading.Event()

    def telling(progress):
        tell(progress)
        if progress.tasks:
            is_told.set()

    def export(*_):
        assert is_told.wait(600)
        return OnnxReport(18, 1000, [(1, 1)], 0.0)

    monkeypatch.setattr("dimmagen.cli.progress.LINE_SECONDS", 0.01)
    monkeypatch.setattr(Progress, "tell", telling)
    monkeypatch.setattr("dimmagen.cli.enhance.load_network", lambda path: (None, {}))
    monkeypatch.setattr("dimmagen.cli.enhance.export_onnx", export)
    exit_code("enhance", *NETWORK, "--export", "onnx", "m.onnx")
    out, err = capsys.readouterr()
    assert "m.onnx: ONNX, opset 18" in out
    assert "ONNX model: waiting for torch to write and onnxruntime to run it" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["enhance", *NETWORK], "give photos"),
        (["enhance", "pairs/low", *NETWORK, "--lightness", "dark"], "'dark' is not a valid"),
        (["enhance", "pairs/low", *NETWORK, "--export", "onnx", "m.onnx"], "omit the photos"),
        (["enhance", "nowhere.png", *NETWORK], "nowhere.png does not exist"),
        (["enhance", "photos/tiny.png", *NETWORK, "--memory", "0.01"], "too little for the model"),
        (["enhance", "pairs/low/0.png", *NETWORK, "--out", "pairs/low"], "give another --out"),
        (["enhance", "pairs/low/0.png", "pairs/high/0.png", *NETWORK], "two photos are named 0"),
        (["enhance", "a.png", *NETWORK, "--match", "b.png", "--lightness", "1"], "omit one"),
    ],
)  # fmt: skip
def test_what_cannot_be_enhanced_is_refused_and_nothing_is_overwritten(refused, words, message):
    assert message in refused(*words)
