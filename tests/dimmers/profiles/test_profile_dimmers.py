"""The dimmer of a profile: which model, which settings, and how other processes build it."""

import pickle

import pytest

from dimmagen.core.errors import UsageError
from dimmagen.dimmers.dimmer import DimmerBuilder, ImageDimmer
from dimmagen.dimmers.profile import open_profile, save_profile
from tests.dimmers.profiles.made import models


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
        ("linear", {"brightness": "as-pairs"}, "not fitted to pairs"),
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
