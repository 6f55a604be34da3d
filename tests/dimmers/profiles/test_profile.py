"""A saved profile is read back, and what its fingerprint depends on."""

import json
import os
import shutil

import numpy as np
import pytest

from dimmagen.core import hashing
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.dimmers import profile as profiles
from dimmagen.dimmers.profile import open_profile, profile_names, save_profile
from dimmagen.dimmers.profile_json import fingerprint_of
from tests.dimmers.profiles.made import models, rewritten


def test_a_saved_profile_is_read_back(saved):
    again = open_profile(saved.folder)
    assert again == saved
    assert again.provenance == {"made": "in a test"}
    model = again.model()
    assert (model.kind, model.tau, model.exposure_spread) == ("mdn", 0.7, 0.25)
    np.testing.assert_array_equal(model.mean, np.full(256, 0.5, np.float32))


def test_the_fingerprint_depends_only_on_the_models(saved, tmp_path):
    same = save_profile(tmp_path / "renamed", models(), "mdn", {"made": "elsewhere"})
    other = save_profile(tmp_path / "other", models(seed=1), "mdn", {"made": "in a test"})
    another_default = save_profile(tmp_path / "default", models(), "deterministic", {})
    assert same.fingerprint == saved.fingerprint
    assert len({saved.fingerprint, other.fingerprint, another_default.fingerprint}) == 3


def test_the_sheet_of_a_profile_is_saved_with_it_and_decides_nothing(saved, tmp_path):
    drawn = save_profile(tmp_path / "drawn", models(), "mdn", {}, sheet=b"no picture at all")
    assert (drawn.folder / "profile.png").read_bytes() == b"no picture at all"
    assert drawn.fingerprint == saved.fingerprint
    moved = drawn.folder.rename(tmp_path / "moved")
    assert open_profile(moved).fingerprint == saved.fingerprint
    (moved / "profile.png").unlink()
    assert open_profile(moved).fingerprint == saved.fingerprint


def test_a_failed_save_leaves_no_files_and_keeps_the_old_profile(saved, monkeypatch):
    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(DimmagenError, match="the disk is full"):
        save_profile(saved.folder, models(seed=1), "mdn", {}, replace=True)
    assert open_profile(saved.folder) == saved
    assert [place.name for place in saved.folder.parent.iterdir()] == ["phone"]


def test_a_profile_is_saved_in_a_hidden_folder_beside_its_place(tmp_path, monkeypatch):
    write, places = profiles.storage.atomic_write, set()
    monkeypatch.setattr(
        profiles.storage, "atomic_write", lambda *given: places.add(given[0].parent) or write(*given)
    )
    save_profile(tmp_path / "phone", models(), "mdn", {})
    [place] = places
    assert (place.parent, place.name[:7], place.suffix) == (tmp_path, ".phone.", ".tmp")
    assert not place.exists()


def test_a_profile_is_saved_on_a_disk_without_permissions(tmp_path, monkeypatch):
    """exFAT, SMB, FUSE."""

    def refused(path, mode, **_):
        raise PermissionError(1, "Operation not permitted", path)

    monkeypatch.setattr(os, "chmod", refused)
    assert open_profile(save_profile(tmp_path / "phone", models(), "mdn", {}).folder).name == "phone"


def test_a_saved_profile_is_json_beside_its_tensors_that_everyone_may_read(saved):
    content = json.loads((saved.folder / "profile.json").read_text())
    assert (saved.folder / "profile.json").read_text() == json.dumps(content, indent=1) + "\n"
    assert list(content) == ["schema", "name", "fingerprint", "default_model", "models", "provenance"]
    assert (content["schema"], content["name"], content["default_model"]) == (2, "phone", "mdn")
    assert content["models"] == saved.models
    for model in models():
        entry = content["models"][model.kind]
        assert entry["settings"] == model.settings
        files = {name: hashing.sha256((saved.folder / name).read_bytes()) for name in sorted(model.files)}
        assert list(entry["files"].items()) == list(files.items())
    names = {path.name for path in saved.folder.iterdir()}
    assert names == {"profile.json", *(name for model in models() for name in model.files)}
    if os.name == "posix":
        assert saved.folder.stat().st_mode & 0o777 == 0o755
        assert {path.stat().st_mode & 0o777 for path in saved.folder.glob("*.safetensors")} == {0o644}


def test_tensors_are_saved_by_value_however_they_lie_in_memory(saved, tmp_path):
    turned = models()
    for model in turned:
        for tensors in model.files.values():
            tensors.update({name: np.asfortranarray(array) for name, array in tensors.items()})
    assert save_profile(tmp_path / "turned", turned, "mdn", {}).fingerprint == saved.fingerprint


def test_a_profile_is_replaced_only_where_that_is_asked_for(saved):
    with pytest.raises(OSError, match=r"not empty|exists|denied"):
        save_profile(saved.folder, models(seed=1), "mdn", {})
    assert open_profile(saved.folder) == saved
    (saved.folder / "profile.png").write_bytes(b"old")
    replaced = save_profile(saved.folder, models(seed=1), "mdn", {}, replace=True)
    assert replaced.fingerprint != saved.fingerprint
    assert not (saved.folder / "profile.png").exists()
    new = save_profile(saved.folder.parent / "a/b/new", models(), "mdn", {}, replace=True)
    assert (new.name, new.folder.parent.parent.name) == ("new", "a")
    assert [path.name for path in new.folder.parent.iterdir()] == ["new"]


def test_wherever_a_replacement_is_killed_the_old_or_the_new_profile_is_there(saved, tmp_path, monkeypatch):
    """What is on the disk before and after each step is opened by path, listed and opened by name."""
    states, old = tmp_path / "states", {saved.fingerprint}
    for step in ("rename", "replace", "unlink", "rmdir"):
        monkeypatch.setattr(os, step, _observed(getattr(os, step), saved.folder.parent, states))
    new = {save_profile(saved.folder, models(seed=1), "mdn", {}, replace=True).fingerprint}
    monkeypatch.undo()
    shutil.copytree(states, tmp_path / "by name")
    found = [open_profile(state / "phone").fingerprint for state in sorted(states.iterdir())]
    assert (found[0], found[-1], set(found)) == (*old, *new, old | new)
    for state in (tmp_path / "by name").iterdir():
        monkeypatch.setenv("DIMMAGEN_PROFILES", str(state))
        assert "phone" in profile_names()
        assert open_profile("phone").fingerprint in old | new
        shutil.rmtree(state / "phone")
        with pytest.raises(UsageError, match="there is no profile 'phone'"):  # no part of an old one is back
            open_profile("phone")


def _observed(step, folder, states):
    def observed(*given, **options):
        step(*given, **options)
        place = states / f"{len(list(states.iterdir())) if states.exists() else 0:03}"
        shutil.copytree(folder, place, ignore=shutil.ignore_patterns("states"))

    return observed


def test_a_disk_that_refuses_the_new_name_keeps_the_old_profile(saved, monkeypatch, caplog):
    rename = os.rename

    def refuse(old, new):
        if str(old).endswith(".tmp") and str(new) == str(saved.folder):
            raise OSError(5, "Input/output error", str(old))
        rename(old, new)

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(DimmagenError, match=f"{saved.folder.name} could not be written: Input/output error"):
        save_profile(saved.folder, models(seed=1), "mdn", {}, replace=True)
    assert open_profile(saved.folder) == saved
    assert [place.name for place in saved.folder.parent.iterdir()] == ["phone"]


def test_a_fingerprint_is_the_hash_of_sorted_json():
    text = '{"default_model":"b","models":{"a":{"files":{},"settings":{"x":1,"y":2}}}}'
    entries = {"a": {"settings": {"y": 2, "x": 1}, "files": {}}}
    assert fingerprint_of("b", entries) == hashing.sha256(text.encode())


def test_a_profile_of_the_first_schema_without_a_name_and_a_provenance_is_read(saved):
    def strip(content):
        content.update(schema=1)
        del content["name"], content["provenance"]

    rewritten(saved.folder, strip)
    found = open_profile(saved.folder.rename(saved.folder.parent / "a phone"))
    assert (found.name, found.provenance, found.fingerprint) == ("a phone", {}, saved.fingerprint)
