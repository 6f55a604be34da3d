"""Where profiles are found and saved, by a name or a folder."""

import json
import os
import shutil
from pathlib import Path

import pytest

from dimmagen.core.errors import UsageError
from dimmagen.dimmers.base import DIMMERS
from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.dimmers.profile import (
    BUNDLED,
    formulas,
    is_formula,
    new_profile_folder,
    open_profile,
    portable_name,
    profile_names,
    save_profile,
    user_profiles_folder,
)
from dimmagen.dimmers.profile_folders import saved_profile_names
from dimmagen.dimmers.profile_json import fingerprint_of
from tests.dimmers.profiles.made import fields_of, models


def test_a_profile_saved_by_name_is_found_among_the_users_profiles():
    save_profile(new_profile_folder("phone"), models(), "mdn", {})
    assert open_profile("phone").folder == user_profiles_folder() / "phone"
    assert "phone" in profile_names()


def test_names_and_folders_that_exist_are_refused(saved):
    for taken in ("lol3", "linear"):
        with pytest.raises(UsageError, match="ships with dimmagen"):
            new_profile_folder(taken)
    with pytest.raises(UsageError, match="exists already"):
        new_profile_folder(str(saved.folder))


@pytest.mark.parametrize("name", ["nikon", "../lol3", "", ".", "no/such/folder"])
def test_an_unknown_profile_is_reported_with_the_known_names(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"lol3.*linear|has no profile\.json"):
        open_profile(name)


def test_a_users_profile_has_the_name_that_it_is_asked_for_by():
    saved = save_profile(user_profiles_folder() / "phone", models(), "mdn", {})
    saved.folder.rename(saved.folder.parent / "other")
    assert open_profile("other").name == "other"
    assert open_profile(saved.folder.parent / "other").name == "phone"


def test_the_portable_name_of_a_profile_is_a_name_or_an_absolute_folder(saved, monkeypatch):
    monkeypatch.chdir(saved.folder.parent)
    assert portable_name("phone") == portable_name("./phone") == str(saved.folder)
    assert portable_name(str(saved.folder)) == str(saved.folder)
    assert portable_name("lol3") == "lol3"
    assert portable_name("linear") == "linear"
    save_profile(new_profile_folder("mine"), models(), "mdn", {})
    (saved.folder.parent / "mine").mkdir()
    assert portable_name("mine") == "mine", "a known name takes precedence over a folder of that name"
    with pytest.raises(UsageError, match="there is no profile 'nowhere'"):
        portable_name("nowhere")


def test_a_renamed_folder_is_the_same_profile(tmp_path):
    first = shutil.copytree(BUNDLED / "lol3", tmp_path / "lol3")
    renamed = shutil.copytree(first, tmp_path / "moved and renamed")
    one, other = open_profile(first), open_profile(renamed)
    assert (other.name, other.fingerprint) == (one.name, one.fingerprint) == ("lol3", one.fingerprint)


def test_a_profile_saved_under_a_name_that_is_none_has_that_of_its_folder(tmp_path):
    folder = shutil.copytree(BUNDLED / "lol3", tmp_path / "mine")
    content = json.loads((folder / "profile.json").read_text())
    for name in ("../up", "\x1b[2J", 7, None, ""):
        (folder / "profile.json").write_text(json.dumps(content | {"name": name}))
        assert open_profile(folder).name == "mine"


def test_without_a_home_folder_profiles_are_found_and_a_new_one_needs_a_place(monkeypatch):
    for name in ("HOME", "XDG_DATA_HOME", "DIMMAGEN_PROFILES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert "lol3" in profile_names()
    assert open_profile("lol3").name == "lol3"
    with pytest.raises(UsageError, match=r"no home folder.*DIMMAGEN_PROFILES"):
        new_profile_folder("mine")


def test_a_formula_is_a_profile_without_a_folder():
    formula = open_profile("linear")
    settings = DIMMERS["linear"].parameters()
    assert (formula.name, formula.folder, formula.default_model) == ("linear", None, "linear")
    assert formula.models == {"linear": {"files": {}, "settings": settings}}
    assert formula.provenance == {"made": "closed form"}
    assert formula.fingerprint == fingerprint_of("linear", formula.models)
    assert ImageDimmer.from_profile("linear").fingerprint == formula.fingerprint
    assert [name for name in profile_names() if is_formula(name)] == ["linear", "gamma", "lid"] == formulas()
    assert not is_formula("camera")


def test_a_bundled_profile_goes_before_a_users_one_and_a_name_before_a_folder(saved, monkeypatch, tmp_path):
    mine = save_profile(user_profiles_folder() / "lol3", models(), "mdn", {})
    assert open_profile("lol3").folder == BUNDLED / "lol3"
    assert open_profile(mine.folder).fingerprint == mine.fingerprint
    phone = save_profile(user_profiles_folder() / "phone", models(seed=1), "mdn", {})
    monkeypatch.chdir(tmp_path)
    assert open_profile("phone") == open_profile("phone", "0" * 64) == phone
    assert open_profile("./phone").fingerprint == saved.fingerprint
    assert (portable_name("phone"), portable_name("./phone")) == ("phone", str(saved.folder))
    assert sorted(profile_names()[:-3]) == profile_names()[:-3]


def test_a_hidden_folder_and_one_without_a_profile_are_no_names(monkeypatch, tmp_path):
    folder = user_profiles_folder()
    for name in (".phone.1.tmp", "phone@1", "phone"):
        (folder / name).mkdir(parents=True)
        (folder / name / "profile.json").write_text("{}")
    (folder / "empty").mkdir()
    assert [name for name in saved_profile_names() if not (BUNDLED / name).is_dir()] == ["phone"]
    with pytest.raises(UsageError, match=r"there is no profile '\.phone\.1\.tmp'"):
        open_profile(".phone.1.tmp")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"DIMMAGEN_PROFILES": "/p", "XDG_DATA_HOME": "/x", "HOME": "/h"}, "/p"),
        ({"DIMMAGEN_PROFILES": "", "XDG_DATA_HOME": "/x", "HOME": "/h"}, "/x/dimmagen/profiles"),
        ({"XDG_DATA_HOME": "", "HOME": "/h"}, "/h/.local/share/dimmagen/profiles"),
        ({"HOME": "/h"}, "/h/.local/share/dimmagen/profiles"),
    ],
)
@pytest.mark.needs("home")
def test_the_folder_of_the_users_profiles_is_the_one_that_was_named_or_in_the_data_folder(
    variables, expected, monkeypatch
):
    for name in ("DIMMAGEN_PROFILES", "XDG_DATA_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert user_profiles_folder() == Path(expected)


def test_a_new_profile_goes_where_its_name_or_path_says(saved, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert new_profile_folder("mine") == user_profiles_folder() / "mine"
    assert new_profile_folder("./mine") == Path("mine")
    assert new_profile_folder("a/linear") == Path("a/linear")
    assert new_profile_folder(saved.folder, may_exist=True) == saved.folder
    taken = fields_of(lambda: new_profile_folder(saved.folder), UsageError, "exists already")
    assert taken == ("name-taken", {"path": str(saved.folder)})
    ours = fields_of(lambda: new_profile_folder("lol3", may_exist=True), UsageError, "ships with dimmagen")
    assert ours == ("name-taken", {"name": "lol3"})
