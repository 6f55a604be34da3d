"""All generations of a data set of tiny images are made again."""

import json
from dataclasses import fields, replace

import pytest

from dimmagen.dataset.compare import assert_same_dataset
from dimmagen.dataset.manifest import Manifest
from dimmagen.dataset.reader import open_pairs
from dimmagen.dataset.verify import verify_dataset
from dimmagen.generate import regrowing
from dimmagen.generate.growing import open_base
from dimmagen.generate.pair import PairSettings
from dimmagen.generate.regrowing import Membership, StagedLightImages, regrow
from dimmagen.generate.removing import remove_from_dataset
from dimmagen.generate.run import generate_dataset
from dimmagen.sources.catalog import CatalogRow
from dimmagen.sources.labels.index import open_labels
from dimmagen.sources.scan import Candidate
from tests.dataset_helpers import build_dimmer, file_hashes, refused
from tests.generate.growing.made import SERIAL
from tests.tiny_set import TinyLights, make_tiny, rejected_row, tiny_lights, with_settings


@pytest.fixture(scope="module")
def all_lights(parts) -> TinyLights:
    """The light images of both generations as a scan finds them: COCO before the folder."""
    return TinyLights([*parts[1].listed, *parts[0].listed], [*parts[1].rejects, *parts[0].rejects])


def test_light_images_are_sorted_by_their_generation(grown, all_lights, parts):
    membership = Membership(open_pairs(grown))
    staged = StagedLightImages(all_lights, membership)
    expected = [*parts[0].listed, *parts[1].listed]
    assert (membership.generations, staged.sizes, len(staged)) == (2, [4, 3], 7)
    assert [*staged] == staged.refs() == expected
    assert staged.refs(3, 5) == expected[3:5]
    assert [*staged.photo_sizes()] == [(ref.width, ref.height) for ref in expected]
    assert [*staged.rejected()] == all_lights.rejects
    assert (staged.origin, staged.others) == (all_lights.origin, all_lights.others)
    assert [membership.generation_of_rejected(row) for row in all_lights.rejects] == [1, 0, 0]
    assert [membership.generation_of(ref) for ref in all_lights] == [1, 1, 1, 0, 0, 0, 0]
    assert StagedLightImages(parts[0], membership).sizes == [4, 0]


def again(grown, lights, out, build=build_dimmer, **options) -> Manifest:
    pairs = open_pairs(grown)
    membership = Membership(pairs)
    staged = StagedLightImages(lights, membership)
    return regrow(pairs, membership, staged, build, str(out), SERIAL, **options)


def test_a_set_that_grew_and_shrank_is_made_again_to_the_same_bytes(grown, copy, all_lights, tmp_path):
    again(grown, all_lights, tmp_path / "again")
    assert file_hashes(tmp_path / "again") == file_hashes(grown)
    remove_from_dataset(str(copy), ["0.png", "c.png"])
    left = replace(
        all_lights,
        listed=[ref for ref in all_lights.listed if ref.name != "0.png"],
        rejects=[row for row in all_lights.rejects if row["name"] != "c.png"],
    )
    again(copy, left, tmp_path / "less")
    assert_same_dataset(copy, tmp_path / "less")
    assert verify_dataset(str(tmp_path / "less")).faults == []


def test_a_rejected_candidate_is_looked_up_once_and_not_for_each_generation(
    grown, all_lights, tmp_path, monkeypatch
):
    asked, look_up = list[str](), Membership.generation_of_rejected

    def counted(self, row):
        asked.append(row["name"])
        return look_up(self, row)

    monkeypatch.setattr(Membership, "generation_of_rejected", counted)
    again(grown, all_lights, tmp_path / "again")
    assert asked == [row["name"] for row in all_lights.rejects]
    assert file_hashes(tmp_path / "again") == file_hashes(grown)


def test_other_photos_than_those_of_each_generation_are_refused(grown, all_lights, tmp_path):
    fewer = replace(all_lights, listed=[ref for ref in all_lights.listed if ref.name != "4.png"])
    error = refused(again, grown, fewer, tmp_path / "out")
    wrong = ["generation 2: 3 photos → 2"]
    assert (error.code, error.fields) == ("other-settings", {"changes": wrong})
    assert error.what == f"tiny does not have the photos that the data set was made from ({wrong[0]})"
    turned = [replace(ref, transform="exif") if ref.name == "0.png" else ref for ref in all_lights.listed]
    error = refused(again, grown, replace(all_lights, listed=turned), tmp_path / "out")
    assert error.fields == {"changes": ["generation 1: lights_sha256"]}
    turned = [replace(ref, transform="exif") if ref.name == "5.jpg" else ref for ref in all_lights.listed]
    error = refused(again, grown, replace(all_lights, listed=turned), tmp_path / "out")
    assert error.fields == {"changes": ["generation 2: lights_sha256"]}
    assert not (tmp_path / "out").exists()


def test_a_shard_of_a_stranger_with_pairs_of_two_variants_is_refused(grown, all_lights, tmp_path):
    pairs = open_pairs(grown)
    shards = list(pairs.manifest.shards)
    samples = [entry.samples for entry in shards]
    assert samples == [2, 2, 2, 2, 3, 3]
    for number, more in ((0, 1), (1, -1)):
        shards[number] = shards[number].model_copy(update={"samples": samples[number] + more})
    wrong = replace(pairs, manifest=pairs.manifest.model_copy(update={"shards": shards}))
    membership = Membership(pairs)
    staged = StagedLightImages(all_lights, membership)
    regrow(wrong, membership, staged, build_dimmer, str(tmp_path / "fits"), SERIAL)
    shards[1] = shards[1].model_copy(update={"samples": 2})
    wrong = replace(pairs, manifest=pairs.manifest.model_copy(update={"shards": shards}))
    error = refused(regrow, wrong, membership, staged, build_dimmer, str(tmp_path / "out"), SERIAL)
    assert (error.code, error.fields) == ("damaged", {"name": "shards/train-00001.tar"})


def candidate(**given) -> Candidate:
    """A candidate of which only some facts are known."""
    nothing = {"int": 0, "float": 0.0, "bool": False, "str": ""}
    empty = {
        field.name: nothing.get(getattr(field.type, "__name__", field.type)) for field in fields(CatalogRow)
    }
    return Candidate(CatalogRow(**{**empty, **given}), {"of": given["name"]})


def test_candidates_are_chosen_as_the_set_has_them(grown, parts):
    membership, ref, b = Membership(open_pairs(grown)), parts[0].listed[0], parts[0].rejects[0]
    photo = {"source": "folder", "key": ref.key, "sha256": ref.sha256}
    known = {name: b[name] for name in ("source", "name", "frame", "sha256", "rule")}
    accepted = candidate(**photo, name=ref.name, accepted=True)
    another = candidate(source="coco", key=parts[1].listed[0].key, name="4.png", accepted=True)
    assert list(membership.choose([accepted, another])) == [accepted, another]
    alone = candidate(**photo, name=ref.name, rule="duplicate")
    assert list(membership.choose([alone])) == [alone]
    assert list(membership.choose([candidate(**{**photo, "key": "folder-0"}, name="x", accepted=True)])) == []
    assert [one.row.name for one in membership.choose([candidate(**known)])] == ["b.png"]
    assert list(membership.choose([candidate(**{**known, "rule": "other"})])) == []
    # A copy that comes first by name is the one that a scan accepts; the set has the other.
    copy_first = candidate(**photo, name="0-copy.png", accepted=True, width=16)
    duplicate = candidate(**photo, name=ref.name, rule="duplicate", reason="of 0-copy.png")
    [chosen] = membership.choose([copy_first, duplicate])
    assert chosen.row == replace(copy_first.row, name=ref.name)
    assert chosen.locator == duplicate.locator


def test_a_duplicate_that_the_set_rejected_is_chosen_as_that(first, parts, tmp_path):
    ref = parts[0].listed[0]
    row = {**rejected_row("a-copy.png", sha256=ref.sha256), "rule": "duplicate"}
    lights = replace(parts[0], rejects=[row])
    make_tiny(lights, tmp_path / "out", variants=2)
    membership = Membership(open_pairs(tmp_path / "out"))
    seen = {"source": "folder", "key": ref.key, "sha256": ref.sha256, "name": "a-copy.png"}
    [one] = membership.choose([candidate(**seen, accepted=True)])
    assert (one.row.accepted, one.row.rule) == (False, "duplicate")
    assert one.row.reason == f"has the same bytes as {ref.name}"
    assert membership.generation_of_rejected(one.row.to_dict()) == 0


def test_a_set_of_three_generations_is_made_again(tmp_path):
    lights, out = tiny_lights(tmp_path / "lights", 4), tmp_path / "out"
    parts = [replace(lights, listed=lights.listed[start:stop]) for start, stop in ((2, 4), (0, 1), (1, 2))]
    for part in parts[1:]:
        part.rejects[:] = []
    make_tiny(parts[0], out)
    for part in parts[1:]:
        settings = PairSettings(samples_per_shard=3)
        generate_dataset(part, build_dimmer, str(out), settings, SERIAL, base=open_base(str(out)))
    again(out, lights, tmp_path / "again")
    assert file_hashes(tmp_path / "again") == file_hashes(out)


def test_the_environment_of_a_set_that_is_made_again_is_that_of_its_model_sources_and_steps(
    grown, all_lights, monkeypatch, tmp_path
):
    def note(*given):
        noted.append(given)
        raise InterruptedError

    noted, pairs = [], with_settings(open_pairs(grown), removed=[])  # so that no hash of photos is compared
    monkeypatch.setattr(regrowing, "environment_for", note)
    lights = replace(all_lights, listed=[replace(ref, transform="exif") for ref in all_lights])
    membership = Membership(pairs)
    staged = StagedLightImages(lights, membership)
    with pytest.raises(InterruptedError):
        regrow(pairs, membership, staged, build_dimmer, str(tmp_path / "out"), SERIAL)
    assert noted == [("linear", {"coco": 3, "folder": 4}, frozenset({"exif"}))]


def test_a_labelled_set_is_made_again_with_its_labels(tmp_path):
    lights, out = tiny_lights(tmp_path / "lights", 3), tmp_path / "out"
    (tmp_path / "labels").mkdir()
    for number in range(3):
        (tmp_path / "labels" / f"{number}.json").write_text(f'{{"number": {number}}}')
    spec, settings = f"json={tmp_path / 'labels'}", PairSettings(samples_per_shard=3)
    for part in (replace(lights, listed=lights.listed[1:]), TinyLights(lights.listed[:1])):
        base, labels = open_base(str(out)), open_labels(spec, part)
        generate_dataset(part, build_dimmer, str(out), settings, SERIAL, base=base, labels=labels)
    staged = StagedLightImages(lights, Membership(open_pairs(out)))
    again(out, lights, tmp_path / "again", labels=open_labels(spec, staged))
    assert file_hashes(tmp_path / "again") == file_hashes(out)
    rows, pairs = open_pairs(out).rows(), open_pairs(out)
    assert [json.loads(pairs.labels(row))["number"] for row in rows] == [int(row["name"][0]) for row in rows]


class OneByOne(TinyLights):
    """Light images of which a slice costs as much as it has."""

    def refs(self, start=0, stop=None):
        assert stop == start + 1
        return super().refs(start, stop)


def test_light_images_by_generation_are_looked_up_one_by_one(grown, all_lights):
    staged = StagedLightImages(OneByOne(all_lights.listed), Membership(open_pairs(grown)))
    assert [*staged] == staged.refs() == [*all_lights.listed[3:], *all_lights.listed[:3]]
