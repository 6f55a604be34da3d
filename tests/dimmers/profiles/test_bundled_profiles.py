"""The profiles of the package, and their versions."""

import pytest
from skimage import data

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
    assert sum(file.stat().st_size for file in BUNDLED.rglob("*") if file.is_file()) < 1_250_000


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
