"""Profiles are found and checked, and damaged or unsafe ones are refused."""

import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from dimmagen.core import hashing
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.dimmers import profile as profiles
from dimmagen.dimmers.base import DIMMERS, Draw
from dimmagen.dimmers.dimmer import DimmerBuilder, ImageDimmer
from dimmagen.dimmers.mdn.model import MdnFiles
from dimmagen.dimmers.profile import (
    BUNDLED,
    fingerprint_of,
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
from dimmagen.images.codec import pixel_sha256


@pytest.fixture(autouse=True)
def user_profiles(tmp_path, monkeypatch):
    monkeypatch.setenv("DIMMAGEN_PROFILES", str(tmp_path / "profiles"))


def models(seed=0):
    random = np.random.default_rng(seed)
    tensors = {
        name: random.normal(0, 0.1, shape).astype(np.float32)
        for name, shape in MdnFiles.NETWORK_SHAPES.items()
    }
    half = np.full(256, 0.5, np.float32)
    return MdnFiles(tensors, half, half, False, 0.01, tau=0.7, exposure_spread=0.25).models()


@pytest.fixture
def saved(tmp_path):
    return save_profile(tmp_path / "phone", models(), "mdn", {"made": "in a test"})


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


def test_a_model_of_a_profile_is_selected_by_its_kind(saved):
    assert (
        ImageDimmer.from_profile(saved.folder, model="deterministic").settings()["model"] == "deterministic"
    )
    with pytest.raises(UsageError, match="has no model 'camera': it has mdn, deterministic"):
        ImageDimmer.from_profile(saved.folder, model="camera")


def test_only_the_mdn_supports_reference_compat(saved):
    assert ImageDimmer.from_profile(saved.folder, compat="reference").settings()["compat"] == "reference"
    other = save_profile(saved.folder.parent / "other", models(), "deterministic", {})
    assert (other.model().kind, other.model(compat="reference").kind) == ("deterministic", "mdn")
    for name, model in ((saved.folder, "deterministic"), ("linear", "linear")):
        with pytest.raises(UsageError, match="no reference behaviour"):
            ImageDimmer.from_profile(name, model=model, compat="reference")


def test_settings_and_draws_of_a_dimmer_can_be_overridden(saved):
    dimmer = ImageDimmer.from_profile(saved.folder, gamma_range=(0.5, 0.6), temperature=0.2)
    draw = dimmer.draw("image")
    assert 0.5 <= draw.gamma <= 0.6
    assert draw.tau == 0.2


def test_the_settings_of_a_dimmer_name_its_profile_its_model_and_only_what_was_asked_for(saved):
    settings = {
        "profile": "phone",
        "profile_fingerprint": saved.fingerprint,
        "model": "mdn",
        "gamma_range": [0.3, 2.0],
        "temperature": 0.7,
        "compat": "default",
    }
    assert ImageDimmer.from_profile(saved.folder).settings() == settings
    asked = ImageDimmer.from_profile(saved.folder, ladder=(2, 0.5, 1), group_by="clip", temperature=0.0)
    ladder = {"ladder": [2.0, 0.5, 1.0], "gamma_range": [0.5, 2.0], "group_by": "clip", "temperature": 0.0}
    assert asked.settings() == settings | ladder


def test_dark_as_the_pairs_is_a_setting_of_its_own_and_wide_is_none(saved):
    wide, narrow = (ImageDimmer.from_profile(saved.folder, brightness=one) for one in ("wide", "as-pairs"))
    assert wide.settings() == ImageDimmer.from_profile(saved.folder).settings()
    assert narrow.settings() == wide.settings() | {"brightness": "as-pairs", "gamma_range": [1.0, 1.0]}


@pytest.mark.parametrize(
    ("profile", "options", "said"),
    [
        ("lol3", {"brightness": "as-pairs", "gamma_range": (0.5, 1.0)}, "so does `gamma`"),
        ("lol3", {"brightness": "as-pairs", "ladder": (0.5, 1.0)}, "so does `ladder`"),
        ("lol3", {"brightness": "as-pair"}, "did you mean as-pairs"),
        ("linear", {"brightness": "as-pairs"}, "fitted to no pairs"),
    ],
)
def test_brightness_that_contradicts_other_gammas_or_has_no_pairs_is_refused(profile, options, said):
    with pytest.raises(UsageError, match=said):
        ImageDimmer.from_profile(profile, **options)


@pytest.mark.parametrize("gammas", [(1e-6, 1e6), (1e-6, 1e-6)])
def test_gamma_and_temperature_may_lie_at_the_ends_of_their_ranges(saved, gammas):
    for temperature in (0.0, 1e6):
        dimmer = ImageDimmer.from_profile(saved.folder, gamma_range=gammas, temperature=temperature)
        assert (dimmer.gamma_range, dimmer.temperature) == (gammas, temperature)


@pytest.mark.parametrize(
    "options",
    [
        {"gamma_range": (0.9e-6, 1.0)},
        {"gamma_range": (1.0, 1.1e6)},
        {"gamma_range": (float("nan"), 1.0)},
        {"ladder": (1.0, 0.0)},
        {"ladder": (1.0, 2e6)},
        {"temperature": -0.1},
        {"temperature": 1.1e6},
        {"temperature": float("nan")},
    ],
)
def test_gamma_and_temperature_beyond_their_ranges_are_refused(saved, options):
    with pytest.raises(UsageError, match=r"gamma|temperature"):
        ImageDimmer.from_profile(saved.folder, **options)


def test_only_a_camera_has_parts_to_leave_out():
    whole, without = (ImageDimmer.from_profile("lol3", without=parts) for parts in ((), ("tails",)))
    assert (whole.settings()["without"], without.settings()["without"]) == ("", "tails")
    for profile, model in (("linear", None), ("lol3", "mdn")):
        with pytest.raises(UsageError):
            ImageDimmer.from_profile(profile, model=model, without=("tails",))


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


def test_the_picture_of_a_profile_is_saved_with_it_and_decides_nothing(saved, tmp_path):
    drawn = save_profile(tmp_path / "drawn", models(), "mdn", {}, picture=b"no picture at all")
    assert (drawn.folder / "profile.png").read_bytes() == b"no picture at all"
    assert drawn.fingerprint == saved.fingerprint
    moved = drawn.folder.rename(tmp_path / "moved")
    assert open_profile(moved).fingerprint == saved.fingerprint
    (moved / "profile.png").unlink()
    assert open_profile(moved).fingerprint == saved.fingerprint


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


def rewritten(folder, change):
    """Change a profile.json and update its hashes and fingerprint, as an attacker could."""
    path = folder / "profile.json"
    content = json.loads(path.read_text())
    change(content)
    for entry in content["models"].values():
        entry["files"] = {
            name: hashing.sha256((folder / name).read_bytes()) if (folder / name).is_file() else digest
            for name, digest in entry["files"].items()
        }
    content["fingerprint"] = fingerprint_of(content["default_model"], content["models"])
    path.write_text(json.dumps(content))


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


def test_a_failed_save_leaves_no_files_and_keeps_the_old_profile(saved, monkeypatch):
    from dimmagen.dimmers import profile

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(profile, "save_file", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_profile(saved.folder, models(seed=1), "mdn", {}, replace=True)
    assert open_profile(saved.folder) == saved
    assert [place.name for place in saved.folder.parent.iterdir()] == ["phone"]


def test_a_profile_is_saved_in_a_hidden_folder_beside_its_place(tmp_path, monkeypatch):
    save_file, places = profiles.save_file, set()
    monkeypatch.setattr(
        profiles, "save_file", lambda *given: places.add(given[1].parent) or save_file(*given)
    )
    save_profile(tmp_path / "phone", models(), "mdn", {})
    [place] = places
    assert (place.parent, place.name[:7], place.suffix) == (tmp_path, ".phone.", ".tmp")
    assert not place.exists()


def test_a_users_profile_has_the_name_that_it_is_asked_for_by():
    saved = save_profile(user_profiles_folder() / "phone", models(), "mdn", {})
    saved.folder.rename(saved.folder.parent / "other")
    assert open_profile("other").name == "other"
    assert open_profile(saved.folder.parent / "other").name == "phone"


def test_bundled_profiles_open_record_their_pairs_and_stay_small():
    names = [place.parent.name for place in BUNDLED.glob("*/profile.json")]
    assert "lol3" in names
    for name in names:
        found = open_profile(name)
        assert found.provenance["pairs"]
        for kind in found.models:
            assert found.model(kind).kind == kind
    assert sum(file.stat().st_size for file in BUNDLED.rglob("*")) < 1_000_000


# Dark pixels of the demo as dimmagen 0.1.0 published them: photo, gamma, exposure, noise seed, SHA-256.
PUBLISHED = [
    ("chelsea", 1.911303, 0.97062, 633608176345182192, "8df3c44d1bff0b4c"),
    ("astronaut", 0.646488, 1.52115, 3378102428431126761, "6d56844c24dd9e40"),
    ("coffee", 1.448925, 0.899677, 6958596251007095494, "7ffadf899245d530"),
]


@pytest.mark.parametrize(("photo", "gamma", "exposure", "noise_seed", "digest"), PUBLISHED)
def test_the_first_version_of_a_bundled_profile_gives_the_pixels_that_were_published(
    photo, gamma, exposure, noise_seed, digest
):
    dark = open_profile("lol3@1").model().dim(getattr(data, photo)(), Draw(gamma, 1.0, exposure, noise_seed))
    assert pixel_sha256(dark).startswith(digest)


def test_a_version_is_found_by_the_fingerprint_that_a_data_set_recorded():
    first, current = open_profile("lol3@1"), open_profile("lol3")
    assert first.fingerprint != current.fingerprint
    found = open_profile("lol3", first.fingerprint)
    assert (found.name, found.fingerprint) == ("lol3", first.fingerprint)
    assert open_profile("lol3", current.fingerprint) == current
    assert open_profile("lol3", "0" * 64) == current


def test_a_worker_builds_the_version_that_was_asked_for():
    first = open_profile("lol3@1").fingerprint
    here = DimmerBuilder("lol3", first)
    for build in (here, pickle.loads(pickle.dumps(here))):
        assert (build().name, build().fingerprint) == ("lol3", first)


def test_a_builder_refuses_at_once_and_is_pickled_without_its_dimmer(saved):
    with pytest.raises(UsageError, match="temperature"):
        DimmerBuilder("linear", temperature=-1.0)
    build = DimmerBuilder(str(saved.folder))
    assert sum(array.nbytes for array in models()[0].files["mdn.safetensors"].values()) > 10_000
    assert len(pickle.dumps(build)) < 1000


def test_every_bundled_profile_has_its_first_version_which_is_not_listed():
    names = [name for name in profile_names() if (BUNDLED / name).is_dir()]
    assert len(names) == 16
    for name in names:
        assert open_profile(f"{name}@1").provenance["pairs"] == open_profile(name).provenance["pairs"]


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


def fields_of(error, kind, match):
    with pytest.raises(kind, match=match) as caught:
        error()
    return caught.value.code, caught.value.fields


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


def test_a_fingerprint_is_the_hash_of_sorted_json():
    text = '{"default_model":"b","models":{"a":{"files":{},"settings":{"x":1,"y":2}}}}'
    entries = {"a": {"settings": {"y": 2, "x": 1}, "files": {}}}
    assert fingerprint_of("b", entries) == hashing.sha256(text.encode())


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


def test_a_profile_of_the_first_schema_without_a_name_and_a_provenance_is_read(saved):
    def strip(content):
        content.update(schema=1)
        del content["name"], content["provenance"]

    rewritten(saved.folder, strip)
    found = open_profile(saved.folder.rename(saved.folder.parent / "a phone"))
    assert (found.name, found.provenance, found.fingerprint) == ("a phone", {}, saved.fingerprint)


def test_a_file_of_a_model_that_is_missing_or_larger_than_any_is_refused(saved, monkeypatch):
    path = saved.folder / "illumination.safetensors"
    size = path.stat().st_size
    monkeypatch.setattr(profiles, "_MAX_FILE", max(file.stat().st_size for file in saved.folder.iterdir()))
    assert open_profile(saved.folder) == saved
    monkeypatch.setattr(profiles, "_MAX_FILE", size - 1)
    too_large = fields_of(lambda: open_profile(saved.folder), DimmagenError, "not what was saved: fit or")
    assert too_large[0] == "damaged"
    monkeypatch.undo()
    path.unlink()
    missing = fields_of(lambda: open_profile(saved.folder), DimmagenError, "is missing or not what was saved")
    assert missing == ("damaged", {"path": str(path)})


def test_a_builder_builds_one_dimmer_and_another_process_its_own(saved, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    options = {"model": "deterministic", "temperature": 0.25, "ladder": (0.5, 1.0)}
    build = DimmerBuilder("phone", **options)
    assert build() is build()
    monkeypatch.chdir("/")
    again = pickle.loads(pickle.dumps(build))
    assert again() is again() is not build()
    assert (
        again().settings()
        == build().settings()
        == ImageDimmer.from_profile(saved.folder, **options).settings()
    )
    assert build().settings()["ladder"] == [0.5, 1.0]
