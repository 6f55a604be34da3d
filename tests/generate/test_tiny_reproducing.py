"""Tiny data sets that are made again from their manifests; how photos are scanned for them is only noted."""

import shutil
from collections import Counter
from dataclasses import replace

import pytest

from dimmagen.core.errors import UsageError
from dimmagen.dataset.croissant import CROISSANT
from dimmagen.dataset.manifest import Manifest
from dimmagen.dataset.reader import open_pairs
from dimmagen.generate import reproducing
from dimmagen.generate.growing import open_base
from dimmagen.generate.pair import PairSettings
from dimmagen.generate.regrowing import StagedLightImages
from dimmagen.generate.reproducing import Difference, difference_from, folder_of, open_reproduction
from dimmagen.generate.run import Execution, generate_dataset
from dimmagen.sources.index_pass import ScanExecution
from dimmagen.sources.labels.index import open_labels
from dimmagen.sources.photo_selection import PhotoSelection
from tests.dataset_helpers import build_dimmer, file_hashes, refused
from tests.tiny_set import Noted, TinyLights, make_tiny, tiny_lights

SERIAL = Execution("serial")


@pytest.fixture(scope="module")
def lights(tmp_path_factory):
    return tiny_lights(tmp_path_factory.mktemp("lights"), 4)


@pytest.fixture(scope="module")
def made(lights, tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "out"
    make_tiny(lights, out, variants=2, seed=5, image_format="webp")
    return out


@pytest.fixture
def scanned(monkeypatch, lights):
    """What a scan is asked for; it finds the light images."""

    def scan(sources, **options):
        asked.update(options, sources=sources)
        return asked["found"]

    asked = {"found": lights}
    monkeypatch.setattr(reproducing, "open_light_images", scan)
    return asked


def test_photos_are_scanned_as_they_were_then(made, scanned):
    selection, scanning = PhotoSelection(resize=512), ScanExecution("ray", 3, "head:6379")
    again = open_reproduction(str(made), ["a", "b"], exclude=["c"], selection=selection, scanning=scanning)
    assert scanned == {
        "found": scanned["found"],
        "sources": ["a", "b"],
        "exclude": ["c"],
        "selection": replace(selection, max_side=16383),  # of WebP
        "execution": ScanExecution("ray", 3, "head:6379", cached=False),
        "choose": None,
    }
    assert (again.path, again.manifest) == (str(made), Manifest.load(str(made)))
    assert again.settings == PairSettings(variants=2, seed=5, samples_per_shard=3, image_format="webp")
    assert again.build_dimmer().settings() == build_dimmer().settings()
    assert (again.labels, again.membership) == (None, None)
    open_reproduction(str(made / "manifest.json"), ["a"], profile="linear")
    assert (scanned["exclude"], scanned["selection"]) == ((), PhotoSelection(max_side=16383))
    assert scanned["execution"] == ScanExecution(cached=False)


def test_what_is_made_again_has_the_same_bytes_and_tells_its_progress(made, scanned, tmp_path):
    noted, again = Noted(), open_reproduction(str(made), [])
    manifest = again.make(str(tmp_path / "again"), SERIAL, noted)
    assert manifest == again.manifest
    assert file_hashes(tmp_path / "again") == file_hashes(made)
    assert (noted.totals, noted.made) == ([(4, 8, 0, 0)], 8)


def test_other_photos_are_refused_before_anything_is_written(made, scanned, lights, tmp_path):
    scanned["found"] = replace(lights, listed=lights.listed[1:])
    error = refused(open_reproduction(str(made), []).make, str(tmp_path / "out"), SERIAL)
    assert [one.partition(":")[0] for one in error.fields["changes"]] == ["lights", "lights_sha256"]
    assert error.what == f"tiny is not what {made} was made from ({', '.join(error.fields['changes'])})"
    assert error.todo.endswith(f"; 1 photo missing, such as {lights.listed[0].name!r}")
    first = replace(lights.listed[0], key="folder-0", name="new.jpg")
    scanned["found"] = replace(lights, listed=[first, *lights.listed])
    error = refused(open_reproduction(str(made), []).make, str(tmp_path / "out"), SERIAL)
    assert error.todo.endswith("; 1 photo that it does not have, such as 'new.jpg'")
    assert not (tmp_path / "out").exists()
    (tmp_path / "alone").mkdir()
    shutil.copy(made / "manifest.json", tmp_path / "alone")
    error = refused(open_reproduction(str(tmp_path / "alone"), []).make, str(tmp_path / "out"), SERIAL)
    assert "such as" not in error.todo


def test_another_machine_makes_it_again(made, scanned, monkeypatch, tmp_path):
    again = open_reproduction(str(made), [])
    elsewhere = again.manifest.model_copy(update={"environment": {"machine": "vax"}})
    replace(again, manifest=elsewhere).make(str(tmp_path / "out"), SERIAL)
    assert file_hashes(tmp_path / "out") == file_hashes(made)


def test_labels_are_matched_with_the_light_images(lights, scanned, tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/0.json").write_text("{}")
    spec, out = f"json={tmp_path / 'labels'}", tmp_path / "out"
    settings, labels = PairSettings(samples_per_shard=3), open_labels(spec, lights)
    generate_dataset(lights, build_dimmer, str(out), settings, SERIAL, labels=labels)
    error = refused(open_reproduction, str(out), [])
    assert (error.code, error.fields) == ("missing-argument", {"parameter": "labels"})
    assert error.what == f"the data set of {out} has labels"
    open_reproduction(str(out), [], labels=spec).make(str(tmp_path / "again"), SERIAL)
    assert file_hashes(tmp_path / "again") == file_hashes(out)


def test_labels_of_a_set_that_grew_are_matched_with_all_its_light_images(lights, scanned, tmp_path):
    (tmp_path / "labels").mkdir()
    for number in range(4):
        (tmp_path / "labels" / f"{number}.json").write_text(f'{{"number": {number}}}')
    spec, out, settings = f"json={tmp_path / 'labels'}", tmp_path / "out", PairSettings(samples_per_shard=3)
    for part in (replace(lights, listed=lights.listed[1:]), TinyLights(lights.listed[:1])):
        base, labels = open_base(str(out)), open_labels(spec, part)
        generate_dataset(part, build_dimmer, str(out), settings, SERIAL, base=base, labels=labels)
    open_reproduction(str(out), [], labels=spec).make(str(tmp_path / "again"), SERIAL)
    assert file_hashes(tmp_path / "again") == file_hashes(out)


def test_the_profile_is_looked_for_where_it_is_said_to_be(made, scanned, monkeypatch):
    monkeypatch.setattr(reproducing, "dimmer_from_manifest", lambda *given: given)
    again = open_reproduction(str(made), [], profile="elsewhere")
    assert again.build_dimmer == (again.manifest.settings, "elsewhere")


def test_a_derived_set_is_refused(made, scanned, tmp_path):
    manifest = Manifest.load(str(made))
    changed = manifest.model_copy(update={"settings": {**manifest.settings, "derived_from": []}})
    path = tmp_path / "manifest.json"
    path.write_bytes(changed.model_copy(update={"fingerprint": changed.run.fingerprint}).dump())
    error = refused(open_reproduction, str(path), [])
    assert (type(error), error.code, error.fields) == (UsageError, "usage", {"path": str(path)})
    assert "sources" not in scanned


@pytest.fixture
def grown(lights, tmp_path):
    """The light images in two generations."""
    out, settings = tmp_path / "grown", PairSettings(samples_per_shard=3)
    make_tiny(replace(lights, listed=lights.listed[:3]), out)
    more = TinyLights(lights.listed[3:])
    generate_dataset(more, build_dimmer, str(out), settings, SERIAL, base=open_pairs(out))
    return out


def test_a_set_that_grew_is_made_again_with_the_help_of_its_parquet_files(grown, scanned, tmp_path):
    for path in (grown, grown / "manifest.json"):
        noted, again = Noted(), open_reproduction(str(path), [])
        assert scanned["choose"] == again.membership.choose
        assert isinstance(again.lights, StagedLightImages)
        again.make(str(tmp_path / "again"), SERIAL, noted)
        assert file_hashes(tmp_path / "again") == file_hashes(grown)
        assert noted.totals[0][:2] == (2, 4)
        shutil.rmtree(tmp_path / "again")
    (tmp_path / "alone").mkdir()
    shutil.copy(grown / "manifest.json", tmp_path / "alone")
    error = refused(open_reproduction, str(tmp_path / "alone"), [])
    assert (error.code, error.fields) == ("missing-path", {"path": str(tmp_path / "alone")})


def test_the_folder_of_a_manifest_is_the_one_that_it_is_in(made, monkeypatch, tmp_path):
    assert folder_of(str(made)) == str(made)
    assert folder_of(f"{made}/manifest.json") == f"{made}/"
    monkeypatch.chdir(made)
    assert folder_of("manifest.json") == "."
    (tmp_path / "my-manifest.json").mkdir()
    assert folder_of(str(tmp_path / "my-manifest.json")) == str(tmp_path / "my-manifest.json")


def test_a_difference_has_the_files_and_where_rows_can_be_read_the_stages(made, lights, tmp_path):
    out = tmp_path / "out"
    make_tiny(lights, out, variants=2, seed=6, image_format="webp")
    one, other = Manifest.load(str(made)), Manifest.load(str(out))
    assert difference_from(one, str(made), one, str(made)) == Difference([], Counter())
    found = difference_from(one, str(made), other, str(out))
    assert (found.stages, found.files[0]) == (Counter(draws=8), "shards/train-00000.tar")
    assert CROISSANT in found.files
    assert difference_from(one, f"{made}/manifest.json", other, str(out)) == found
    assert difference_from(one, str(tmp_path / "gone"), other, str(out)) == Difference(found.files, Counter())
    elsewhere = other.model_copy(update={"environment": {"machine": "vax"}})
    without = [name for name in found.files if name != CROISSANT]
    assert difference_from(one, str(made), elsewhere, str(out)).files == without
    alone = one.model_copy(update={"environment": {"machine": "vax"}})
    assert difference_from(one, str(made), alone, str(made)) == Difference([], Counter())
