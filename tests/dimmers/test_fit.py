"""What a fit of all models makes of its parts, and whether a profile is that of some pairs."""

import itertools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.dimmers import fit
from dimmagen.dimmers.base import DIMMERS
from dimmagen.dimmers.camera.stored import model_files
from dimmagen.dimmers.fit import KINDS, fit_models, is_fit_of, refuse_other_fit
from dimmagen.dimmers.mdn.illumination import fit_illumination
from dimmagen.dimmers.mdn.model import DeterministicModel, MdnModel
from dimmagen.dimmers.mdn.network import MixtureDensityNetwork
from dimmagen.dimmers.mdn.reference import ReferenceModel
from dimmagen.dimmers.pair_facts import KEY, PairFacts, former_jpegs
from dimmagen.dimmers.profile import Profile, save_profile
from dimmagen.dimmers.real_pairs import RealPair
from tests.cameras import camera


def pair(number: int) -> RealPair:
    light = np.random.default_rng(number).integers(20, 256, (40, 40, 3), np.uint8)
    return RealPair(f"{number}", light // 7, light, f"{number}" * 64, f"{number + 5}" * 64)


PAIRS = [pair(1), pair(2)]


@pytest.fixture
def fitted(monkeypatch):
    """The fit of the pairs with models that are not searched for, what was asked for, and the progress."""
    asked, told = SimpleNamespace(camera=camera(), network=MixtureDensityNetwork(0.02)), []
    clock = itertools.count(10.0, 4.5)

    def network_fit(pairs, seed, progress):
        asked.of_network = pairs, seed
        progress(0.5)
        progress(1.0)
        return SimpleNamespace(network=asked.network, nats=-3.14159265, held_out="the lowest eighth")

    def camera_fit(*given):
        asked.of_camera = given
        return asked.camera

    monkeypatch.setattr(fit, "fit_camera", camera_fit)
    monkeypatch.setattr(fit, "fit_network", network_fit)
    monkeypatch.setattr(fit, "time", SimpleNamespace(perf_counter=clock.__next__))
    monkeypatch.setattr(fit, "version", lambda name: f"version of {name}")
    asked.fit = fit_models(PAIRS, 7, lambda *stage: told.append(stage))
    asked.told = told
    return asked


def test_all_kinds_are_fitted_to_the_same_pairs_with_the_same_seed(fitted):
    assert fitted.of_camera == fitted.of_network == (PAIRS, 7)
    mdn = "fitting the mdn model"
    assert fitted.told == [("fitting the camera model", 0.0), (mdn, 0.625), (mdn, 1.0)]
    assert tuple(one.kind for one in fitted.fit.models) == KINDS
    assert fitted.fit.camera is fitted.camera
    assert fitted.fit.models[0].settings == model_files(fitted.camera).settings
    assert (fitted.fit.held_out_nats, fitted.fit.held_out, fitted.fit.seconds) == (
        -3.1416,
        "the lowest eighth",
        4.5,
    )


def test_the_provenance_names_the_pairs_by_their_hashes_and_what_decided_the_fit(fitted):
    assert fitted.fit.provenance == {
        "made": "fitted to pairs",
        "pairs": [
            {"name": "1", "dark_sha256": "1" * 64, "light_sha256": "6" * 64},
            {"name": "2", "dark_sha256": "2" * 64, "light_sha256": "7" * 64},
        ],
        "seed": 7,
        KEY: PairFacts.of(PAIRS).model_dump(),
        "network_nats": -3.1416,
        "network_nats_on": "the lowest eighth",
        "versions": {name: f"version of {name}" for name in ("dimmagen", "numpy", "scipy", "torch")},
    }


def test_the_provenance_notes_that_the_dark_images_were_jpegs(fitted):
    former = [replace(one, jpeg_quality=90, was_jpeg=True) for one in PAIRS]
    assert fit_models(former, 7).provenance["notes"] == [former_jpegs(former)]


@pytest.fixture
def saved(fitted, tmp_path) -> Profile:
    return save_profile(tmp_path / "mine", fitted.fit.models, "camera", fitted.fit.provenance)


def test_the_models_of_the_network_have_its_tensors_and_the_statistics_of_the_pairs(fitted, saved):
    statistics = fit_illumination(PAIRS)
    for kind, made, compat in (
        ("mdn", MdnModel, "default"),
        ("deterministic", DeterministicModel, "default"),
        ("mdn", ReferenceModel, "reference"),
    ):
        model = saved.model(kind, compat)
        assert type(model) is made
        assert model.kind == kind
        assert model.gamma_range == (0.3, 2.0)
        if compat == "reference":
            assert (model.tau, model.exposure_spread) == (0.05, 0.0)
            assert model.settings() == {"compat": "reference"}
            continue
        assert model.settings() == ({"compat": "default"} if kind == "mdn" else {})
        assert (model.tau, model.sigma_floor) == (statistics.tau, 0.02)
        assert model.exposure_spread == round(statistics.exposure_spread, 6)
        assert np.array_equal(model.mean, statistics.mean)
        assert np.array_equal(model.std, statistics.std)
        for name, tensor in fitted.network.tensors().items():
            assert np.array_equal(model.network[name], tensor)


@pytest.mark.parametrize("kind", ["mdn", "deterministic"])
def test_a_network_needs_a_folder_and_settings_in_their_ranges(kind, saved):
    assert DIMMERS[kind].parameters() == {}
    with pytest.raises(DimmagenError, match="folder of a profile") as error:
        DIMMERS[kind].load(None, {})
    assert (error.value.code, error.value.fields) == ("missing-argument", {"parameter": "folder"})
    settings = saved.models[kind]["settings"]
    with pytest.raises(DimmagenError, match="sigma_floor"):
        DIMMERS[kind].load(saved.folder, {**settings, "sigma_floor": 1.5})
    changed = DIMMERS[kind].load(saved.folder, {**settings, "gamma_low": 0.5, "gamma_high": 0.75})
    assert changed.gamma_range == (0.5, 0.75)


def test_a_profile_is_the_fit_of_these_pairs_with_this_seed_and_model_only(saved):
    assert is_fit_of(saved, PAIRS, 7, "camera")
    assert not is_fit_of(saved, PAIRS, 8, "camera")
    assert not is_fit_of(saved, PAIRS, 7, "mdn")
    assert not is_fit_of(saved, PAIRS[::-1], 7, "camera")
    assert not is_fit_of(saved, PAIRS[:1], 7, "camera")


def test_a_folder_with_something_else_is_refused(saved, tmp_path):
    refuse_other_fit(Path(saved.folder), PAIRS, 7, "camera")
    with pytest.raises(UsageError, match="not a fit of these pairs") as error:
        refuse_other_fit(Path(saved.folder), PAIRS, 8, "camera")
    assert (error.value.code, error.value.fields) == ("other-settings", {"path": str(saved.folder)})
    (tmp_path / "photos").mkdir()
    with pytest.raises(UsageError, match="is not a profile") as error:
        refuse_other_fit(tmp_path / "photos", PAIRS, 7, "camera")
    assert (error.value.code, error.value.fields) == ("no-room", {"path": str(tmp_path / "photos")})


@pytest.mark.parametrize("seed", [-1, 2**36])
def test_a_seed_is_in_its_range(seed, fitted):
    with pytest.raises(UsageError, match=f"`seed` is {seed}") as error:
        fit_models(PAIRS, seed)
    assert (error.value.code, error.value.fields["parameter"]) == ("out-of-range", "seed")


def test_the_least_and_the_largest_seed_are_taken(fitted):
    for seed in (0, 2**36 - 1):
        assert fit_models(PAIRS, seed).provenance["seed"] == seed
    assert fit_models(PAIRS).provenance["seed"] == 0
