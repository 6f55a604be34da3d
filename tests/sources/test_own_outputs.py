"""Data sets, MixHQs and exports are not photos: left out among photos, and refused as a source."""

import shutil

import pytest

import dimmagen
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.dataset.reader import open_pairs
from dimmagen.export.layouts import LAYOUTS
from dimmagen.export.writing import export_pairs
from dimmagen.sources.archives import list_entries
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
