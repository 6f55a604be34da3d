"""Adding photos to a finished data set: what it holds, what stays, and what is made again."""

import json
import shutil
from functools import partial

import numpy as np
import pyarrow.parquet as pq
import pytest

from dimmagen import build_mixhq, make_dataset
from dimmagen.core import hashing
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.dataset.compare import assert_same_dataset
from dimmagen.dataset.generations import shards_of
from dimmagen.dataset.manifest import MANIFEST, Manifest, fingerprint
from dimmagen.dataset.reader import open_pairs
from dimmagen.dataset.rejected import rejected_rows
from dimmagen.dataset.verify import verify_dataset
from dimmagen.generate import growing
from dimmagen.generate.growing import earlier_photos, has_nothing_new, open_base
from dimmagen.generate.merge import write_merge
from dimmagen.generate.pair import PairSettings
from dimmagen.generate.replay import replayer
from dimmagen.generate.reproducing import open_reproduction
from dimmagen.generate.run import Execution, generate_dataset
from dimmagen.generate.subset import Selection, write_subset
from dimmagen.images import codec
from dimmagen.sources import light_images
from dimmagen.sources.light_images import open_light_images
from dimmagen.sources.photo_selection import PhotoSelection
from tests.dataset_helpers import build_dimmer, file_hashes, make, write_photos
from tests.labelled_photos import write_labelled_photos

SETTINGS = {"samples_per_shard": 3, "variants": 2}


def add(photos, out, execution=None, light_format="auto", exclude=(), **settings):
    """Add the photos of a folder to a data set; None if none of its candidates is new."""
    base = open_base(str(out))
    lights = open_light_images([str(photos)], exclude=exclude, choose=earlier_photos(base).new_ones)
    if has_nothing_new(lights, base):
        return None
    settings = PairSettings(**{**SETTINGS, "light_format": light_format, **settings})
    run = partial(generate_dataset, lights, build_dimmer, str(out), settings)
    return run(execution or Execution("serial"), base=base)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder of 5 photos, the same with 4 more and two rejected ones, and that with one more."""
    place = tmp_path_factory.mktemp("photos")
    write_photos(place / "few", 5)
    more = write_photos(place / "more", 9)
    (more / "zz-again.png").write_bytes((more / "photo00.png").read_bytes())
    (more / "dark.png").write_bytes(codec.encode_png(np.zeros((300, 300, 3), np.uint8)))
    write_photos(shutil.copytree(more, place / "most"), 10)
    return place


@pytest.fixture(scope="module")
def grown(folders, tmp_path_factory):
    """A data set of `few` with `more` and then `most` added: 10 photos, 2 variants, 3 generations."""
    out = tmp_path_factory.mktemp("grown") / "out"
    make(folders / "few", out, **SETTINGS)
    shutil.copytree(out, out.with_name("first"))
    add(folders / "more", out)
    shutil.copytree(out, out.with_name("second"))
    add(folders / "most", out)
    return out


@pytest.fixture
def copy(grown, tmp_path):
    return shutil.copytree(grown.with_name("first"), tmp_path / "out")


def test_a_grown_set_holds_what_one_that_is_made_at_once_does(grown, folders, tmp_path):
    make(folders / "most", tmp_path / "at-once", **SETTINGS)
    assert_same_dataset(grown, tmp_path / "at-once", order=False)
    assert verify_dataset(str(grown)).faults == []
    with pytest.raises(AssertionError, match=r"pair folder-.* is only in"):
        assert_same_dataset(grown.with_name("second"), tmp_path / "at-once", order=False)


def test_every_shard_and_every_file_of_rejected_candidates_keeps_its_bytes(grown):
    before = file_hashes(grown.with_name("first"))
    kept = {name: sha256 for name, sha256 in before.items() if "/" in name}
    assert kept.items() <= file_hashes(grown).items()
    assert len(kept) == 2 * 4 + 1


def test_the_manifest_lists_the_generations(grown):
    settings = Manifest.load(str(grown)).settings
    generations, hashes = settings["generations"], [one["lights_sha256"] for one in settings["generations"]]
    assert settings["lights_sha256"] == hashing.sha256("\n".join(hashes).encode())
    assert [one["lights"] for one in generations] == [5, 4, 1]
    assert [one["shards"] for one in generations] == [4, 4, 2]
    assert [one["by_source"] for one in generations] == [{"folder": 5}, {"folder": 4}, {"folder": 1}]
    assert {one["version"] for one in generations} == {"0.1.0"}
    assert "| 3 | 1 | 2 |" in (grown / "README.md").read_text()


def test_a_photo_with_the_bytes_of_one_that_is_there_is_rejected_and_what_is_known_has_no_second_row(grown):
    rows = pq.read_table(grown / "rejected" / "candidates-00001.parquet").to_pylist()
    assert [(row["name"], row["rule"]) for row in rows] == [
        ("dark.png", "min-lightness"),
        ("zz-again.png", "duplicate"),
    ]
    assert rows[1]["reason"] == "has the same bytes as photo00.png"
    assert pq.read_table(grown / "rejected" / "candidates-00002.parquet").num_rows == 0


def test_of_equal_photos_the_earlier_one_stays_where_one_that_is_made_at_once_takes_the_first_by_name(
    copy, folders, tmp_path
):
    more = shutil.copytree(folders / "few", tmp_path / "photos")
    (more / "a-first-by-name.png").write_bytes((more / "photo00.png").read_bytes())
    add(more, copy)
    assert "a-first-by-name.png" not in open_pairs(copy).table["name"].to_pylist()
    row = pq.read_table(copy / "rejected" / "candidates-00001.parquet").to_pylist()[0]
    assert (row["name"], row["reason"]) == ("a-first-by-name.png", "has the same bytes as photo00.png")
    again = _reproduced(copy, more, tmp_path / "again")
    assert file_hashes(again) == file_hashes(copy)


def test_a_photo_of_the_set_stays_in_it_when_the_light_image_of_its_pair_comes(folders, tmp_path):
    """A set that is made at once has the light one alone, and by its name the other is the dark one."""
    photos = write_photos(tmp_path / "photos", 1)
    for side, number in (("low", 2), ("high", 4)):
        (photos / side).mkdir()
        shutil.copy(folders / f"more/photo{number:02d}.png", photos / side / "desk.png")
        make_dataset("linear", [photos], tmp_path / "out", add=side == "high", executor="serial")
    names = ["high/desk.png", "low/desk.png", "photo00.png"]
    assert sorted(row["name"] for row in open_pairs(tmp_path / "out").rows()) == names
    rejected = rejected_rows(str(tmp_path / "out"), Manifest.load(str(tmp_path / "out")))
    assert not {row["name"] for row in rejected} & {*names}
    again = _reproduced(tmp_path / "out", photos, tmp_path / "again")
    assert_same_dataset(tmp_path / "out", again)


def test_labels_are_added_with_their_photos_and_made_again(tmp_path):
    write_labelled_photos(tmp_path)
    labels, photos = f"coco={tmp_path / 'instances.json'}", [str(tmp_path / "photos")]
    make_dataset("linear", photos, tmp_path / "at-once", labels=labels)
    first = ["photo00.png", "photo01.jpg"]
    make_dataset("linear", photos, tmp_path / "out", labels=labels, names=first, light_format="png")
    with pytest.raises(UsageError, match="labels do not match those of the data set"):
        make_dataset("linear", photos, tmp_path / "out", add=True, light_format="png")
    made = make_dataset("linear", photos, tmp_path / "out", labels=labels, add=True, light_format="png")
    assert made.counts.lights == 4
    assert_same_dataset(tmp_path / "out", tmp_path / "at-once", order=False)
    again = _reproduced(tmp_path / "out", tmp_path / "photos", tmp_path / "again", labels=labels)
    assert_same_dataset(tmp_path / "out", again)


def test_nothing_new_changes_nothing(grown, folders):
    before = file_hashes(grown)
    assert add(folders / "most", grown) is None
    assert add(folders / "few", grown) is None
    assert file_hashes(grown) == before


@pytest.mark.slow
@pytest.mark.ray
def test_ray_adds_the_bytes_of_the_serial_run(copy, folders, grown):
    add(folders / "more", copy, Execution("ray", 2))
    assert_same_dataset(copy, grown.with_name("second"))


def _reproduced(out, photos, to, **options):
    open_reproduction(str(out), [str(photos)], **options).make(str(to), Execution("serial"))
    return to


def test_photos_are_added_without_the_scenes_that_the_set_excludes_or_not_at_all(
    folders, tmp_path, monkeypatch
):
    """Also where none of the first photos shows such a scene, and with a MixHQ in place of the photos."""
    split = tmp_path / "split"
    split.mkdir()
    shutil.copy(folders / "more/photo08.png", split)
    few = [folders / "few"]
    make_dataset("linear", few, tmp_path / "out", exclude=[split], follow_links=True, executor="serial")
    with pytest.raises(UsageError, match=r"exclude: 1 picture \(SHA-256 \w{8}, \d+ bits\) → not set"):
        make_dataset("linear", [folders / "more"], tmp_path / "out", add=True, executor="serial")
    build_mixhq([folders / "more"], tmp_path / "all")
    with pytest.raises(UsageError, match=r"exclude: 1 picture \(SHA-256 \w{8}, \d+ bits\) → not set"):
        make_dataset("linear", [tmp_path / "all"], tmp_path / "out", add=True, executor="serial")
    build_mixhq([folders / "more"], tmp_path / "mixhq", exclude=[split])
    make_dataset("linear", [tmp_path / "mixhq"], tmp_path / "out", add=True, executor="serial")
    assert "photo08.png" not in {row["name"] for row in open_pairs(tmp_path / "out").rows()}
    command = Manifest.load(str(tmp_path / "out")).command
    assert "--exclude EXCLUDE" in command
    assert "--follow-links" in command  # of the first photos
    make_dataset("linear", few, tmp_path / "plain", executor="serial")
    monkeypatch.setattr(light_images, "index_candidates", None)  # refused before photos are scanned
    with pytest.raises(UsageError, match=r"exclude: 1 picture .* → not set"):
        make_dataset("linear", [folders / "more"], tmp_path / "out", add=True, executor="serial")
    with pytest.raises(UsageError, match=r"exclude: not set → 1 picture"):
        make_dataset(
            "linear", [folders / "more"], tmp_path / "plain", exclude=[split], add=True, executor="serial"
        )


def test_all_generations_are_made_again_from_the_photos_to_the_same_bytes(grown, folders, tmp_path):
    _reproduced(grown, folders / "most", tmp_path / "again")
    assert_same_dataset(grown, tmp_path / "again")


def test_photos_that_are_not_those_of_a_grown_set_are_refused(grown, folders, tmp_path):
    with pytest.raises(UsageError, match=r"generation 3: 1 photo → 0"):
        _reproduced(grown, folders / "more", tmp_path / "again")


def test_every_pair_of_a_grown_set_can_be_replayed(grown, folders):
    pairs = open_pairs(grown)
    for sources in ([], [str(folders / "most")]):
        replay = replayer(pairs, sources)
        assert all(replay(row).identical for row in pairs.rows())


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"variants": 1}, "variants: 2 → 1"),
        ({"variants": 3}, "variants: 2 → 3"),
        ({"seed": 1}, "seed: 0 → 1"),
        ({"samples_per_shard": 4}, "samples_per_shard: 3 → 4"),
    ],
)
def test_other_settings_are_refused_by_name_and_change_nothing(copy, folders, settings, named):
    before = file_hashes(copy)
    with pytest.raises(UsageError, match=named):
        add(folders / "more", copy, **settings)
    assert file_hashes(copy) == before


def test_more_variants_are_refused_with_what_to_do_instead(copy, grown, folders):
    with pytest.raises(UsageError, match="To get more variants, first run without `add`"):
        add(folders / "more", copy, variants=3)
    make(folders / "few", copy, **{**SETTINGS, "variants": 3})  # which is what that says
    with pytest.raises(UsageError, match="another `out` folder for more variants of all photos"):
        add(folders / "most", grown.with_name("second"), variants=3)


def test_without_add_more_photos_are_refused_with_the_way_to_add_them(copy, folders):
    with pytest.raises(UsageError, match=r"(?s)lights: 5 → 9.*give `add=True`"):
        make(folders / "more", copy, **SETTINGS)


def test_a_set_with_a_limit_and_a_subset_are_not_added_to(grown, folders, tmp_path):
    few = PairSettings(**SETTINGS)
    lights = open_light_images([str(folders / "few")], selection=PhotoSelection(limit=3))
    generate_dataset(lights, build_dimmer, str(tmp_path / "limited"), few, Execution("serial"))
    with pytest.raises(UsageError, match="made with a limit"):
        add(folders / "more", tmp_path / "limited")
    write_subset(open_pairs(grown), Selection(min_side=1), str(tmp_path / "subset"))
    with pytest.raises(UsageError, match="subset or a merge"):
        open_base(str(tmp_path / "subset"))


def test_a_subset_and_a_merge_of_grown_sets_have_their_rows_and_verify(grown, tmp_path):
    pairs = open_pairs(grown)
    subset = write_subset(pairs, Selection(min_side=1), str(tmp_path / "subset"))
    assert "generations" not in subset.settings
    assert (subset.counts.pairs, subset.counts.rejected) == (20, 3)
    write_merge([pairs, open_pairs(grown.with_name("first"))], str(tmp_path / "merge"))
    for name in ("subset", "merge"):
        assert verify_dataset(str(tmp_path / name)).faults == []


def test_another_machine_is_recorded_with_the_generations_that_it_did_not_make(copy, folders, monkeypatch):
    def other(*_):
        found = Manifest.load(str(copy)).environment
        return {**found, "versions": {**found["versions"], "dimmagen": "0.1.1"}}

    monkeypatch.setattr("dimmagen.generate.run_plan.environment_for", other)
    monkeypatch.setattr("dimmagen.generate.preflight.environment_like", lambda recorded: dict(recorded))
    first = Manifest.load(str(copy)).environment
    made = add(folders / "more", copy)
    assert made.environment["versions"]["dimmagen"] == "0.1.1"
    generations = made.settings["generations"]
    assert [one["version"] for one in generations] == ["0.1.0", "0.1.1"]
    assert (generations[0]["environment"], "environment" in generations[1]) == (first, False)


def test_a_set_that_has_changed_since_it_was_read_is_refused(copy, folders, grown, monkeypatch):
    def slow_scan(base):
        shutil.rmtree(copy)
        shutil.copytree(grown, copy)
        return growing.earlier_photos(base)

    monkeypatch.setitem(globals(), "earlier_photos", slow_scan)
    with pytest.raises(DimmagenError, match="has changed since it was read"):
        add(folders / "more", copy)


@pytest.mark.parametrize(
    "generations",
    [[], 3, [3], [{"lights": -1}], [{"lights": 5, "by_source": {}, "lights_sha256": "0" * 64, "shards": 9,
      "rejected": "rejected/candidates.parquet"}]],
)  # fmt: skip
def test_a_manifest_with_wrong_generations_is_refused(copy, generations):
    content = json.loads((copy / MANIFEST).read_text())
    content["settings"]["generations"] = generations
    content["fingerprint"] = fingerprint(content["settings"], content["environment"])
    (copy / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(DimmagenError, match="settings cannot be used: generations"):
        shards_of(Manifest.load(str(copy)))
