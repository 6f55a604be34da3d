"""What the manifest of a data set that grew says of its generations."""

from dataclasses import replace

import pyarrow as pa
import pytest

from dimmagen.core import hashing
from dimmagen.dataset.census import census
from dimmagen.dataset.generations import Generation, generations_of, joined_sha256, removals_of, shards_of
from dimmagen.dataset.manifest import Manifest, Run
from dimmagen.dataset.reader import open_pairs
from dimmagen.dataset.rejected import rejected_entries, rejected_rows
from dimmagen.dataset.verify import verify_dataset
from dimmagen.generate import growing
from dimmagen.generate.growing import (
    grown_run,
    light_files,
    light_sizes,
    next_rejected,
    next_shard,
    rejected_name,
)
from tests.dataset_helpers import refused
from tests.generate.growing.made import NEW, settings_of
from tests.tiny_set import with_settings


def test_the_settings_record_each_generation_and_the_whole(parts, first, grown):
    manifest, before = Manifest.load(str(grown)), Manifest.load(str(first))
    version = before.environment["versions"]["dimmagen"]
    hashes = [census(one).sha256 for one in parts]
    assert manifest.settings["generations"] == [
        {
            "lights": lights,
            "by_source": {source: lights},
            "lights_sha256": sha256,
            "shards": shards,
            "rejected": name,
            "version": version,
        }
        for lights, source, sha256, shards, name in (
            (4, "folder", hashes[0], 4, "rejected/candidates.parquet"),
            (3, "coco", hashes[1], 2, "rejected/candidates-00001.parquet"),
        )
    ]
    joined = hashing.sha256("\n".join(hashes).encode())
    assert (manifest.settings["lights"], manifest.settings["lights_sha256"]) == (7, joined)
    assert joined_sha256(hashes) == joined
    assert joined_sha256(hashes[:1]) == hashes[0]
    assert manifest.environment == before.environment
    assert shards_of(manifest) == [manifest.shards[:4], manifest.shards[4:]]
    assert manifest.counts.lights_by_source == {"coco": 3, "folder": 4}
    assert verify_dataset(str(grown)).faults == []


def test_the_files_of_a_grown_set_are_numbered_on_and_read_in_order(grown, first):
    manifest = Manifest.load(str(grown))
    assert (next_shard(manifest), next_rejected(manifest)) == (6, 2)
    before = Manifest.load(str(first))
    assert (next_shard(before), next_rejected(before)) == (4, 1)
    empty = before.model_copy(update={"shards": [], "files": []})
    assert (next_shard(empty), next_rejected(empty)) == (0, 1)
    assert rejected_name(12) == "rejected/candidates-00012.parquet"
    names = [entry.name for entry in rejected_entries(manifest)]
    assert names == ["rejected/candidates-00001.parquet", "rejected/candidates.parquet"]
    assert [row["name"] for row in rejected_rows(str(grown), manifest)] == ["d.png", "b.png", "c.png"]


def test_file_types_and_sizes_are_those_of_the_stored_light_images(grown):
    pairs = open_pairs(grown)
    assert light_files(pairs) == ["jpg", "png"]
    assert light_sizes(pairs) == {}
    transforms = ["exif+short512+crop256", "verbatim", "short512"]
    members = ["a.b.light.webp", "c.light.webp", "d.light.png"]
    table = pa.table({"transform": transforms, "light_member": members})
    assert light_sizes(replace(pairs, table=table)) == {"resize": 512, "crop": 256}
    assert light_files(replace(pairs, table=table)) == ["png", "webp"]


def grow(base: Manifest, environment=None, **changes) -> Run:
    settings = settings_of(base, **changes)
    return grown_run(base, settings, environment or base.environment, {"folder": 2}, 2)


def test_a_further_generation_is_joined_to_those_that_are_there(base):
    run = grow(base)
    *before, new = run.settings["generations"]
    assert before == base.settings["generations"]
    assert new == {
        **NEW,
        "by_source": {"folder": 2},
        "shards": 2,
        "rejected": "rejected/candidates-00002.parquet",
        "version": base.environment["versions"]["dimmagen"],
    }
    hashes = [one["lights_sha256"] for one in run.settings["generations"]]
    joined = {"lights": 9, "lights_sha256": joined_sha256(hashes), "generations": [*before, new]}
    assert run == Run({**base.settings, **joined}, base.environment)


def test_terms_are_joined_and_what_was_taken_out_stays_recorded(base):
    removed = [{"photos": []}]
    old = base.model_copy(
        update={"settings": {**base.settings, "removed": removed, "source_terms": {"b": "1", "c": "2"}}}
    )
    settings = grow(old, source_terms={"a": "3", "c": "4"}).settings
    assert list(settings["source_terms"].items()) == [("a", "3"), ("b", "1"), ("c", "4")]
    assert settings["removed"] == removed
    assert grow(base, source_terms={"a": "3"}).settings["source_terms"] == {"a": "3"}
    assert grow(old).settings["source_terms"] == {"b": "1", "c": "2"}
    assert not {"source_terms", "removed"} & grow(base).settings.keys()


def test_labels_are_of_the_kind_that_is_there_and_their_hashes_are_joined(base):
    kind = {"format": "voc", "categories": ["cat"]}
    generations = [
        {**one, "labels_sha256": str(n) * 64} for n, one in enumerate(base.settings["generations"])
    ]
    old = base.model_copy(
        update={"settings": {**base.settings, "labels": {**kind, "sha256": "x"}, "generations": generations}}
    )
    settings = grow(old, labels={**kind, "sha256": "7" * 64}).settings
    assert settings["generations"][-1]["labels_sha256"] == "7" * 64
    sha256 = joined_sha256(["0" * 64, "1" * 64, "7" * 64])
    assert settings["labels"] == {**kind, "sha256": sha256}
    for other in ({**kind, "format": "yolo"}, {**kind, "categories": []}, None, {}):
        error = refused(lambda labels: grow(old, labels=labels), other and {**other, "sha256": "7" * 64})
        assert (error.code, error.fields) == ("other-settings", {"parameter": "labels"})
    assert refused(lambda: grow(base, labels={**kind, "sha256": "7" * 64})).code == "other-settings"


HERE = {"machine": "x", "versions": {"dimmagen": "0.1.0", "numpy": "1"}}


@pytest.mark.parametrize(
    ("before", "here", "common"),
    [
        (HERE, HERE, HERE),
        (
            {**HERE, "versions": {**HERE["versions"], "icc": "2"}},
            HERE,
            {**HERE, "versions": {**HERE["versions"], "icc": "2"}},
        ),
        (
            HERE,
            {**HERE, "plugins": {"source moon": "1"}},
            {**HERE, "plugins": {"source moon": "1"}},
        ),
        (
            {**HERE, "plugins": {"source sun": "1"}},
            {**HERE, "plugins": {"source moon": "1"}},
            {**HERE, "plugins": {"source sun": "1", "source moon": "1"}},
        ),
        ({**HERE, "plugins": {"source moon": "1"}}, HERE, {**HERE, "plugins": {"source moon": "1"}}),
        ({**HERE, "plugins": {"source moon": "1"}}, {**HERE, "plugins": {"source moon": "2"}}, None),
        ({**HERE, "machine": "y"}, HERE, None),
        ({**HERE, "versions": {"dimmagen": "0.1.0", "numpy": "2"}}, HERE, None),
        ({**HERE, "more": "z"}, HERE, None),
        (HERE, {**HERE, "more": "z"}, None),
    ],
)
def test_one_environment_is_recorded_where_neither_contradicts_the_other(
    before, here, common, base, monkeypatch
):
    monkeypatch.setattr(growing, "environment_like", lambda recorded: dict(recorded))
    old = base.model_copy(update={"environment": before})
    run = grow(old, environment=here)
    generations = run.settings["generations"]
    assert run.environment == (common or here)
    noted = [one.get("environment") for one in generations]
    assert noted == ([None] * 3 if common else [before, before, None])
    monkeypatch.setattr(growing, "environment_like", lambda recorded: {**recorded, "machine": "other"})
    assert grow(old, environment=here).environment == here  # of a machine that lacks something of it


def test_a_generation_that_has_an_environment_of_its_own_keeps_it(base, monkeypatch):
    generations = [{**base.settings["generations"][0], "environment": {"machine": "old"}}]
    generations += base.settings["generations"][1:]
    old = base.model_copy(
        update={"settings": {**base.settings, "generations": generations}, "environment": HERE}
    )
    run = grow(old, environment={**HERE, "machine": "new"})
    noted = [one.get("environment") for one in run.settings["generations"]]
    assert noted == [{"machine": "old"}, HERE, None]


def test_a_set_that_was_made_at_once_has_one_generation(first, parts):
    manifest = Manifest.load(str(first))
    one = Generation(
        lights=4,
        by_source={"folder": 4},
        lights_sha256=census(parts[0]).sha256,
        shards=4,
        rejected="rejected/candidates.parquet",
        version=manifest.environment["versions"]["dimmagen"],
    )
    assert generations_of(manifest) == [one]
    assert removals_of(manifest) == []
    labelled = with_settings(open_pairs(first), labels={"sha256": "5" * 64}).manifest
    for environment in ({"versions": 3}, {"versions": {}}, {}):
        [found] = generations_of(labelled.model_copy(update={"environment": environment}))
        assert (found.labels_sha256, found.version) == ("5" * 64, "")


@pytest.mark.parametrize(
    ("changes", "name", "fault"),
    [
        ({"generations": 3}, "generations", "'int' object is not iterable"),
        ({"generations": [{}]}, "generations", "Field required"),
        ({"generations": None, "lights": None}, "generations", "'lights'"),
        ({"generations": None, "lights": "4"}, "generations", "Input should be a valid integer"),
        ({"removed": 3}, "removed", "'int' object is not iterable"),
        ({"removed": [{}]}, "removed", "Field required"),
    ],
)
def test_settings_of_a_stranger_that_are_no_generations_are_refused_by_name(changes, name, fault, grown):
    manifest = with_settings(open_pairs(grown), **changes).manifest
    error = refused({"generations": generations_of, "removed": removals_of}[name], manifest)
    assert error.what == f"the manifest's settings cannot be used: {name}: {fault}"
    assert (error.code, error.fields) == ("damaged", {"name": name})


def test_a_set_has_as_many_shards_as_its_generations(grown):
    manifest = Manifest.load(str(grown))
    for shards in (manifest.shards[:-1], [*manifest.shards, manifest.shards[0]]):
        error = refused(shards_of, manifest.model_copy(update={"shards": shards}))
        assert error.what.endswith(f"generations: they have 6 shards, the manifest names {len(shards)}")
