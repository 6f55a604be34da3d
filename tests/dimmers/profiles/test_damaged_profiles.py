"""Damaged, changed and unsafe profiles are refused with what is wrong."""

import json
import pickle

import numpy as np
import pytest

from dimmagen.core.errors import DimmagenError
from dimmagen.dimmers import profile_json
from dimmagen.dimmers.profile import open_profile, save_profile
from dimmagen.dimmers.profile_json import fingerprint_of
from tests.dimmers.profiles.made import fields_of, models, rewritten


def test_a_pickle_in_a_profile_is_refused_and_never_loaded(saved):
    class Bomb:
        def __reduce__(self):
            return (open, (str(saved.folder / "trap"), "w"))

    (saved.folder / "extra.pt").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(DimmagenError, match=r"holds extra\.pt: only profile\.json, profile\.png and"):
        open_profile(saved.folder)
    (saved.folder / "extra.pt").rename(saved.folder / "mdn.safetensors")
    with pytest.raises(DimmagenError, match="not what was saved"):
        open_profile(saved.folder)
    assert not (saved.folder / "trap").exists()


def test_a_pickle_in_place_of_tensors_is_refused_even_if_its_hash_matches(saved):
    class Bomb:
        def __reduce__(self):
            return (open, (str(saved.folder.parent / "trap"), "w"))

    (saved.folder / "mdn.safetensors").write_bytes(pickle.dumps(Bomb()))
    rewritten(saved.folder, lambda content: None)
    with pytest.raises(DimmagenError, match="is not a safetensors file"):
        open_profile(saved.folder).model()
    assert not (saved.folder.parent / "trap").exists()


def test_a_file_outside_the_folder_is_refused(saved):
    def reach_out(content):
        content["models"]["mdn"]["files"]["../../secret.safetensors"] = "0" * 64

    rewritten(saved.folder, reach_out)
    with pytest.raises(DimmagenError, match="only profile"):
        open_profile(saved.folder)


@pytest.mark.parametrize(
    ("tensor", "value", "message"),
    [
        ("mean", np.full(255, 0.5, np.float32), r"mean is float32 \(255,\), not float32 \(256,\)"),
        ("mean", np.full(256, np.nan, np.float32), "mean holds NaN or infinity"),
        ("std", np.full(256, 0.5), "std is float64"),
        ("extra", np.zeros(2, np.float32), "missing or unexpected tensors: extra"),
    ],
)
def test_damaged_statistics_are_refused_even_if_the_hashes_match(tmp_path, tensor, value, message):
    damaged = models()
    for model in damaged:
        model.files["illumination.safetensors"][tensor] = value
    saved = save_profile(tmp_path / "damaged", damaged, "mdn", {})
    with pytest.raises(DimmagenError, match=message):
        saved.model()


def test_a_changed_setting_is_detected(saved):
    path = saved.folder / "profile.json"
    content = json.loads(path.read_text())
    content["models"]["mdn"]["settings"]["tau"] = 0.1
    path.write_text(json.dumps(content))
    with pytest.raises(DimmagenError, match="was changed after it was saved"):
        open_profile(saved.folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"models": 3}', "{"])
def test_a_damaged_profile_json_is_reported(saved, text):
    (saved.folder / "profile.json").write_text(text)
    with pytest.raises(DimmagenError, match=r"profile\.json is damaged"):
        open_profile(saved.folder)


def test_a_profile_of_a_later_version_is_refused_by_its_schema(saved):
    rewritten(saved.folder, lambda content: content.update(schema=3))
    with pytest.raises(DimmagenError, match=r"made by another version of dimmagen \(schema 3\)"):
        open_profile(saved.folder)


def test_a_profile_with_a_dimmer_of_a_package_that_is_not_installed_says_so(saved):
    def added(content):
        content["models"]["bulb"] = {"files": {}, "settings": {}}
        content["fingerprint"] = fingerprint_of(content["default_model"], content["models"])

    rewritten(saved.folder, added)
    with pytest.raises(DimmagenError, match="a model of the kind bulb, which is not installed here"):
        open_profile(saved.folder)


def without(name):
    return lambda content: content.pop(name)


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (without("schema"), "damaged", r"\('schema' is missing\): fit or import it again"),
        (without("fingerprint"), "damaged", r"'fingerprint' is missing"),
        (lambda content: content["models"]["mdn"].pop("settings"), "damaged", r"'settings' is missing"),
        (lambda content: content["models"]["mdn"].update(settings=3), "damaged", r"profile\.json is damaged"),
        (lambda content: content.update(models=[]), "damaged", r"profile\.json is damaged"),
        (lambda content: content.update(schema=0), "wrong-format", r"\(schema 0\): fit or import it again"),
        (lambda content: content.update(default_model="camera"), "wrong-format", r"another version"),
        (
            lambda content: content["models"].update(other={**content["models"]["mdn"]}),
            "wrong-format",
            "other",
        ),
        (lambda content: content.update(default_model="deterministic"), "damaged", r"was changed after"),
    ],
)
def test_a_profile_json_that_is_not_whole_is_refused_with_its_path(change, code, said, saved):
    path = saved.folder / "profile.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    found = fields_of(lambda: open_profile(saved.folder), DimmagenError, said)
    assert found == (code, {"path": str(path if code == "damaged" else saved.folder)})


def test_a_file_of_a_model_that_is_missing_or_larger_than_any_is_refused(saved, monkeypatch):
    path = saved.folder / "illumination.safetensors"
    size = path.stat().st_size
    monkeypatch.setattr(
        profile_json, "_MAX_FILE", max(file.stat().st_size for file in saved.folder.iterdir())
    )
    assert open_profile(saved.folder) == saved
    monkeypatch.setattr(profile_json, "_MAX_FILE", size - 1)
    too_large = fields_of(lambda: open_profile(saved.folder), DimmagenError, "not what was saved: fit or")
    assert too_large[0] == "damaged"
    monkeypatch.undo()
    path.unlink()
    missing = fields_of(lambda: open_profile(saved.folder), DimmagenError, "is missing or not what was saved")
    assert missing == ("damaged", {"path": str(path)})
