"""The file format of light images: kept where all are of one, the same for all where readers need it."""

import io
import json
import shutil
import tarfile
from unittest.mock import ANY

import numpy as np
import pytest
from PIL import Image

from dimmagen import build_mixhq, verify_mixhq
from dimmagen.core.errors import UsageError
from dimmagen.dataset.compare import assert_same_dataset
from dimmagen.dataset.manifest import Manifest
from dimmagen.dataset.reader import open_pairs
from dimmagen.dataset.verify import verify_dataset
from dimmagen.generate.light_format import measure_conversion
from dimmagen.generate.merge import write_merge
from dimmagen.generate.pair import PairSettings
from dimmagen.generate.run_plan import plan_dataset
from dimmagen.generate.subset import Selection, write_subset
from dimmagen.images import codec
from dimmagen.sources.light_images import open_light_images
from tests.commands import exit_code
from tests.commands import run_command as run
from tests.dataset_helpers import build_dimmer, file_hashes, make, write_photos
from tests.generate.test_replay import stages
from tests.tiny_set import Noted


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two PNG and two JPEG photos, and their data sets by light format; photos of one format, too."""
    folder = tmp_path_factory.mktemp("formats")
    photos = write_photos(folder / "photos", 4)
    for extension in ("png", "jpg"):
        (folder / extension).mkdir()
        for photo in photos.glob(f"photo*.{extension}"):
            (folder / extension / photo.name).write_bytes(photo.read_bytes())
    for light_format in ("auto", "same", "jpg"):
        make(photos, folder / f"out-{light_format}", variants=2, light_format=light_format)
    return folder


def rows(out):
    return {row["key"]: row for row in open_pairs(out).rows()}


def light_files(out):
    """Names of the light members of every shard."""
    names = []
    for shard in sorted((out / "shards").iterdir()):
        with tarfile.open(shard) as tar:
            names += [name for name in tar.getnames() if ".light." in name]
    return {name.rsplit(".", 1)[1] for name in names}


def test_a_jpeg_without_its_end_marker_gets_it_and_no_other_photo_is_converted(folder, tmp_path):
    """Browsers show such a file, and Pillow refuses it."""
    photos = shutil.copytree(folder / "jpg", tmp_path / "photos")
    (unended,) = photos.glob("photo01.jpg")
    whole = unended.read_bytes()
    unended.write_bytes(whole[:-2])
    make(photos, tmp_path / "out", variants=2)
    assert light_files(tmp_path / "out") == {"jpg"}
    pairs = open_pairs(tmp_path / "out")
    found = {row["name"]: (row["transform"], pairs.data(row, "light")) for row in pairs.rows()}
    assert found == {"photo01.jpg": ("eoi", whole), "photo03.jpg": ("verbatim", ANY)}
    build_mixhq([str(photos)], tmp_path / "mixhq")
    assert verify_mixhq(tmp_path / "mixhq").faults == []
    make(tmp_path / "mixhq", tmp_path / "packed", variants=2)
    assert_same_dataset(tmp_path / "packed", tmp_path / "out")
    assert exit_code("verify", tmp_path / "out", "--reproduce", "100%", "--source", photos) == 0


def test_light_images_of_several_formats_become_png_with_the_same_pixels(folder):
    auto, same = rows(folder / "out-auto"), rows(folder / "out-same")
    assert light_files(folder / "out-auto") == {"png"}
    assert light_files(folder / "out-same") == {"jpg", "png"}
    assert auto.keys() == same.keys()
    pairs = open_pairs(folder / "out-auto")
    for key, row in auto.items():
        for column in ("dark_sha256", "light_pixel_sha256", "gamma", "source_sha256", "lightness_before"):
            assert row[column] == same[key][column]
        was_jpeg = same[key]["light_member"].endswith("jpg")
        assert (row["light_sha256"] != same[key]["light_sha256"]) == was_jpeg
        assert row["transform"] == ("lossless" if was_jpeg else "verbatim")
        assert codec.pixel_sha256(codec.decode_rgb8(pairs.data(row, "light"))[0]) == row["light_pixel_sha256"]
    assert verify_dataset(str(folder / "out-auto")).faults == []


@pytest.mark.parametrize("extension", ["png", "jpg"])
@pytest.mark.parametrize("asked", ["auto", "own"])
def test_a_set_of_one_format_has_the_bytes_that_it_always_had(extension, asked, folder, tmp_path):
    make(folder / extension, tmp_path / "same", light_format="same")
    make(folder / extension, tmp_path / "out", light_format=extension if asked == "own" else asked)
    assert file_hashes(tmp_path / "out") == file_hashes(tmp_path / "same")
    manifest = Manifest.load(str(tmp_path / "out"))
    assert "light_format" not in manifest.settings
    assert "--light-format" not in manifest.command
    stored = {row["light_sha256"] for row in rows(tmp_path / "out").values()}
    assert stored == {row["source_sha256"] for row in rows(tmp_path / "out").values()}


def test_stored_as_jpeg_the_dark_image_is_made_from_what_the_set_holds(folder):
    dimmer, pairs = build_dimmer(), open_pairs(folder / "out-jpg")
    assert light_files(folder / "out-jpg") == {"jpg"}
    same = rows(folder / "out-same")
    for row in pairs.rows():
        dark, light = pairs.images(row)
        assert np.array_equal(dark, dimmer.dim(light, dimmer.draw(row["light_key"], row["variant"], 0)))
        assert codec.pixel_sha256(light) == row["light_pixel_sha256"]
        assert codec.lightness(light) == row["lightness_before"]
        was_png = same[row["key"]]["light_member"].endswith("png")
        assert (row["light_pixel_sha256"] != same[row["key"]]["light_pixel_sha256"]) == was_png
        assert row["transform"] == ("jpeg" if was_png else "verbatim")
        with Image.open(io.BytesIO(pairs.data(row, "light"))) as image:
            assert image.format == "JPEG"
    assert verify_dataset(str(folder / "out-jpg")).faults == []


def test_the_format_is_part_of_the_fingerprint_only_where_it_converts(folder):
    manifests = {name: Manifest.load(str(folder / f"out-{name}")) for name in ("auto", "same", "jpg")}
    formats = {name: manifest.settings.get("light_format") for name, manifest in manifests.items()}
    assert formats == {"auto": "png", "same": None, "jpg": "jpg"}
    assert len({manifest.fingerprint for manifest in manifests.values()}) == 3
    for name, option in {"auto": "png", "same": "same", "jpg": "jpg"}.items():
        assert manifests[name].command.endswith(f" --light-format {option}")


def test_a_stopped_run_goes_on_with_its_own_format_only(folder, tmp_path):
    settings = {"photos": folder / "photos", "out": tmp_path / "out", "variants": 2}
    with pytest.raises(KeyboardInterrupt):
        make(**settings, light_format="auto", progress=Noted(stop_after=1))
    with pytest.raises(UsageError, match="light_format: png → not set"):
        make(**settings, light_format="same")
    make(**settings, light_format="png")
    assert_same_dataset(folder / "out-auto", tmp_path / "out")


def test_variants_that_are_made_together_or_one_by_one_are_the_same(folder, tmp_path):
    make(folder / "photos", tmp_path / "out", variants=1, light_format="auto")
    make(folder / "photos", tmp_path / "out", variants=2, light_format="auto")
    assert_same_dataset(folder / "out-auto", tmp_path / "out")


@pytest.mark.parametrize("light_format", ["auto", "jpg"])
def test_every_pair_is_identical_again_from_the_shards_the_photos_and_mixhq(light_format, folder, tmp_path):
    (tmp_path / "gray").mkdir()
    with Image.open(folder / "photos/photo00.png") as photo:
        photo.convert("L").save(tmp_path / "gray/photo.png")
    sources = [f"folder={folder / 'photos'}", f"folder={tmp_path / 'gray'}"]
    out = tmp_path / "out"
    build_mixhq(sources, tmp_path / "mixhq", samples_per_shard=3)
    make(tmp_path / "mixhq", out, light_format=light_format)
    converted = {"auto": {"lossless", "gray"}, "jpg": {"jpeg", "gray+jpeg"}}[light_format]
    assert {row["transform"] for row in rows(out).values()} == {"verbatim", *converted}
    assert stages(out) == {""}
    assert stages(out, *sources) == {""}
    assert stages(out, tmp_path / "mixhq") == {""}


def test_a_light_image_that_was_changed_in_mixhq_differs_in_its_source_bytes(folder, tmp_path):
    build_mixhq([f"folder={folder / 'photos'}"], tmp_path / "mixhq", samples_per_shard=10)
    shard = tmp_path / "mixhq/shards/mixhq-00000.tar"
    with tarfile.open(shard) as tar:
        member = next(one for one in tar if one.name.endswith(".jpg"))
    data = bytearray(shard.read_bytes())
    data[member.offset_data + member.size - 3] ^= 1
    shard.write_bytes(data)
    assert stages(folder / "out-auto", tmp_path / "mixhq") == {"", "source bytes"}


DIM = ("dim", "--profile", "linear", "--executor", "serial", "--samples-per-shard", 3, "--variants", 2)


@pytest.mark.parametrize("name", ["auto", "same", "jpg"])
def test_the_command_and_reproduce_make_the_set_again(name, folder, tmp_path, capsys):
    out, photos = folder / f"out-{name}", folder / "photos"
    words = Manifest.load(str(out)).command.split()[1:]
    places = {"folder=FOLDER": str(photos), "out/": str(tmp_path / "again")}
    assert run(capsys, *(places.get(word, word) for word in words), "--executor", "serial")[0] == 0
    assert_same_dataset(out, tmp_path / "again")
    words = ("reproduce", out, "--source", photos, "--out", tmp_path / "other", "--executor", "serial")
    code, said, _ = run(capsys, *words)
    assert (code, "is identical to" in said) == (0, True)
    assert run(capsys, "verify", out, "--reproduce", "100%", "--source", photos)[0] == 0


def test_the_decision_and_its_cost_are_told_before_the_run(folder, tmp_path, capsys):
    lights = open_light_images([str(folder / "photos")])
    refs = lights.refs()
    plan = plan_dataset(lights, build_dimmer, PairSettings(light_format="auto"))
    measured = measure_conversion(refs, plan.photos.by_extension, plan.light_format)
    same, auto = rows(folder / "out-same"), rows(folder / "out-auto")
    jpegs = [key for key, row in same.items() if row["light_member"].endswith("jpg") and row["variant"] == 0]
    assert (measured.converted, measured.measured) == (2, 2)
    assert measured.bytes_before == sum(same[key]["light_size"] for key in jpegs)
    assert measured.bytes_after == sum(auto[key]["light_size"] for key in jpegs)

    code, said, _ = run(capsys, *DIM, "--source", folder / "photos", "--shards", tmp_path / "no", "--dry-run")
    assert code == 0
    assert "2 of 4 light images (2 jpg, 2 png) are stored as PNG with the same pixels" in said
    assert not (tmp_path / "no").exists()
    code, _, notes = run(capsys, *DIM, "--source", folder / "photos", "--shards", tmp_path / "a")
    assert code == 0
    assert "are stored as PNG with the same pixels, about" in notes
    assert_same_dataset(folder / "out-auto", tmp_path / "a")
    _, _, notes = run(
        capsys, *DIM, "--source", folder / "photos", "--shards", tmp_path / "b", "--light-format", "jpg"
    )
    assert "Warning: 2 of 4 light images (2 jpg, 2 png) are stored as JPEG" in notes
    _, _, notes = run(
        capsys, *DIM, "--source", folder / "photos", "--shards", tmp_path / "c", "--light-format", "same"
    )
    assert "light images keep their file formats (2 jpg, 2 png)" in notes
    _, _, notes = run(capsys, *DIM, "--source", folder / "jpg", "--shards", tmp_path / "d")
    assert "Light" not in notes
    assert "light images" not in notes


def test_a_plan_counts_the_bytes_of_the_format_that_will_be_stored(folder, capsys):
    words = (
        "plan",
        "--profile",
        "linear",
        "--executor",
        "serial",
        "--source",
        folder / "photos",
        "--json",
        "-",
    )
    figures = {}
    for light_format in ("auto", "same"):
        figures[light_format] = json.loads(
            run(capsys, *words, "--light-format", light_format, "--json", "-")[1]
        )
    assert figures["auto"]["settings"]["light_format"] == "png"
    assert figures["auto"]["light_images"]["converted"] == 2
    extra = figures["auto"]["light_images"]["bytes_after"] - figures["auto"]["light_images"]["bytes_before"]
    sizes = {name: values["bytes"]["shards"]["expected"] for name, values in figures.items()}
    assert sizes["auto"] - sizes["same"] == pytest.approx(extra, rel=0.02)


def test_an_unknown_format_is_refused(folder, tmp_path):
    with pytest.raises(UsageError, match="light format"):
        make(folder / "photos", tmp_path / "out", light_format="jpeg")


def test_a_merge_of_two_formats_becomes_png_and_keeps_equal_pairs_once(folder, tmp_path, capsys):
    for extension in ("png", "jpg"):
        make(folder / extension, tmp_path / extension, light_format="auto")
    sets = [open_pairs(tmp_path / extension) for extension in ("png", "jpg")]
    told = []
    write_merge(sets, str(tmp_path / "same"))
    write_merge(sets, str(tmp_path / "auto"), light_format="auto", on_conversion=told.append)
    assert light_files(tmp_path / "same") == {"jpg", "png"}
    assert light_files(tmp_path / "auto") == {"png"}
    assert [(one.converted, one.light_format) for one in told] == [(2, "png")]
    same, auto = rows(tmp_path / "same"), rows(tmp_path / "auto")
    assert {key: row["light_pixel_sha256"] for key, row in auto.items()} == {
        key: row["light_pixel_sha256"] for key, row in same.items()
    }
    assert verify_dataset(str(tmp_path / "auto")).faults == []
    with pytest.raises(UsageError, match="JPEG would change these"):
        write_merge(sets, str(tmp_path / "jpg-again"), light_format="jpg")

    whole = [open_pairs(folder / "out-auto"), open_pairs(tmp_path / "jpg")]  # the same pairs, other files
    assert write_merge(whole, str(tmp_path / "once")).counts.pairs == 8

    code, _, notes = run(capsys, "merge", tmp_path / "png", tmp_path / "jpg", "--out", tmp_path / "told")
    assert (code, "2 of 4 light images (2 jpg, 2 png) are stored as PNG" in notes) == (0, True)
    assert_same_dataset(tmp_path / "auto", tmp_path / "told")


def test_a_subset_of_a_converted_set_can_be_made_again(folder, tmp_path):
    write_subset(open_pairs(folder / "out-auto"), Selection(gamma=(0.1, 3)), str(tmp_path / "out"))
    assert light_files(tmp_path / "out") == {"png"}
    assert stages(tmp_path / "out", folder / "photos") == {""}


def test_photos_of_one_format_are_added_to_a_set_that_converts(folder, tmp_path, capsys):
    words = ["dim", "--profile", "linear", "--executor", "serial", "--source", str(folder / "photos")]
    out = ["--shards", str(tmp_path / "out")]
    (tmp_path / "more").mkdir()
    pixels = codec.decode_rgb8((folder / "png" / "photo00.png").read_bytes())[0]
    (tmp_path / "more" / "new.png").write_bytes(codec.encode_png(np.ascontiguousarray(pixels[::-1])))
    for added in ([], ["--source", str(tmp_path / "more"), "--add"]):
        assert exit_code(*words, *added, *out) == 0
    assert "5 pairs of 5 photos" in capsys.readouterr().out
    assert light_files(tmp_path / "out") == {"png"}
