"""Merges of tiny data sets: which pairs, in which order, with which settings and files."""

from dataclasses import replace
from functools import partial

import pyarrow.parquet as pq
import pytest

from dimmagen.core import hashing, keyed_random
from dimmagen.core.errors import UsageError
from dimmagen.dataset.reader import ROWS_ALONE, PairSet, open_pairs
from dimmagen.dataset.schema import WHITE_BALANCE
from dimmagen.dataset.verify import verify_dataset
from dimmagen.dimmers.closed_form import LinearModel
from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.generate.merge import write_merge
from dimmagen.generate.pair import PairSettings
from dimmagen.generate.run import Execution, generate_dataset
from dimmagen.generate.subset import Selection, write_subset
from tests.dataset_helpers import file_hashes
from tests.generate.derived.pair_sets import with_manifest
from tests.tiny_set import tiny_lights


def test_a_merge_has_all_pairs_in_an_order_by_their_keys_and_joins_what_it_is_made_of(one, two, tmp_path):
    manifest = write_merge([one, two], str(tmp_path / "out"))
    made = open_pairs(tmp_path / "out")
    assert verify_dataset(str(tmp_path / "out")).faults == []
    keys = [row["key"] for row in (*one.rows(), *two.rows())]
    assert made.table["key"].to_pylist() == sorted(keys, key=lambda key: keyed_random.rank(0, key, "merge"))
    assert [(entry.name, entry.samples) for entry in manifest.shards] == [
        ("shards/train-00000.tar", 4),
        ("shards/train-00001.tar", 4),
        ("shards/train-00002.tar", 3),
    ]
    assert manifest.counts.lights_by_source == {"coco": 3, "folder": 4}
    settings = {name: manifest.settings[name] for name in ("seed", "variants", "samples_per_shard")}
    assert settings == {"seed": "0 + 7", "variants": 2, "samples_per_shard": 5}
    assert manifest.settings.keys() == {*settings, "profile", "model", "image_format", "derived_from"}
    assert manifest.environment == one.manifest.environment
    other_way = write_merge([two, one], str(tmp_path / "turned")).settings
    assert {name: other_way[name] for name in settings} == settings | {"seed": "7 + 0"}


def test_candidates_that_several_sets_rejected_are_listed_once_sorted_by_name(one, two, tmp_path):
    manifest = write_merge([one, two], str(tmp_path / "out"))
    rows = pq.read_table(tmp_path / "out/rejected/candidates.parquet").to_pylist()
    assert [(row["source"], row["name"], row["frame"]) for row in rows] == [
        ("aa", "a.png", "first"),
        ("coco", "a.png", ""),
        ("folder", "b.png", ""),
        ("folder", "c.png", ""),
    ]
    assert manifest.counts.rejected == 4


def test_sets_of_two_machines_keep_both_environments_and_terms_of_plug_ins(one, two, tmp_path):
    first = with_manifest(one, settings={"source_terms": {"a": "free"}})
    second = with_manifest(
        two, environment={"machine": "other"}, settings={"source_terms": {"b": "not free"}}
    )
    manifest = write_merge([first, second], str(tmp_path / "out"))
    assert manifest.environment == {"merged": [one.manifest.environment, {"machine": "other"}]}
    assert manifest.settings["source_terms"] == {"a": "free", "b": "not free"}
    origin = manifest.settings["derived_from"][1]
    assert origin["settings"] == second.manifest.settings


def test_light_images_become_png_with_the_same_pixels_where_it_is_asked_for(one, two, tmp_path):
    told = []
    manifest = write_merge([one, two], str(tmp_path / "out"), light_format="png", on_conversion=told.append)
    assert manifest.command == "dimmagen merge SET1 SET2 --out out/ --light-format png"
    assert manifest.settings["light_format"] == "png"
    made = {row["key"]: row for row in open_pairs(tmp_path / "out").rows()}
    pairs = open_pairs(tmp_path / "out")
    assert verify_dataset(str(tmp_path / "out")).faults == []
    for row in (*one.rows(), *two.rows()):
        new = made[row["key"]]
        was_jpeg = row["light_member"].endswith(".jpg")
        assert new["light_member"].endswith(".light.png")
        assert new["transform"] == ("lossless" if was_jpeg else "verbatim")
        assert (new["light_sha256"] == row["light_sha256"]) is not was_jpeg
        assert new["light_sha256"] == hashing.sha256(pairs.data(new, "light"))
        assert new["light_pixel_sha256"] == row["light_pixel_sha256"]
    [conversion] = told
    assert (conversion.light_format, conversion.counts) == ("png", {"png": 6, "jpg": 5})
    assert (conversion.converted, conversion.measured) == (5, 3)
    jpegs = {
        row["light_key"]: row for row in (*one.rows(), *two.rows()) if row["light_member"].endswith("jpg")
    }
    before = sum(row["light_size"] for row in jpegs.values())
    after = sum(made[row["key"]]["light_size"] for row in jpegs.values())
    estimate = round(before * 5 / 3), round(after * 5 / 3)  # 3 files were converted for 5 pairs
    assert (conversion.bytes_before, conversion.bytes_after) == estimate


def test_sets_of_one_file_type_need_no_option(one, tmp_path):
    png = [row["key"] for row in one.rows() if row["light_member"].endswith("png")]
    for name, keys in (("a", png[:2]), ("b", png[2:])):
        write_subset(one, Selection(keys=tuple(keys)), str(tmp_path / name))
    told = []
    parts = [open_pairs(tmp_path / name) for name in "ab"]
    manifest = write_merge(parts, str(tmp_path / "out"), light_format="auto", on_conversion=told.append)
    assert manifest.command == "dimmagen merge SET1 SET2 --out out/"
    assert "light_format" not in manifest.settings
    assert [(one.light_format, one.counts, one.converted) for one in told] == [("same", {"png": 4}, 0)]
    assert [len(origin["derived_from"]) for origin in manifest.settings["derived_from"]] == [1, 1]


def test_of_three_pairs_of_one_key_the_equal_ones_are_kept_once_and_the_other_is_renamed(one, tmp_path):
    rows = one.rows()
    dark = [row["dark_sha256"] for row in rows]
    swapped = one.table.set_column(
        one.table.column_names.index("light_pixel_sha256"),
        "light_pixel_sha256",
        [["0" * 64] + [row["light_pixel_sha256"] for row in rows[1:]]],
    )
    other = replace(one, table=swapped)
    manifest = write_merge([one, one, other], str(tmp_path / "out"))
    made = {row["key"]: row for row in open_pairs(tmp_path / "out").rows()}
    renamed = f"{rows[0]['key']}-{one.manifest.fingerprint[:8]}"
    assert made.keys() == {row["key"] for row in rows} | {renamed}
    assert [made[row["key"]]["dark_sha256"] for row in rows] == dark
    assert made[renamed]["light_pixel_sha256"] == "0" * 64
    assert manifest.command == "dimmagen merge SET1 SET2 SET3 --out out/ --light-format same"
    again = write_merge([one, other, other], str(tmp_path / "again"))  # the renamed one comes twice
    assert open_pairs(tmp_path / "again").table["key"].to_pylist() == list(made)
    assert again.counts == manifest.counts


@pytest.mark.parametrize(
    ("change", "what", "code", "fields"),
    [
        (
            {"image_format": "webp"},
            "differ in file type: png, webp",
            "unsuitable-pairs",
            {"formats": ["png", "webp"]},
        ),
        ({"labels": {"format": "coco", "categories": []}}, "differ in their labels", "unsuitable-pairs", {}),
    ],
)
def test_sets_that_do_not_go_together_are_refused(one, two, change, what, code, fields, tmp_path):
    with pytest.raises(UsageError, match=what) as caught:
        write_merge([with_manifest(one, settings=change), two], str(tmp_path / "out"))
    assert (caught.value.code, caught.value.fields) == ("unsuitable-pairs", fields)
    assert not (tmp_path / "out").exists()


def labelled(pairs, **labels):
    return with_manifest(pairs, settings={"labels": {"format": "voc", "categories": ["cat"], **labels}})


def test_labels_of_one_kind_are_told_by_format_and_categories_alone(one, two, tmp_path):
    first = labelled(one, sha256="1")
    for other in (labelled(two, categories=["dog"]), labelled(two, format="yolo"), two):
        with pytest.raises(UsageError, match="differ in their labels"):
            write_merge([first, other], str(tmp_path / "out"))
    with pytest.raises(UsageError, match="JPEG would change"):  # which is checked after the labels
        write_merge([first, labelled(two, sha256="2")], str(tmp_path / "out"), light_format="jpg")


def test_one_set_alone_and_jpeg_are_refused(one, two, tmp_path):
    with pytest.raises(UsageError, match="at least two") as caught:
        write_merge([one], str(tmp_path / "out"))
    assert (caught.value.code, caught.value.fields) == ("missing-argument", {"count": 1})
    with pytest.raises(UsageError, match="JPEG would change these") as caught:
        write_merge([one, two], str(tmp_path / "out"), light_format="jpg")
    assert (caught.value.code, caught.value.fields) == ("conflict", {"parameter": "light_format"})


class Balanced(LinearModel):
    """A model that draws a white balance and says so."""

    balance_spread = (0.06, 0.03)

    def settings(self):
        return super().settings() | {"white_balance": "drawn"}


def test_pairs_of_a_set_without_a_white_balance_are_merged_as_balanced_ones(one, tmp_path):
    lights, settings = tiny_lights(tmp_path / "lights", 2, first=6), PairSettings(samples_per_shard=3)
    build = partial(ImageDimmer, Balanced(), "balanced", "1" * 64)
    generate_dataset(lights, build, str(tmp_path / "balanced"), settings, Execution("serial"))
    balanced = open_pairs(tmp_path / "balanced")
    for number, sets in enumerate(([one, balanced], [balanced, one])):
        manifest = write_merge(sets, str(tmp_path / str(number)))
        assert manifest.settings["white_balance"] == "drawn"
        made = {row["key"]: row for row in open_pairs(tmp_path / str(number)).rows()}
        assert {made[row["key"]][name] for row in one.rows() for name in WHITE_BALANCE} == {1.0}
        for row in balanced.rows():
            assert [made[row["key"]][name] for name in WHITE_BALANCE] == [row[name] for name in WHITE_BALANCE]
        assert verify_dataset(str(tmp_path / str(number))).faults == []


def test_a_merge_reads_the_rows_of_its_sets_one_by_one(one, two, tmp_path, monkeypatch):
    write_merge([one, two, one], str(tmp_path / "whole"), light_format="png")
    monkeypatch.setattr(PairSet, "rows", None)
    parts = [open_pairs(pairs.out, ROWS_ALONE) for pairs in (one, two, one)]
    write_merge(parts, str(tmp_path / "part"), light_format="png")
    assert file_hashes(tmp_path / "part") == file_hashes(tmp_path / "whole")
