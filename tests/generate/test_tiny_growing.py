"""Data sets of tiny images that grow and shrink: what their manifests record, and what is made again."""

import json
import shutil
from dataclasses import fields, replace
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dimmagen.core import hashing
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.lock import STATE
from dimmagen.dataset.compare import assert_same_dataset
from dimmagen.dataset.generations import (
    Generation,
    generations_of,
    joined_sha256,
    removals_of,
    shards_of,
)
from dimmagen.dataset.manifest import EXCLUDE, Manifest, Run, census
from dimmagen.dataset.reader import open_pairs
from dimmagen.dataset.sheet import choose_rows, pair_views
from dimmagen.dataset.verify import verify_dataset
from dimmagen.generate import growing, regrowing
from dimmagen.generate.finalize import SHEET_PAIRS, SHEET_WIDTH
from dimmagen.generate.growing import (
    begin_addition,
    earlier_photos,
    grown_run,
    has_nothing_new,
    light_files,
    light_format_of_addition,
    light_sizes,
    next_rejected,
    next_shard,
    open_base,
    refuse_other_settings,
    rejected_files,
    rejected_name,
    rejected_rows,
)
from dimmagen.generate.pair import PairSettings
from dimmagen.generate.regrowing import Membership, StagedLightImages, regrow
from dimmagen.generate.removing import remove_photos
from dimmagen.generate.resume import DatasetFolder
from dimmagen.generate.run import Execution, generate_dataset
from dimmagen.images.sheets import contact_sheet, jpeg_bytes
from dimmagen.sources.catalog import CatalogRow
from dimmagen.sources.labels.index import open_labels
from dimmagen.sources.photo_selection import PhotoSelection
from dimmagen.sources.scan import Candidate
from dimmagen.sources.takedown import Removed, hash_of_photo
from tests.dataset_helpers import build_dimmer, file_hashes
from tests.generate.test_tiny_runs import assert_described
from tests.tiny_set import TinyLights, make_tiny, memory_url, rejected_row, tiny_lights

SERIAL, SETTINGS = Execution("serial"), PairSettings(variants=2, samples_per_shard=3)


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> list[TinyLights]:
    """4 light images of a folder and 3 of COCO; each with rejected candidates."""
    place = tmp_path_factory.mktemp("lights")
    first, second = tiny_lights(place / "a", 4), tiny_lights(place / "b", 3, first=4, source="coco")
    first.rejects[:] = [rejected_row("b.png", sha256="b" * 64), rejected_row("c.png", sha256="c" * 64)]
    second.rejects[:] = [rejected_row("d.png", "coco", sha256="")]
    return [first, second]


@pytest.fixture(scope="module")
def first(parts, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("first") / "out"
    make_tiny(parts[0], out, variants=2)
    return out


@pytest.fixture(scope="module")
def grown(parts, first, tmp_path_factory) -> Path:
    """6 shards: 2 for each variant of the first 4 images, and one for each of the next 3."""
    out = shutil.copytree(first, tmp_path_factory.mktemp("grown") / "out")
    generate_dataset(parts[1], build_dimmer, str(out), SETTINGS, SERIAL, base=open_base(str(out)))
    return out


@pytest.fixture
def copy(grown, tmp_path) -> Path:
    return shutil.copytree(grown, tmp_path / "out")


def refused(call, *arguments) -> DimmagenError:
    with pytest.raises(DimmagenError) as caught:
        call(*arguments)
    return caught.value


def with_settings(pairs, **changes):
    """The same pairs under a manifest with other settings; of None there is none."""
    settings = {**pairs.manifest.settings, **changes}
    settings = {name: value for name, value in settings.items() if value is not None}
    return replace(pairs, manifest=pairs.manifest.model_copy(update={"settings": settings}))


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
    assert rejected_files(manifest) == ["rejected/candidates-00001.parquet", "rejected/candidates.parquet"]
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


def test_a_data_set_to_add_to_is_a_finished_one_that_is_not_derived(grown, tmp_path):
    assert open_base(str(tmp_path)) is None
    assert open_base(str(grown)).manifest == Manifest.load(str(grown))
    error = refused(generations_of, with_settings(open_pairs(grown), derived_from=[]).manifest)
    assert (type(error), error.code) == (UsageError, "usage")


def test_what_a_set_holds_is_its_photos_its_rejected_candidates_and_what_was_taken_out(grown, monkeypatch):
    class Noted:
        def __init__(self, names, removed):
            self.names, self.removed, self.rejected = names, [*removed], []

        def add_rejected(self, *parts):
            self.rejected.append(parts)

    monkeypatch.setattr(growing, "Earlier", Noted)
    removal = {"list_sha256": "1" * 64, "pairs": 2, "shards": 1, "generations": 1}
    removed = [{**removal, "photos": [digit * 64]} for digit in "23"]
    pairs = with_settings(open_pairs(grown), removed=removed)
    found = earlier_photos(pairs)
    assert found.names == {row["light_key"]: row["name"] for row in pairs.rows()}
    assert len(found.names) == 7
    assert found.removed == ["2" * 64, "3" * 64]
    assert found.rejected == [
        ("coco", "d.png", "", "", "size"),
        ("folder", "b.png", "", "b" * 64, "size"),
        ("folder", "c.png", "", "c" * 64, "size"),
    ]
    assert [one.photos for one in removals_of(pairs.manifest)] == [["2" * 64], ["3" * 64]]


def begin(out, selection=None, resume="if-possible", settings=SETTINGS):
    return begin_addition(str(out), selection or PhotoSelection(), resume, build_dimmer, settings)


def test_an_addition_is_checked_before_a_photo_is_read(grown, tmp_path):
    base, earlier = begin(grown)
    assert base.manifest == Manifest.load(str(grown))
    assert earlier.known == 0
    assert begin(tmp_path, settings=None) == (None, None)
    error = refused(begin, tmp_path, PhotoSelection(limit=3))
    assert (error.code, error.fields) == ("conflict", {"parameters": ("limit", "add")})
    for resume in ("always", "never"):
        error = refused(begin, tmp_path, None, resume)
        assert f'`resume="{resume}"` does not go with `add`' in error.what
        assert (error.code, error.fields) == ("conflict", {"parameters": ("resume", "add")})
    error = refused(begin, grown, None, "if-possible", replace(SETTINGS, seed=3))
    assert error.fields == {"differences": ["seed: 0 → 3"]}


def test_the_exclusion_of_the_set_is_not_compared_before_its_scenes_are_read(grown, monkeypatch):
    base = with_settings(open_pairs(grown), **{EXCLUDE: "5" * 64})
    monkeypatch.setattr(growing, "open_base", lambda out: base)
    assert begin(grown)[0] == base


def test_with_nothing_new_a_stopped_addition_is_dropped(copy):
    before, nothing, base = file_hashes(copy), TinyLights([]), open_base(str(copy))
    run = Run({**base.manifest.settings, "lights": 8}, base.manifest.environment)
    DatasetFolder(str(copy)).begin_addition(base.manifest, run, {})
    (copy / "shards/train-00006.tar").write_bytes(b"of the addition")
    assert not has_nothing_new(TinyLights([], [rejected_row("e.png")]), base)
    assert (copy / "shards/train-00006.tar").exists()
    assert has_nothing_new(nothing, base)
    assert file_hashes(copy) == before
    assert not (copy / STATE).exists()
    other = replace(base, manifest=base.manifest.model_copy(update={"command": "another"}))
    assert refused(has_nothing_new, nothing, other).code == "locked"


def test_some_photos_are_something_new(grown, parts):
    assert not has_nothing_new(replace(parts[0], rejects=[]), open_base(str(grown)))


NEW = {"lights": 2, "lights_sha256": "9" * 64}


@pytest.fixture
def base(grown) -> Manifest:
    return open_pairs(grown).manifest


def settings_of(base: Manifest, **changes) -> dict:
    """Those of a data set of new photos alone."""
    kept = {name: value for name, value in base.settings.items() if name not in ("generations", "removed")}
    return {**kept, **NEW, **changes}


def test_settings_that_differ_are_refused_by_name_with_both_values(base):
    error = refused(refuse_other_settings, base, settings_of(base, seed=9, variants=1))
    assert error.fields == {"differences": ["seed: 0 → 9", "variants: 2 → 1"]}
    assert error.what == (
        "the data set was made with other settings:\n    seed: 0 → 9\n    variants: 2 → 1\n"
        "Give the same ones to add photos to it, or choose another `out` folder"
    )
    varying = {"light_format": "png", "source_terms": {}, "labels": {}, "generations": [], "removed": []}
    refuse_other_settings(base, settings_of(base, **varying))


@pytest.mark.parametrize(
    ("has_grown", "advice"),
    [
        (True, " for more variants of all photos: the pairs that are here will have the same pixels there"),
        (False, ". More variants come before more photos: without `add`, of the photos that are there"),
    ],
)
def test_more_variants_are_refused_with_where_they_come(has_grown, advice, base, first):
    base = base if has_grown else Manifest.load(str(first))
    error = refused(refuse_other_settings, base, settings_of(base, variants=3))
    assert error.fields == {"differences": ["variants: 2 → 3"]}
    assert error.what.endswith(f"choose another `out` folder{advice}")


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


def rows_of(out, number=0) -> list[dict]:
    return [row for row in open_pairs(out).rows() if row["name"].startswith(f"{number}.")]


def test_a_photo_that_is_taken_out_leaves_numbers_and_hashes(copy, grown, parts):
    started, done = [], []
    before, rows = Manifest.load(str(copy)), open_pairs(copy).rows()
    lines = ["0.png", "c.png"]
    removed = remove_photos(str(copy), lines, False, started.append, lambda: done.append(1))
    hit = sorted({row["shard"] for row in rows_of(grown)})
    kept = [row for row in rows if row["shard"] in hit and row["name"] != "0.png"]
    assert removed == Removed(2, 2, 2, 1, ())
    assert (started, len(done)) == ([len(kept)], len(kept))
    manifest = Manifest.load(str(copy))
    names = [entry.name for entry in before.shards]
    anew = dict(zip(hit, ("shards/train-00006.tar", "shards/train-00007.tar"), strict=True))
    assert [entry.name for entry in manifest.shards] == [anew.get(name, name) for name in names]
    assert sorted(path.name for path in (copy / "shards").iterdir()) == sorted(
        Path(entry.name).name for entry in manifest.shards
    )
    photos = sorted(map(hash_of_photo, (parts[0].listed[0].sha256, "c" * 64)))
    sha256 = hashing.sha256("\n".join(lines).encode())
    assert manifest.settings["removed"] == [
        {"list_sha256": sha256, "photos": photos, "pairs": 2, "shards": 2, "generations": 2}
    ]
    first_one, second_one = before.settings["generations"]
    changed = {"lights": 3, "by_source": {"folder": 3}, "rejected": "rejected/candidates-00002.parquet"}
    assert manifest.settings["generations"] == [{**first_one, **changed}, second_one]
    assert manifest.settings["lights"] == 6
    assert manifest.settings["lights_sha256"] == before.settings["lights_sha256"]
    assert manifest.counts.lights_by_source == {"coco": 3, "folder": 3}
    assert (manifest.counts.pairs, manifest.counts.rejected) == (12, 2)
    assert (manifest.command, manifest.environment) == (before.command, before.environment)
    assert verify_dataset(str(copy)).faults == []
    left = pq.read_table(copy / "rejected/candidates-00002.parquet").to_pylist()
    assert [row["name"] for row in left] == ["b.png"]
    assert not (copy / "rejected/candidates.parquet").exists()


def test_what_is_left_is_as_it_was_and_the_sheet_shows_it(copy, grown):
    remove_photos(str(copy), ["0.png"])
    old = {row["key"]: row for row in open_pairs(grown).rows()}
    pairs = open_pairs(copy)
    for row in pairs.rows():
        same = {name for name in row if name != "shard" and not name.endswith("offset")}
        assert {name: row[name] for name in same} == {name: old[row["key"]][name] for name in same}
    shown = choose_rows(iter([pairs.table]), 2, SHEET_PAIRS)
    sheet = jpeg_bytes(contact_sheet(pair_views(pairs, shown), width=SHEET_WIDTH))
    assert (copy / "sheet.jpg").read_bytes() == sheet
    assert "jpg" in (copy / "README.md").read_text()


def test_a_shard_that_only_had_what_was_taken_out_is_dropped(copy, grown):
    [*_, last] = Manifest.load(str(copy)).shards
    keys = [row["key"] for row in open_pairs(grown).rows() if row["shard"] == last.name]
    removed = remove_photos(str(copy), [*keys, "nobody"], ignore_unknown=True)
    assert removed == Removed(3, 6, 2, 0, ("nobody",))
    manifest = Manifest.load(str(copy))
    assert [entry.name for entry in manifest.shards] == [f"shards/train-0000{n}.tar" for n in range(4)]
    generation = manifest.settings["generations"][1]
    assert (generation["lights"], generation["by_source"], generation["shards"]) == (0, {}, 0)
    assert manifest.counts.lights_by_source == {"folder": 4}
    assert verify_dataset(str(copy)).faults == []
    assert next_shard(manifest) == 4


def test_a_second_removal_is_recorded_behind_the_first(copy):
    remove_photos(str(copy), ["0.png"])
    before = file_hashes(copy)
    assert remove_photos(str(copy), ["0.png"]) == Removed(0, 0, 0, 0, ("0.png",))
    assert file_hashes(copy) == before
    error = refused(remove_photos, str(copy), ["0.png", "x", "coco-"])
    assert (error.code, error.fields["path"]) == ("unknown-name", str(copy))
    assert error.fields["names"] == ["0.png", "coco-", "x"]
    assert remove_photos(str(copy), ["x"], ignore_unknown=True) == Removed(0, 0, 0, 0, ("x",))
    assert remove_photos(str(copy), ["d.png"]) == Removed(1, 0, 0, 1, ())
    first_one, second_one = Manifest.load(str(copy)).settings["removed"]
    assert (first_one["pairs"], second_one["pairs"], second_one["shards"]) == (2, 0, 0)
    assert second_one["photos"] == [hash_of_photo("coco=d.png")]


def test_nothing_is_changed_where_no_pair_would_be_left_or_a_set_is_derived(copy, grown):
    names = {row["name"] for row in open_pairs(grown).rows()}
    error = refused(remove_photos, str(copy), names)
    assert (error.code, error.fields) == ("no-match", {"path": str(copy)})
    assert file_hashes(copy) == file_hashes(grown)
    assert not (copy / STATE).exists()


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
    remove_photos(str(copy), ["0.png", "c.png"])
    left = replace(
        all_lights,
        listed=[ref for ref in all_lights.listed if ref.name != "0.png"],
        rejects=[row for row in all_lights.rejects if row["name"] != "c.png"],
    )
    again(copy, left, tmp_path / "less")
    assert_same_dataset(copy, tmp_path / "less")
    assert verify_dataset(str(tmp_path / "less")).faults == []


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


@pytest.mark.parametrize(
    ("asked", "recorded", "before", "new", "chosen"),
    [
        ("auto", "same", ["jpg"], ["jpg"], "same"),
        ("auto", "same", ["png"], ["jpg"], "png"),
        ("auto", "same", ["jpg"], ["png"], None),
        ("jpg", "same", ["jpg"], ["png"], "jpg"),
        ("same", "same", ["jpg"], ["png"], "same"),
        ("auto", "same", ["jpg", "png"], ["png"], "same"),
        ("png", "same", ["jpg", "png"], ["png"], None),
        ("auto", "png", ["png"], ["jpg"], "png"),
        ("auto", "jpg", ["jpg"], ["png"], "jpg"),
        ("same", "png", ["png"], ["jpg"], None),
        ("auto", "same", ["jpg"], [], "same"),
    ],
)
def test_the_light_format_keeps_the_bytes_of_what_is_there(asked, recorded, before, new, chosen):
    if chosen is None:
        with pytest.raises(UsageError, match="those that are there would change"):
            light_format_of_addition(asked, recorded, before, new)
    else:
        assert light_format_of_addition(asked, recorded, before, new) == chosen


def test_with_nothing_new_a_set_at_a_url_is_left_as_it_is(first):
    memory, url = fsspec.filesystem("memory"), memory_url()
    memory.put(str(first), url, recursive=True)
    before = sorted(memory.find(url))
    assert has_nothing_new(TinyLights([]), open_base(url))
    assert sorted(memory.find(url)) == before


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


def test_photos_of_several_shards_and_file_types_are_taken_out_at_once(copy):
    assert remove_photos(str(copy), ["1.jpg", "3.jpg", "5.jpg"]) == Removed(3, 6, 6, 0, ())
    first_one, second_one = assert_described(copy, ["png"]).settings["generations"]
    assert (first_one["lights"], first_one["by_source"]) == (2, {"folder": 2})
    assert (second_one["lights"], second_one["by_source"]) == (2, {"coco": 2})


def test_every_file_of_rejected_candidates_that_names_a_photo_is_written_anew(copy):
    assert remove_photos(str(copy), [f"folder-{'b' * 16}", "d.png"]) == Removed(2, 0, 0, 2, ())
    manifest = Manifest.load(str(copy))
    assert rejected_files(manifest) == [
        "rejected/candidates-00002.parquet",
        "rejected/candidates-00003.parquet",
    ]
    names = [one["rejected"] for one in manifest.settings["generations"]]
    rows = [[row["name"] for row in pq.read_table(copy / name).to_pylist()] for name in names]
    assert rows == [["c.png"], []]


def test_photos_are_taken_out_of_a_set_at_a_url(copy):
    url = memory_url()
    fsspec.filesystem("memory").put(str(copy), url, recursive=True)
    for out in (url, str(copy)):
        assert remove_photos(out, ["0.png"]) == Removed(1, 2, 2, 0, ())
    assert Manifest.load(url) == Manifest.load(str(copy))


def test_what_a_stopped_addition_left_goes_before_a_photo_does(copy):
    base = open_base(str(copy))
    run = Run({**base.manifest.settings, "lights": 8}, base.manifest.environment)
    DatasetFolder(str(copy)).begin_addition(base.manifest, run, {})
    (copy / "shards/train-00006.tar").write_bytes(b"of the addition")
    remove_photos(str(copy), ["0.png"])
    assert verify_dataset(str(copy)).faults == []
    assert not (copy / STATE).exists()


class OneByOne(TinyLights):
    """Light images of which a slice costs as much as it has."""

    def refs(self, start=0, stop=None):
        assert stop == start + 1
        return super().refs(start, stop)


def test_light_images_by_generation_are_looked_up_one_by_one(grown, all_lights):
    staged = StagedLightImages(OneByOne(all_lights.listed), Membership(open_pairs(grown)))
    assert [*staged] == staged.refs() == [*all_lights.listed[3:], *all_lights.listed[:3]]
