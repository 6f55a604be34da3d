"""Data sets, MixHQs and exports are not photos: left out among photos, and refused as a source."""

import shutil

import numpy as np
import pytest
from PIL import Image
from skimage import data as photos

import dimmagen
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.dataset.reader import open_pairs
from dimmagen.export.layouts import LAYOUTS
from dimmagen.export.writing import export_pairs
from dimmagen.images.facts import Metadata
from dimmagen.images.png import encode_png
from dimmagen.images.sheets import png_bytes
from dimmagen.sources import parse_specs
from dimmagen.sources.archives import list_entries
from dimmagen.sources.candidate_files import list_candidate_files
from dimmagen.sources.scan import scan
from tests.dataset_helpers import make, write_photos


@pytest.fixture
def outputs(tmp_path):
    """Photos, and among them a data set, an export and a MixHQ that were made from them."""
    photos = write_photos(tmp_path / "photos", 3)
    make(photos, tmp_path / "out")
    export_pairs(open_pairs(tmp_path / "out"), LAYOUTS["retinexformer"], tmp_path / "exported")
    dimmagen.build_mixhq([str(photos)], tmp_path / "mixhq")
    for name in ("out", "exported", "mixhq"):
        shutil.copytree(tmp_path / name, photos / "deep" / name)
    return photos


def test_own_outputs_among_the_photos_are_left_out_with_a_warning(outputs, tmp_path, caplog):
    named = ["photo00.png", "photo01.jpg", "photo02.png", "tiny.png"]
    assert [entry.name for entry in list_entries(str(outputs))] == named
    for name, kind in (("out", "a data set"), ("exported", "an export"), ("mixhq", "a MixHQ")):
        assert any(f"deep/{name} is left out" in text and kind in text for text in caplog.messages)
    for archive in (shutil.make_archive(tmp_path / "all", one, outputs) for one in ("zip", "tar")):
        assert [entry.name.removeprefix("./") for entry in list_entries(archive)] == named
        told = [text for text in caplog.messages if text.startswith(archive)]
        assert len(told) == 3
        assert all(text.endswith(" that dimmagen made") for text in told)


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        (("run.json", "log.csv", "best.safetensors", "validation/100.png"), "a training run"),
        (("run.json", "log.csv", "checkpoint.safetensors", "validation/100.png"), "a training run"),
        (("profile.json", "camera.safetensors", "profile.png"), "a profile"),
        (("run.json", "log.csv", "a.png"), ""),
        (("profile.json", "a.png"), ""),
    ],
)
def test_runs_and_profiles_among_the_photos_are_left_out_for_their_pictures(tmp_path, caplog, files, kind):
    write_photos(tmp_path / "photos", 1)
    for name in files:
        path = tmp_path / "photos/made" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for place in (tmp_path / "photos", shutil.make_archive(tmp_path / "all", "tar", tmp_path / "photos")):
        found = [entry.name for entry in list_entries(str(place))]
        assert any("made/" in name for name in found) == (not kind)
    if kind:
        assert f"{tmp_path / 'photos/made'} is left out: it is {kind} that dimmagen made\n" in caplog.text
        with pytest.raises(UsageError, match=f"part of {kind}|is {kind}"):
            list_entries(str((tmp_path / "photos/made" / files[-1]).parent))


def test_sheets_and_enhanced_photos_are_no_photos_until_another_program_stores_them(tmp_path):
    light = photos.astronaut()
    exif = Metadata(exif=b"MM\0*\0\0\0\10\0\0\0\0\0\0")
    made = {
        "enhanced.png": encode_png(light, exif, is_result=True),
        "sheet.png": png_bytes(Image.fromarray(light)),
        "light.png": encode_png(light),
    }
    for name, data in made.items():
        (tmp_path / name).write_bytes(data)
    with Image.open(tmp_path / "enhanced.png") as result:
        assert np.array_equal(result, light)
        assert result.info["Software"] == "dimmagen"
        result.save(tmp_path / "stored.png")
    found = {
        one.row.name: one.row.rule for one in scan(list_candidate_files(parse_specs([str(tmp_path)])).files)
    }
    assert found == {
        "enhanced.png": "own-output",
        "sheet.png": "own-output",
        "light.png": "",
        "stored.png": "",
    }


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("out", "is a data set"),
        ("out/shards", "is part of a data set"),
        ("out/shards/train-00000.tar", "is part of a data set"),
        ("exported", "is an export"),
        ("exported/Train/target", "is part of an export"),
        ("mixhq/shards", "is part of a MixHQ"),
    ],
)
def test_an_own_output_as_a_source_is_refused_with_what_to_give_instead(outputs, tmp_path, place, kind):
    with pytest.raises(UsageError, match=f"{kind} that dimmagen made, not photos: give ") as error:
        list_entries(str(tmp_path / place))
    assert error.value.code == "own-output"


def test_a_mixhq_without_its_catalog_is_called_that(outputs, tmp_path, caplog):
    shutil.rmtree(tmp_path / "mixhq/catalog")
    shutil.rmtree(outputs / "deep/mixhq/catalog")
    for place, what in (("mixhq", "is"), ("mixhq/shards", "is part of")):
        with pytest.raises(
            UsageError, match=f"{what} a MixHQ without its catalog that .*from, or copy it again or"
        ):
            list_entries(str(tmp_path / place))
    assert not [entry for entry in list_entries(str(outputs)) if "deep" in entry.name]
    assert any("deep/mixhq is left out: it is a data set or a MixHQ that" in text for text in caplog.messages)
    with pytest.raises(DimmagenError, match="is the manifest of a MixHQ: light images only"):
        open_pairs(tmp_path / "mixhq")


def test_a_shard_that_was_copied_away_is_refused_as_well(outputs, tmp_path):
    shutil.copy(tmp_path / "out/shards/train-00000.tar", tmp_path / "alone.tar")
    with pytest.raises(UsageError, match="is a shard of a data set"):
        list_entries(str(tmp_path / "alone.tar"))
