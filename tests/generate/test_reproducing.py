"""A whole data set is made again from its manifest and photos, or what differs is known."""

import shutil

import pytest

from dimmagen.core.errors import UsageError
from dimmagen.dataset.compare import assert_same_dataset
from dimmagen.dataset.croissant import CROISSANT
from dimmagen.dataset.manifest import Manifest
from dimmagen.dataset.reader import open_pairs
from dimmagen.dimmers.closed_form import LinearModel
from dimmagen.generate.reproducing import difference_from, open_reproduction
from dimmagen.generate.run import Execution
from dimmagen.generate.subset import Selection, write_subset
from tests.dataset_helpers import make, write_photos

SERIAL = Execution("serial")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reproduced")
    make(write_photos(folder / "photos", 4), folder / "out", variants=2)
    return folder


def again(folder, to, path=None):
    """Manifest and difference of a data set that is made again."""
    original = open_reproduction(path or str(folder / "out"), [str(folder / "photos")])
    made = original.make(str(to), SERIAL)
    return made, difference_from(original.manifest, original.path, made, str(to))


def test_the_same_photos_make_the_same_files(folder, tmp_path):
    _, difference = again(folder, tmp_path / "again")
    assert difference.files == []
    assert not difference.stages
    assert_same_dataset(folder / "out", tmp_path / "again")


def test_what_differs_is_known_by_file_and_with_the_parquet_files_by_stage(folder, tmp_path, monkeypatch):
    dim = LinearModel.dim
    monkeypatch.setattr(LinearModel, "dim", lambda self, light, draw: dim(self, light, draw) // 2)
    _, difference = again(folder, tmp_path / "other")
    assert difference.stages == {"dark pixels": 8}
    assert difference.files[0] == "shards/train-00000.tar"
    shutil.copy(folder / "out/manifest.json", tmp_path)
    _, difference = again(folder, tmp_path / "one-more", str(tmp_path / "manifest.json"))
    assert not difference.stages
    assert difference.files[0] == "shards/train-00000.tar"


def test_croissant_differs_with_the_class_of_the_machine_and_is_no_difference_then(folder):
    manifest = Manifest.load(str(folder / "out"))
    files = [
        file.model_copy(update={"sha256": "0" * 64}) if file.name == CROISSANT else file
        for file in manifest.files
    ]
    here = manifest.model_copy(update={"files": files})
    elsewhere = here.model_copy(update={"environment": {**manifest.environment, "machine": "riscv64"}})
    out = str(folder / "out")
    assert difference_from(manifest, out, here, out).files == [CROISSANT]
    assert difference_from(manifest, out, elsewhere, out).files == []


def test_other_photos_are_refused_with_what_differs_and_nothing_is_written(folder, tmp_path):
    original = open_reproduction(str(folder / "out"), [str(write_photos(tmp_path / "photos", 3))])
    with pytest.raises(UsageError, match=r"is not what .* was made from .*lights: 4 → 3"):
        original.make(str(tmp_path / "again"), SERIAL)
    assert not (tmp_path / "again").exists()


def test_a_place_that_cannot_be_written_to_is_refused_before_a_photo_is_scanned(folder, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="file/again cannot be written to"):
        open_reproduction(str(folder / "out"), [str(tmp_path / "nowhere")], out=str(tmp_path / "file/again"))


def test_a_subset_is_refused_before_a_photo_is_scanned(folder, tmp_path):
    write_subset(open_pairs(str(folder / "out")), Selection(gamma=(0, 99)), str(tmp_path / "subset"))
    with pytest.raises(UsageError, match="describes a subset or a merge"):
        open_reproduction(str(tmp_path / "subset"), [str(tmp_path / "nowhere")])
