"""`dimmagen profile list | show | import | fit` as they are typed."""

import io
import json
import re
import shutil
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from dimmagen.core.errors import DimmagenError
from dimmagen.dimmers.profile import open_profile
from tests.commands import exit_code, run_command


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    monkeypatch.setenv("DIMMAGEN_PROFILES", str(tmp_path / "own"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "own"


@pytest.fixture
def run(capfd):
    """Run the command line: (exit code, stdout, stderr)."""

    def type_in(*arguments):
        return run_command(capfd, "profile", *arguments)

    return type_in


@pytest.fixture(scope="module")
def phone(tmp_path_factory):
    """Three pairs of a simulated camera, for reading only; its third pair is shifted."""
    folder = tmp_path_factory.mktemp("pairs") / "phone"
    random = np.random.default_rng(0)
    for index in range(3):
        texture = gaussian_filter(random.normal(size=(160, 192, 3)), (4, 4, 0.5))
        light = np.clip((texture - texture.min()) / np.ptp(texture) * 300 - 20, 0, 255).astype(np.uint8)
        dark = light * np.array([0.20, 0.15, 0.12]) * (1 + 0.2 * index)
        dark = np.clip(np.rint(dark + random.normal(0, 1, light.shape)), 0, 255).astype(np.uint8)
        if index == 2:
            dark = np.roll(dark, (2, 0), (0, 1))
        for side, image in (("low", dark), ("high", light)):
            (folder / side).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / side / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def fitted(phone, short_fits, tmp_path_factory):
    """The folder with the profile `my-phone`, fitted to them once, and what the command has said."""
    own, said = tmp_path_factory.mktemp("fitted") / "own", [io.StringIO(), io.StringIO()]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said[0]), redirect_stderr(said[1]):
        patch.setenv("DIMMAGEN_PROFILES", str(own))
        patch.setenv("COLUMNS", "200")
        assert exit_code("profile", "fit", "--pairs", phone, "--out", "my-phone") == 0
    return own, *(stream.getvalue() for stream in said)


def test_list_names_bundled_and_closed_form_profiles(run):
    code, out, _ = run("list")
    assert code == 0
    assert re.search(r"lol3 .*3 pairs: 2, 5, 6 ", out)
    assert re.search(r"lol5 .*5 pairs: 2, 5, \.\.\.", out)
    assert "linear" in out


def test_list_leaves_out_a_profile_that_cannot_be_read_and_says_why(run, own):
    (own / "broken").mkdir(parents=True)
    (own / "broken/profile.json").write_text("{}")
    code, out, err = run("list")
    assert (code, "lol3" in out, "broken" in out) == (0, True, False)
    assert "Left out: broken: " in err


def test_show_prints_json_with_the_origin(run):
    code, out, _ = run("show", "lol3", "--json")
    content = json.loads(out)
    assert code == 0
    assert [pair["name"] for pair in content["provenance"]["pairs"]] == ["2", "5", "6"]
    assert content["fingerprint"] == open_profile("lol3").fingerprint


def test_an_unknown_name_is_a_usage_error_without_a_traceback(run):
    code, _, err = run("show", "nikon")
    assert code == 2
    assert err.startswith("Error: there is no profile 'nikon': choose one of lol3")


def test_a_published_dimmer_is_imported_and_can_be_used_by_name(run, published_dimmer):
    code, out, _ = run("import", published_dimmer, "--out", "authors3")
    assert code == 0
    assert "Imported authors3" in out
    found = open_profile("authors3")
    assert set(found.provenance["files"]) == {"mdn.pt", "mean.npy", "std.npy"}
    assert found.model().tau == 0.05
    assert found.model(compat="reference").settings() == {"compat": "reference"}
    code, _, err = run("import", published_dimmer, "--out", "authors3")
    assert code == 2
    assert "exists already" in err


def test_a_failed_import_leaves_no_profile(run, published_dimmer, tmp_path):
    folder = shutil.copytree(published_dimmer, tmp_path / "broken")
    np.save(folder / "std.npy", np.zeros(3))
    code, _, err = run("import", folder, "--out", tmp_path / "made")
    assert code == 1
    assert "std.npy holds float64 (3,)" in err
    assert not (tmp_path / "made").exists()


def test_a_fit_says_that_the_dark_images_were_jpegs_once(run, phone, tmp_path, monkeypatch):
    def stop(*_):
        raise DimmagenError("far enough")

    monkeypatch.setattr("dimmagen.cli.profile_fit.fit_and_check", stop)
    pairs = shutil.copytree(phone, tmp_path / "pairs")
    for file in sorted((pairs / "low").iterdir()):
        stream = io.BytesIO()
        Image.open(file).save(stream, "JPEG", quality=85)
        Image.open(stream).save(file)
    _, _, err = run("fit", "--pairs", pairs, "--out", "my-phone")
    assert "Note: the dark images are decoded from JPEGs of about quality 85: the profile compresses" in err


def test_a_fit_names_shifted_pairs_and_makes_a_profile_that_dims(run, phone, fitted, tmp_path):
    own, out, err = fitted
    shutil.copytree(own, tmp_path / "own")
    assert "Note: pair 2 is shifted by +2.0" in err
    assert "Fitted my-phone to 3 pairs" in out
    assert "Verdict: " in out
    assert "nats" not in out
    assert max(map(len, out.partition("Saved to")[0].splitlines())) < 80
    with Image.open(open_profile("my-phone").folder / "profile.png") as picture:
        assert picture.format == "PNG"
    code, shown, _ = run("show", "my-phone")
    assert code == 0
    assert shown.splitlines()[0] == next(line for line in out.splitlines() if line.startswith("Verdict"))
    assert "profile.png in this folder" in shown
    found = open_profile("my-phone")
    assert list(found.models) == ["camera", "mdn", "deterministic"]
    assert found.default_model == "camera"
    light = np.full((64, 64, 3), 180, np.uint8)
    for kind in found.models:
        model = found.model(kind)
        dark = model.dim(light, _draw(model))
        assert dark[..., 0].mean() > dark[..., 2].mean()
    code, out, _ = run("fit", "--pairs", phone, "--out", tmp_path / "again", "--model", "mdn")
    assert code == 0
    assert "The default of this profile is mdn." in out
    assert "nats per pixel" in out
    assert open_profile(tmp_path / "again").default_model == "mdn"
    assert open_profile(tmp_path / "again").models == found.models


def test_the_same_fit_is_not_made_again_and_another_does_not_take_its_place(run, phone, fitted, tmp_path):
    shutil.copytree(fitted[0], tmp_path / "own")
    before = open_profile("my-phone").fingerprint
    code, out, _ = run("fit", "--pairs", phone, "--out", "my-phone")
    assert code == 0
    assert "exists already and was fitted to these pairs (3)" in out
    for other in (["--names", "0,1"], ["--seed", 1], ["--model", "mdn"]):
        code, _, err = run("fit", "--pairs", phone, "--out", "my-phone", *other)
        assert code == 2
        assert "is not a fit of these pairs with this seed and model" in err
    assert open_profile("my-phone").fingerprint == before
    (tmp_path / "notes").mkdir()
    code, _, err = run("fit", "--pairs", phone, "--out", tmp_path / "notes")
    assert code == 2
    assert "exists already, and is not a profile" in err


def _draw(model):
    from dimmagen.dimmers.dimmer import ImageDimmer

    return ImageDimmer(model, "test", "").draw("photo")


def test_unsuitable_pairs_end_the_fit_before_anything_is_made(run, phone, tmp_path):
    phone = shutil.copytree(phone, tmp_path / "phone")
    shutil.copy(phone / "low" / "0.png", phone / "high" / "0.png")
    code, _, err = run("fit", "--pairs", phone, "--out", "my-phone")
    assert code == 2
    assert "pair 0 is the same picture twice" in err
    code, out, _ = run("list")
    assert "my-phone" not in out


def test_a_taken_name_is_reported_before_the_fit(run, phone):
    code, _, err = run("fit", "--pairs", phone, "--out", "lol3")
    assert code == 2
    assert "ships with dimmagen" in err
