"""A MixHQ to which photos are added, and from which photos are taken out."""

import json
import shutil

import pytest

from dimmagen import assert_same_dataset, build_mixhq
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.sources.light_image import load_light_image
from dimmagen.sources.light_images import open_light_images
from dimmagen.sources.mixhq_reading import read_catalog, read_mixhq_manifest
from dimmagen.sources.mixhq_removal import remove_from_mixhq
from tests.dataset_helpers import file_hashes, write_photos

SIZES = {"samples_per_shard": 2}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder of 5 photos, and the same with 3 more, one of which is there twice."""
    place = tmp_path_factory.mktemp("photos")
    write_photos(place / "few", 5)
    more = write_photos(place / "more", 8)
    (more / "twin.png").write_bytes((more / "photo02.png").read_bytes())
    return place


@pytest.fixture(scope="module")
def grown(folders, tmp_path_factory):
    out = tmp_path_factory.mktemp("grown") / "mixhq"
    build_mixhq([str(folders / "few")], out, **SIZES)
    shutil.copytree(out, out.with_name("first"))
    counts = build_mixhq([str(folders / "more")], out, add=True, **SIZES)
    assert (counts["folder"].accepted, counts["folder"].rejected) == (3, {"duplicate": 1})
    return out


@pytest.fixture
def copy(grown, tmp_path):
    return shutil.copytree(grown, tmp_path / "mixhq")


def test_it_holds_what_one_that_is_built_at_once_does(grown, folders, tmp_path):
    build_mixhq([str(folders / "more")], tmp_path / "at-once", **SIZES)
    assert_same_dataset(grown, tmp_path / "at-once", order=False)
    with pytest.raises(AssertionError, match=r"photo05\.jpg .* is only in"):
        assert_same_dataset(grown.with_name("first"), tmp_path / "at-once", order=False)
    one, other = (open_light_images([str(path)]).refs() for path in (grown, tmp_path / "at-once"))
    assert [ref.key for ref in one] == [ref.key for ref in other]
    assert [load_light_image(ref).data for ref in one] == [load_light_image(ref).data for ref in other]


def test_catalog_and_shards_keep_their_bytes_and_the_manifest_lists_the_generations(grown):
    before = file_hashes(grown.with_name("first"))
    kept = {name: sha256 for name, sha256 in before.items() if "/" in name}
    assert kept.items() <= file_hashes(grown).items()
    manifest = read_mixhq_manifest(str(grown))
    assert [(one["samples"], one["shards"]) for one in manifest["generations"]] == [(5, 3), (3, 2)]
    assert manifest["sources"]["folder"]["seen"] == 10
    assert "| 2 | 3 | 2 |" in (grown / "README.md").read_text()


def test_nothing_new_and_other_orders_change_nothing(grown, folders):
    before = file_hashes(grown)
    build_mixhq([str(folders / "more")], grown, add=True, **SIZES)
    build_mixhq([str(folders / "few")], grown, add=True, **SIZES)
    build_mixhq([str(folders / "more")], grown, **SIZES)
    assert file_hashes(grown) == before


def test_a_dry_run_with_nothing_new_leaves_what_a_stopped_addition_kept(copy, tmp_path):
    some = write_photos(tmp_path / "some", 3)
    kept = copy / ".dimmagen" / "scan" / "range"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"kept")
    build_mixhq([str(some)], copy, add=True, dry_run=True, **SIZES)
    assert kept.read_bytes() == b"kept"
    build_mixhq([str(some)], copy, add=True, **SIZES)
    assert not kept.exists()


def test_without_add_other_photos_are_refused_with_the_way_to_add_them(grown, folders):
    with pytest.raises(UsageError, match="give `add=True`"):
        build_mixhq([str(folders / "more"), "sample"], grown, **SIZES)


def test_other_choices_are_refused_by_name(grown, folders):
    before = file_hashes(grown)
    with pytest.raises(UsageError, match=r"min_lightness: 0\.12 → 0\.2, samples_per_shard: 2 → 3"):
        build_mixhq(["sample"], grown, add=True, min_lightness=0.2, samples_per_shard=3)
    with pytest.raises(UsageError, match="`limit` cannot be combined with `add`"):
        build_mixhq(["sample"], grown, add=True, limit=3, **SIZES)
    assert file_hashes(grown) == before


def test_what_another_addition_that_was_stopped_has_left_is_dropped(grown, folders, tmp_path):
    out = shutil.copytree(grown.with_name("first"), tmp_path / "mixhq")
    shutil.copy(out / "catalog" / "part-00000.parquet", out / "catalog" / "part-00001.parquet")
    for number in (3, 9):
        shutil.copy(out / "shards" / "mixhq-00000.tar", out / "shards" / f"mixhq-{number:05d}.tar")
    build_mixhq([str(folders / "more")], out, add=True, **SIZES)
    assert file_hashes(out) == file_hashes(grown)


def test_what_is_left_after_a_removal_is_what_one_without_these_photos_holds(copy, folders, tmp_path):
    done = remove_from_mixhq(str(copy), ["photo02.png", "photo07.jpg"])
    assert (done.photos, done.samples, done.shards, done.rejected) == (2, 2, 2, 1)
    fewer = shutil.copytree(folders / "more", tmp_path / "fewer")
    for name in ("photo02.png", "twin.png", "photo07.jpg"):
        (fewer / name).unlink()
    build_mixhq([str(fewer)], tmp_path / "without", **SIZES)
    assert_same_dataset(copy, tmp_path / "without", order=False)
    refs = open_light_images([str(copy)]).refs()
    assert len([load_light_image(ref) for ref in refs]) == 6


def test_a_removal_writes_what_it_must_and_forgets_the_names(copy, grown):
    remove_from_mixhq(str(copy), ["photo02.png"])
    before, after = file_hashes(grown), file_hashes(copy)
    shards = [name for name in before if name.startswith("shards/")]
    assert sum(name in after and before[name] == after[name] for name in shards) == len(shards) - 1
    everything = b"".join(path.read_bytes() for path in copy.rglob("*") if path.is_file())
    assert b"photo02.png" not in everything
    assert b"twin.png" not in everything
    assert len(read_mixhq_manifest(str(copy))["removed"][0]["photos"]) == 1


def test_what_was_taken_out_does_not_come_back(copy, folders, tmp_path):
    remove_from_mixhq(str(copy), ["photo02.png"])
    most = write_photos(shutil.copytree(folders / "more", tmp_path / "most"), 9)
    counts = build_mixhq([str(most)], copy, add=True, **SIZES)
    assert (counts["folder"].accepted, counts["folder"].rejected) == (1, {})
    assert b"photo02.png" not in b"".join(path.read_bytes() for path in copy.rglob("*") if path.is_file())
    assert remove_from_mixhq(str(copy), ["photo02.png"]).photos == 0


def test_unknown_names_and_all_names_are_refused(copy, grown):
    with pytest.raises(UsageError, match=r"nothing of these names: nobody\.png"):
        remove_from_mixhq(str(copy), ["nobody.png", "photo01.jpg"])
    with pytest.raises(UsageError, match="no light image"):
        remove_from_mixhq(str(copy), [ref.key for ref in open_light_images([str(copy)]).refs()])
    assert file_hashes(copy) == file_hashes(grown)


@pytest.mark.parametrize("schema", ["dimmagen-mixhq-1", "dimmagen-mixhq-2"])
@pytest.mark.parametrize("generations", [[], 3, [{}], [{"catalog": {"name": "../x"}, "sources": {}}]])
def test_a_manifest_with_wrong_generations_is_refused(copy, generations, schema):
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest |= {"generations": generations, "schema": schema}
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DimmagenError, match="is not a MixHQ of this version"):
        open_light_images([str(copy)])


@pytest.mark.parametrize("place", ["begin", "middle", "end"])
def test_nothing_is_taken_out_of_a_shard_that_is_not_that_of_the_manifest(place, copy):
    """It would get a hash of its own, and what has gone wrong with it would be lost in it."""
    row = next(row for row in read_catalog(str(copy)) if row.name == "photo02.png")
    path = copy / row.shard
    whole = path.read_bytes()
    damaged = {
        "begin": whole[:100] + b"?" + whole[101:],
        "middle": whole[: row.offset] + b"?" + whole[row.offset + 1 :],
        "end": whole[:-1024],
    }
    path.write_bytes(damaged[place])
    before = file_hashes(copy)
    with pytest.raises(DimmagenError, match="is not the file that the manifest names") as caught:
        remove_from_mixhq(str(copy), ["photo02.png"])
    assert (caught.value.code, caught.value.fields) == ("damaged", {"path": str(path)})
    assert file_hashes(copy) == before
    path.unlink()
    with pytest.raises(DimmagenError, match="is missing"):
        remove_from_mixhq(str(copy), ["photo02.png"])


def test_a_catalog_that_is_not_that_of_the_manifest_is_not_believed(copy, folders):
    catalogs = [copy / f"catalog/part-0000{number}.parquet" for number in range(2)]
    shutil.copy(catalogs[0], catalogs[1])
    for use in (
        lambda: open_light_images([str(copy)]),
        lambda: remove_from_mixhq(str(copy), ["photo02.png"]),
        lambda: build_mixhq([str(folders / "few"), "sample"], copy, add=True, **SIZES),
    ):
        with pytest.raises(DimmagenError, match="is not the file that the manifest names") as caught:
            use()
        assert (caught.value.code, caught.value.fields) == ("damaged", {"path": str(catalogs[1])})
