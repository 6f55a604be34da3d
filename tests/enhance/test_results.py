"""What is written of an enhanced photo, and under which names."""

import numpy as np
import pytest

from dimmagen.enhance.results import Result, enhance_photo, file_names, level_names, requested_lightness
from dimmagen.images.codec import Metadata, decode_rgb8

DARK = np.full((6, 4, 3), 51, np.uint8)


class Uniform:
    """Gives an image of exactly the requested lightness."""

    def enhance(self, dark, lightness):
        return np.full_like(dark, round(255 * lightness))


class Own:
    def choose(self, dark):
        return 0.4


def test_lightnesses_have_as_many_digits_as_make_their_names_different():
    assert level_names([0.3, 0.5, "auto"]) == ["0.30", "0.50", "auto"]
    assert level_names([0.301, 0.302]) == ["0.301", "0.302"]


def test_a_text_stands_for_what_the_network_chooses_or_the_fixed_lightness():
    assert requested_lightness([0.2, "auto"], Own(), DARK) == {"0.20": 0.2, "auto": 0.4}
    assert requested_lightness([0.2, "auto"], None, DARK) == {"0.20": 0.2, "auto": 0.5}


@pytest.mark.parametrize("levels", [[0.2], [0.2, 0.6]])
def test_each_lightness_is_a_file_and_several_are_compared_in_a_sheet(levels, tmp_path):
    requested = requested_lightness(levels, None, DARK)
    results = [*enhance_photo(Uniform(), DARK, Metadata(), requested, tmp_path / "a.b")]
    assert sorted(one.path.name for one in results) == sorted(file_names(["a.b"], levels))
    assert {one.path for one in results} == set(tmp_path.iterdir())
    images = [one for one in results if one.lightness is not None]
    assert images == [
        Result(one.path, 4, 6, pytest.approx(level)) for one, level in zip(images, levels, strict=True)
    ]
    for one, level in zip(images, levels, strict=True):
        assert (decode_rgb8(one.path.read_bytes())[0] == round(255 * level)).all()
    assert len(results) - len(images) == (len(levels) > 1)
