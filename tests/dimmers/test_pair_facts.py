"""What a profile remembers of its pairs, and how pairs of another kind are told from them."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from dimmagen.dimmers.pair_facts import KEY, MOST_LISTED, PairFacts, former_jpegs
from dimmagen.dimmers.profile import Profile
from dimmagen.dimmers.real_pairs import RealPair, load_pairs
from dimmagen.images.camera_name import camera_name


def made_pair(level=20, width=60, height=40, quality=0, camera="") -> RealPair:
    dark, light = (np.full((height, width, 3), one, np.uint8) for one in (level, 200))
    return RealPair("x", dark, light, "", "", quality, camera)


def test_the_facts_are_brightness_sizes_files_and_cameras():
    facts = PairFacts.of(
        [made_pair(51), made_pair(20, camera="A"), made_pair(20, 80, quality=90, camera="A")]
    )
    assert facts.dark == [round(20 / 255, 4)] * 2 + [0.2]
    assert facts.light == [round(200 / 255, 4)] * 3
    assert facts.sizes == [(60, 40), (80, 40)]
    assert facts.cameras == ["A"]
    assert facts.files == "mixed"
    assert PairFacts.of([made_pair(quality=1)]).files == "jpeg"


def test_sizes_and_cameras_are_listed_by_their_frequency_the_first_eight():
    pairs = [made_pair(width=40 + number % 10, camera=f"{number % 10}") for number in range(19)]
    facts = PairFacts.of([*pairs, made_pair(width=45, camera="5")])
    expected = [5, 0, 1, 2, 3, 4, 6, 7]
    assert facts.cameras == [str(number) for number in expected]
    assert facts.sizes == [(40 + number, 40) for number in expected]


@pytest.mark.parametrize(("width", "differs"), [(30, False), (29, True), (120, False), (121, True)])
def test_pictures_of_half_to_twice_the_pixels_are_of_one_kind(width, differs):
    facts, other = PairFacts.of([made_pair()]), PairFacts.of([made_pair(width=width)])
    said = [f"have {width}x40 pixels, the profile's have 60x40"]
    assert facts.differences(other) == said * differs


def test_several_sizes_and_cameras_are_told_as_such():
    facts = PairFacts.of([made_pair(camera="A"), made_pair(camera="B")])
    other = PairFacts.of([made_pair(width=200, camera="C"), made_pair(width=300, camera="D")])
    assert facts.differences(other) == [
        "have 200x40 and others pixels, the profile's have 60x40",
        "are of C, D, the profile's of A, B",
    ]


def test_of_many_pairs_quantiles_of_the_brightness_are_kept():
    facts = PairFacts.of([made_pair(level) for level in range(1, 101)])
    assert len(facts.dark) == MOST_LISTED
    assert (facts.dark[0], facts.dark[-1]) == (round(1 / 255, 4), round(100 / 255, 4))
    assert facts.dark[8] == pytest.approx(50.5 / 255, abs=1e-4)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (
            made_pair(quality=85),
            ["are JPEG files, whose noise is compressed, the profile's are files"],
        ),
        (made_pair(width=120, height=120), ["have 120x120 pixels, the profile's have 60x40"]),
        (made_pair(camera="Canon 5D"), ["are of Canon 5D, the profile's of Nikon D2X"]),
        (made_pair(width=66, camera="Nikon D2X"), []),
        (made_pair(), []),
    ],
)
def test_pairs_of_another_kind_are_told(other, said):
    found = PairFacts.of([made_pair(camera="Nikon D2X")]).differences(PairFacts.of([other]))
    assert len(found) == len(said)
    assert all(one.startswith(words) for one, words in zip(found, said, strict=True))


def was_jpeg(quality):
    return replace(made_pair(quality=quality), was_jpeg=True)


def test_images_that_were_jpegs_are_compressed_as_those_that_are():
    decoded = [PairFacts.of(pairs) for pairs in ([was_jpeg(90)], [made_pair(quality=90), was_jpeg(80)])]
    assert [facts.files for facts in decoded] == ["decoded", "decoded"]
    assert decoded[0].differences(PairFacts.of([made_pair(quality=50)])) == []
    said = "are files without compression losses, the profile's are JPEG files, whose noise is compressed"
    assert decoded[0].differences(PairFacts.of([made_pair()])) == [said]
    assert PairFacts.of([made_pair(), was_jpeg(80)]).files == "mixed"


def test_what_a_fit_makes_of_former_jpegs_is_told():
    lossless, jpeg = made_pair(), made_pair(quality=70)
    found = "dark images are decoded from JPEGs of about quality"
    follows = ": the profile compresses as they were compressed"
    assert former_jpegs([lossless, jpeg]) == ""
    assert former_jpegs([was_jpeg(90), was_jpeg(80), was_jpeg(95)]) == f"the {found} 90{follows}"
    assert former_jpegs([jpeg, was_jpeg(80)]) == f"1 of 2 {found} 80{follows}"
    not_all = ", the others never were JPEGs: the profile does not compress"
    assert former_jpegs([lossless, was_jpeg(80), was_jpeg(90)]) == f"2 of 3 {found} 90{not_all}"


@pytest.mark.parametrize("kept", [None, [], {"files": "jpeg"}, {"dark": [7]}])
def test_a_profile_from_elsewhere_may_remember_anything(kept):
    facts = PairFacts.of([made_pair()])
    profile = Profile("mine", None, "0" * 64, "camera", {}, {KEY: facts.model_dump()})
    assert PairFacts.of_profile(profile) == facts
    assert PairFacts.of_profile(Profile("mine", None, "0" * 64, "camera", {}, {KEY: kept})) is None


def photo(maker: str = "", model: str = "", file_format: str = "JPEG") -> bytes:
    exif = Image.Exif()
    exif[271], exif[272] = maker, model
    stream = io.BytesIO()
    Image.new("RGB", (40, 30), (60, 50, 40)).save(stream, file_format, exif=exif)
    return stream.getvalue()


def test_the_camera_is_named_by_the_exif_data():
    assert camera_name(photo("NIKON", "D2X")) == "NIKON D2X"
    assert camera_name(photo("Canon", "Canon EOS 5D")) == "Canon EOS 5D"
    assert camera_name(photo("A\x1b[2J", "B" * 100)) == ("A\\x1b[2J " + "B" * 100)[:64]
    assert camera_name(photo()) == ""
    assert camera_name(b"no picture") == ""


def test_pairs_are_read_with_their_camera(tmp_path):
    for side in ("low", "high"):
        (tmp_path / side).mkdir()
        (tmp_path / side / "1.jpg").write_bytes(photo("NIKON", "D2X"))
    assert load_pairs(tmp_path)[0].camera == "NIKON D2X"
