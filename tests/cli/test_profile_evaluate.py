"""`dimmagen profile evaluate`: tables on the terminal, files on request, and clear refusals."""

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner
from simulated_camera import SimulatedCamera, simulated_light

from dimmagen.cli.profile_evaluate import profile_evaluate
from dimmagen.core.errors import UsageError
from dimmagen.dimmers.profile import Profile, open_profile
from dimmagen.dimmers.real_pairs import load_pairs
from dimmagen.evaluation.realism import pairs_fitted_on
from dimmagen.images.codec import encode_png


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    for side in ("low", "high"):
        (folder / side).mkdir()
    for index in range(3):
        light = simulated_light(index, 96, 128)
        (folder / "high" / f"{index}.png").write_bytes(encode_png(light))
        (folder / "low" / f"{index}.png").write_bytes(encode_png(SimulatedCamera().shoot(light, index)))
    return folder


@pytest.fixture
def of_jpegs(monkeypatch):
    """The bundled profile lol3, as if it were fitted to JPEG files of another camera."""
    profile = open_profile("lol3")
    pictures = {**profile.provenance["pictures"], "files": "jpeg"}
    found = replace(profile, provenance={**profile.provenance, "pictures": pictures})
    monkeypatch.setattr("dimmagen.cli.profile_evaluate.open_profile", lambda name: found)


def run(*arguments):
    return CliRunner().invoke(
        profile_evaluate, [*map(str, arguments), "--workers", "1"], catch_exceptions=False
    )


def test_profiles_and_floors_are_side_by_side_and_all_files_are_written(folder, tmp_path):
    result = run(
        *("linear", "lid:lid", "--pairs", folder, "--draws", 1),
        *("--json", tmp_path / "r.json", "--html", tmp_path / "r.html", "--dump", tmp_path / "dark"),
    )
    assert result.exit_code == 0
    first, *table = result.stdout.split("\n\n")[:2]
    assert first.startswith(("linear is the closest of them: ", "lid:lid is the closest of them: "))
    assert "of the error of plain darkening" in " ".join(first.split())
    rows = table[0].splitlines()
    assert all(one in " ".join(rows[:3]) for one in ("linear", "lid:lid"))
    assert any(row.startswith("tone, grey levels") and len(row.split()) == 3 + 4 for row in rows)
    assert max(map(len, result.stdout.split("Wrote")[0].splitlines())) < 80
    content = json.loads((tmp_path / "r.json").read_text())
    assert [c["label"] for c in content["contenders"] if not c["floor"]] == ["linear", "lid:lid"]
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    written = sorted(str(p.relative_to(tmp_path / "dark")) for p in (tmp_path / "dark").rglob("*.png"))
    assert written == [
        f"{d}/{i}.png" for d in ("lid-lid", "linear", "plain-gamma", "plain-linear") for i in range(3)
    ]


def test_every_measure_is_told_on_demand(folder):
    result = run("linear", "--pairs", folder, "--draws", 1, "--details")
    for column in ("linear", "plain gamma", "real, split halves", "luma noise (log2 ratio)", "±"):
        assert column in result.stdout
    assert "closest" not in result.stdout  # there is only one
    assert result.stdout.startswith("linear is ")


def test_pairs_of_another_kind_than_those_of_the_profile_are_told(folder, of_jpegs):
    result = run("lol3", "--pairs", folder, "--draws", 1)
    assert "Note: these pairs are files without compression losses" in result.stderr
    assert "Note: these pairs have 128x96 pixels, the profile's have 600x400" in result.stderr
    assert result.exit_code == 0


def test_only_the_named_pairs_are_measured(folder, tmp_path):
    run("linear", "--pairs", folder, "--draws", 1, "--names", "2,0", "--json", tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text())["pairs"] == 2


def test_pairs_that_a_profile_was_fitted_on_are_recognised_by_their_hash(folder):
    pairs = load_pairs(folder)
    used = {"pairs": [{"name": "its name then", "dark_sha256": pairs[1].dark_sha256}]}
    profile = Profile("mine", None, "0" * 64, "mdn", {}, used)
    assert pairs_fitted_on(profile, pairs) == ["1"]
    assert pairs_fitted_on(open_profile("linear"), pairs) == []
    pairs[2] = replace(pairs[2], light_sha256=pairs[0].light_sha256)  # two dark images of one scene
    used = {"pairs": [{"name": "0", "dark_sha256": "of another", "light_sha256": pairs[0].light_sha256}]}
    assert pairs_fitted_on(Profile("mine", None, "0" * 64, "mdn", {}, used), pairs) == ["0", "2"]


@pytest.mark.parametrize("spec", ["linear:", ":mdn", "linear:linear:default:more"])
def test_a_spec_that_cannot_be_read_is_refused_with_an_example(folder, spec):
    with pytest.raises(UsageError, match="write lol3 or lol3:mdn"):
        run(spec, "--pairs", folder)


def test_an_unknown_profile_is_refused_before_any_work(folder):
    with pytest.raises(UsageError, match="there is no profile 'nowhere'"):
        run("nowhere", "--pairs", folder / "missing")


@pytest.mark.needs("links")
def test_swapped_pairs_are_refused_by_name(folder, tmp_path):
    (tmp_path / "low").symlink_to(folder / "high")
    (tmp_path / "high").symlink_to(folder / "low")
    with pytest.raises(UsageError, match="pair 0 seems to be swapped"):
        run("linear", "--pairs", tmp_path)


@pytest.mark.needs("links")
def test_scenes_that_were_shot_twice_are_told_and_are_the_camera_itself(folder, tmp_path):
    for side in ("low", "high"):
        (tmp_path / side).mkdir()
        for index in range(3):
            (tmp_path / side / f"{index}.png").symlink_to(folder / side / f"{index}.png")
            again = SimulatedCamera().shoot(simulated_light(index, 96, 128), 10 + index)
            light = (folder / "high" / f"{index}.png").read_bytes()
            (tmp_path / side / f"{index}-again.png").write_bytes(
                encode_png(again) if side == "low" else light
            )
    result = run("linear", "--pairs", folder, "--repeats", tmp_path, "--draws", 1, "--details")
    told = " ".join(result.stderr.split())
    assert "Note: scenes shot twice: 0 and 0-again, 1 and 1-again, 2 and 2-again" in told
    assert "real, shot again" in result.stdout
    assert "split halves" not in result.stdout


def test_pairs_without_a_repeat_are_refused(folder):
    with pytest.raises(UsageError, match="no scene that was shot twice"):
        run("linear", "--pairs", folder, "--repeats", folder)
