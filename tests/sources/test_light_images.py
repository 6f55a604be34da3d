import json
import pickle
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image
from skimage import data as photos

from dimmagen import build_mixhq
from dimmagen.core import keyed_random
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.images import codec
from dimmagen.sources.light_image import load_light_image
from dimmagen.sources.light_images import open_light_images
from dimmagen.sources.photo_selection import PhotoSelection
from tests.dataset_helpers import write_photos


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photos of every kind of transform: verbatim jpg, png and webp, exif, gray and 16 bit."""
    folder = tmp_path_factory.mktemp("photos")
    astronaut, coffee = Image.fromarray(photos.astronaut()), Image.fromarray(photos.coffee())
    astronaut.save(folder / "a.jpg", quality=90)
    coffee.save(folder / "b.png")
    coffee.rotate(180).save(folder / "c.webp", quality=80)
    exif = Image.Exif()
    exif[0x0112] = 6
    astronaut.save(folder / "d.jpg", quality=80, exif=exif)
    coffee.convert("L").save(folder / "e.jpg")
    Image.fromarray(photos.astronaut()[..., 1].astype(np.uint16) * 256).save(folder / "f.png")
    (folder / "broken.jpg").write_bytes(b"x")
    return folder


def everything(lights):
    """Everything that reaches a data set: the references without their locators, and the images."""
    found = []
    for ref in lights.refs():
        light = load_light_image(ref)
        facts = (
            ref.key,
            ref.source,
            ref.name,
            ref.sha256,
            ref.transform,
            ref.extension,
            ref.width,
            ref.height,
        )
        assert light.pixels.shape == (ref.height, ref.width, 3)
        found.append((facts, light.data, codec.pixel_sha256(light.pixels)))
    return found


def test_the_choices_of_a_mixhq_are_its_own_and_those_of_its_user(tmp_path):
    photos = write_photos(tmp_path / "photos", 4)
    build_mixhq([photos], tmp_path / "mixhq", min_lightness=0.05, limit=3)
    lights = open_light_images([str(tmp_path / "mixhq")], selection=PhotoSelection(limit=2))
    assert (lights.choices, len(lights)) == ({"min_lightness": 0.05, "limit": 2}, 2)
    lights = open_light_images([str(tmp_path / "mixhq")], selection=PhotoSelection(limit=4))
    assert (lights.choices, len(lights)) == ({"min_lightness": 0.05, "limit": 3}, 3)


def test_a_folder_a_zip_and_a_tar_give_the_same_light_images_in_the_same_order(folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive, tarfile.open(tmp_path / "p.tar", "w") as tar:
        for path in sorted(folder.iterdir(), reverse=True):
            archive.write(path, path.name)
            tar.add(path, path.name)
    expected = everything(open_light_images([f"folder={folder}"]))
    assert len(expected) == 6
    assert everything(open_light_images([f"folder={tmp_path / 'p.zip'}"])) == expected
    assert everything(open_light_images([f"folder={tmp_path / 'p.tar'}"])) == expected
    assert everything(open_light_images([str(folder)])) == expected
    assert everything(open_light_images([f"{folder}/*"])) == expected


def test_images_that_need_no_change_keep_their_bytes_and_others_become_lossless_png(folder):
    lights = {ref.name: load_light_image(ref) for ref in open_light_images([str(folder)]).refs()}
    for name in ("a.jpg", "b.png", "c.webp"):
        assert lights[name].ref.transform == "verbatim"
        assert lights[name].data == (folder / name).read_bytes()
    for name, transform in {"d.jpg": "exif", "e.jpg": "gray", "f.png": "16bit+gray"}.items():
        assert lights[name].ref.transform == transform
        assert lights[name].ref.extension == "png"
        decoded, _ = codec.decode_rgb8(lights[name].data)
        np.testing.assert_array_equal(decoded, lights[name].pixels)


def test_the_order_is_a_permutation_by_key_and_more_images_do_not_change_it(folder):
    some = [ref.key for ref in open_light_images([f"{folder}/[a-c]*"]).refs()]
    more = [ref.key for ref in open_light_images([str(folder), "sample"]).refs()]
    assert more == sorted(more, key=lambda key: keyed_random.rank(0, key, "order"))
    assert [key for key in more if key in some] == some


def test_a_reference_alone_is_enough_in_a_fresh_process(folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "p.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    refs = open_light_images([str(tmp_path / "p.zip")]).refs()
    (tmp_path / "refs.pickle").write_bytes(pickle.dumps(list(refs)))
    code = (
        "import pickle, sys; from dimmagen.images import codec; from dimmagen.sources import light_image\n"
        "refs = pickle.load(open(sys.argv[1], 'rb'))\n"
        "print([codec.pixel_sha256(light_image.load_light_image(ref).pixels) for ref in refs])"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "refs.pickle")]
    output = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout
    assert output.strip() == str([codec.pixel_sha256(load_light_image(ref).pixels) for ref in refs])


def test_rejected_candidates_come_with_their_rule(folder):
    (row,) = open_light_images([str(folder)]).rejected()
    assert (row["name"], row["rule"]) == ("broken.jpg", "unreadable")


def test_a_file_that_changes_after_the_index_pass_is_an_error(tmp_path):
    Image.fromarray(photos.astronaut()).save(tmp_path / "a.png")
    (ref,) = open_light_images([str(tmp_path)]).refs()
    Image.fromarray(photos.astronaut()[::-1]).save(tmp_path / "a.png")
    with pytest.raises(DimmagenError, match=r"a\.png of folder has changed since it was indexed"):
        load_light_image(ref)


def test_paths_of_light_images_are_absolute_so_that_workers_may_run_in_another_folder(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    for ref in open_light_images([folder.name]).refs():
        assert json.loads(ref.locator)["path"].startswith("/")


def test_if_no_image_of_a_source_is_accepted_the_error_names_the_rules(tmp_path):
    Image.fromarray(photos.coffee()[:100]).save(tmp_path / "small.png")
    with pytest.raises(DimmagenError, match=r"none of the 1 files.*folder-min-256"):
        open_light_images([str(tmp_path)])


def test_without_a_source_and_without_a_mixhq_the_error_names_the_default_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"no MixHQ in the default folder mixhq/.*build_mixhq"):
        open_light_images()


@pytest.mark.parametrize("origin", ["made", "real"])
def test_frames_of_clips_load_again_as_they_were_judged(origin, clips, request):
    if origin == "real":
        clips = request.getfixturevalue("shared_data") / "sources" / "inter4k"
    lights = open_light_images([f"inter4k={clips}"])
    assert len(lights.refs()) == 6
    for ref in lights.refs():
        assert ref.key.rsplit("-", 1)[1] in ("first", "last")
        light = load_light_image(ref)
        assert light.pixels.shape == (ref.height, ref.width, 3)
        assert light.pixels.std() > 5
