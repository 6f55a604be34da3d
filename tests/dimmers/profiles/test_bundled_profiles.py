"""The profiles of the package, and their versions."""

import shutil

import numpy as np
import pytest
from skimage import data

from dimmagen.core.errors import DimmagenError
from dimmagen.dimmers import profile, profile_folders
from dimmagen.dimmers.base import Draw
from dimmagen.dimmers.profile import BUNDLED, open_profile, profile_names
from dimmagen.images.codec import pixel_sha256


def test_bundled_profiles_open_record_their_pairs_and_stay_small():
    names = [place.parent.name for place in BUNDLED.glob("*/profile.json")]
    assert "lol3" in names
    for name in names:
        found = open_profile(name)
        assert found.provenance["pairs"]
        for kind in found.models:
            assert found.model(kind).kind == kind
    assert sum(file.stat().st_size for file in BUNDLED.rglob("*") if file.is_file()) < 1_000_000


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


def test_every_bundled_profile_has_its_first_version_which_is_not_listed():
    names = [name for name in profile_names() if (BUNDLED / name).is_dir()]
    assert len(names) == 16
    for name in names:
        assert open_profile(f"{name}@1").provenance["pairs"] == open_profile(name).provenance["pairs"]


def test_an_earlier_version_has_the_network_of_the_current_one_while_it_is_the_same(tmp_path, monkeypatch):
    for module in (profile, profile_folders):
        monkeypatch.setattr(module, "BUNDLED", tmp_path)
    for name in ("lol3", "lol3@1"):
        shutil.copytree(BUNDLED / name, tmp_path / name)
    now, then = open_profile("lol3").model("mdn"), open_profile("lol3@1").model("mdn")
    assert not (tmp_path / "lol3@1/mdn.safetensors").exists()
    light, draw = data.astronaut()[:64, :64], Draw(1.0, 1.0, 1.0, 3)
    assert np.array_equal(now.dim(light, draw), then.dim(light, draw))
    shutil.copy(BUNDLED / "lol3-e2/mdn.safetensors", tmp_path / "lol3")
    with pytest.raises(DimmagenError, match=r"lol3/mdn\.safetensors is missing or not what was saved"):
        open_profile("lol3@1")


def test_a_users_profile_is_not_completed_by_another(tmp_path, monkeypatch):
    monkeypatch.setenv("DIMMAGEN_PROFILES", str(tmp_path))
    for name in ("own", "own@1"):
        shutil.copytree(BUNDLED / "lol3", tmp_path / name)
    (tmp_path / "own@1/mdn.safetensors").unlink()
    with pytest.raises(DimmagenError, match=r"own@1/mdn\.safetensors is missing"):
        open_profile("own@1")
