"""The data set card says what is in a data set, to people and to Hugging Face's `datasets`."""

import re

import pytest
import yaml

from dimmagen.dataset.card import _LABELS, card, pair_layout_file
from dimmagen.dataset.manifest import Counts, FileEntry, Manifest, ShardEntry
from dimmagen.dataset.schema import PAIR_SCHEMA, WHITE_BALANCE, sidecar_keys
from dimmagen.sources import terms_of

SETTINGS = {
    "profile": "night",
    "variants": 2,
    "image_format": "png",
    "lights": 7,
    "lights_sha256": "a" * 64,
}
SPREAD = {"histogram": [1, 0, 0, 0, 0, 0, 0, 0, 0, 8], "quantiles": [0.1, 0.25, 0.5, 1.23456, 2000.0]}
NUMBERS = {
    "numbers": dict.fromkeys(("gamma", "lightness_before", "lightness_after", "width", "height"), SPREAD)
}
IMAGES = ["dark.png", "dark.webp", "json", "light.jpg", "light.png", "light.webp"]


def manifest(settings=(), shards=(0, 1), rejected=("candidates",), sources=None, command="dimmagen dim"):
    """Of 7 photos and 14 pairs; nothing checks it."""
    entries = [
        ShardEntry(
            name=f"shards/train-{number:05}.tar",
            bytes=1,
            sha256="b" * 64,
            samples=7,
            metadata=FileEntry(name=f"metadata/train-{number:05}.parquet", bytes=1, sha256="c" * 64),
        )
        for number in shards
    ]
    names = ["croissant.json", *(f"rejected/{name}.parquet" for name in rejected)]
    counts = Counts(
        lights=7, pairs=14, shards=len(entries), rejected=1, lights_by_source=sources or {"folder": 7}
    )
    return Manifest(
        schema_version=1,
        fingerprint="d" * 64,
        command=command,
        settings={**SETTINGS, **dict(settings)},
        environment={},
        counts=counts,
        shards=entries,
        files=[FileEntry(name=name, bytes=1, sha256="f" * 64) for name in names],
        root_hash="e" * 64,
    )


def text_of(settings=(), light_extensions=("jpg",), **more) -> str:
    return card(manifest(settings, **more), light_extensions, NUMBERS)


def head_of(text: str) -> dict:
    return yaml.safe_load(text.split("---\n")[1])


def test_the_head_has_the_layout_of_the_folder_and_what_hubs_search_for():
    head = head_of(text_of())
    assert list(head) == ["license", "task_categories", "tags", "configs", "dataset_info"]
    assert (head["license"], head["task_categories"]) == ("other", ["image-to-image"])
    assert head["tags"] == ["low-light", "webdataset"]
    [config] = head["configs"]
    assert config["data_files"] == [{"split": "train", "path": "shards/train-*.tar"}]
    layout = pair_layout_file(manifest())
    assert yaml.safe_load(layout) == {name: head[name] for name in ("configs", "dataset_info")}


def features(settings=()) -> list[dict]:
    return head_of(text_of(settings))["dataset_info"]["features"]


def names_of(settings) -> list[str]:
    return [one["name"] for one in features(settings)]


def test_the_columns_are_those_of_the_members_and_have_their_types():
    assert names_of(()) == [*IMAGES, "__key__", "__url__"]
    assert {one["dtype"] for one in features() if one["name"] in IMAGES and one["name"] != "json"} == {
        "image"
    }
    [record] = [one["struct"] for one in features() if one["name"] == "json"]
    assert [one["name"] for one in record] == sidecar_keys(PAIR_SCHEMA)
    types = {one["name"]: one["dtype"] for one in record}
    assert (types["key"], types["variant"], types["gamma"]) == ("string", "int64", "float64")


def test_a_drawn_white_balance_is_in_the_record():
    [record] = [one["struct"] for one in features({"white_balance": 0.1}) if one["name"] == "json"]
    assert {(one["name"], one["dtype"]) for one in record} >= {(name, "float64") for name in WHITE_BALANCE}


def test_masks_are_a_column_of_images():
    settings = {"labels": {"format": "masks", "sha256": "1" * 64}}
    assert names_of(settings) == [*IMAGES, "mask.png", "__key__", "__url__"]
    assert next(one for one in features(settings) if one["name"] == "mask.png")["dtype"] == "image"
    assert "`<key>.light.*`, `<key>.mask.png` |" in text_of(settings)


def test_labels_of_objects_are_a_column_behind_the_record():
    settings = {"labels": {"format": "coco", "sha256": "1" * 64}}
    assert names_of(settings) == [*IMAGES[:3], "labels.json", *IMAGES[3:], "__key__", "__url__"]
    assert next(one for one in features(settings) if one["name"] == "labels.json") == _LABELS
    assert "`<key>.light.*`, `<key>.labels.json` |" in text_of(settings)


def test_the_types_of_labels_of_any_content_are_left_to_datasets():
    settings = {"labels": {"format": "json", "sha256": "1" * 64}}
    assert "dataset_info" not in head_of(text_of(settings))
    assert "`<key>.labels.json`" in text_of(settings)


def test_the_page_says_how_many_pairs_there_are_and_how_they_were_made():
    text = text_of(command="dimmagen dim --seed 3")
    lines = " ".join(text.split())
    assert "14 pairs of 7 photos, dimmed as the camera of profile `night` would see them" in lines
    assert "at most 2 times each." in lines
    assert "at most 1 time each." in " ".join(text_of({"variants": 1}).split())
    assert "```sh\ndimmagen dim --seed 3\n```" in text
    assert f"fingerprint of the settings: `{'d' * 64}`" in text
    assert f"root hash of the files: `{'e' * 64}`" in text
    assert "`<key>.json`, `<key>.light.*` |" in text


def test_what_a_stranger_named_stays_in_its_place():
    text = text_of({"profile": "a`b\n# c"}, command="dim\n```\n# d", sources={"<b>|x": 7})
    assert "`a'b\\x0a# c`" in text
    assert "```sh\ndim\\x0a```\\x0a# d\n```" in text
    assert "| &lt;b&gt;\\|x | 7 | unknown |" in text


def test_numbers_stand_in_rows_with_their_histograms():
    rows = [line for line in text_of().splitlines() if "█" in line]
    assert rows == [
        f"| {name} | 0.1 | 0.25 | 0.5 | 1.23 | 2000 | `▁        █` |"
        for name in ("gamma", "lightness before", "lightness after", "width", "height")
    ]


def test_the_snippet_names_all_shards_and_the_members_of_the_set():
    text = text_of({"image_format": "webp"}, ("png", "jpg", "png"), shards=(0, 1, 2))
    assert 'shards = "shards/train-{00000..00002}.tar"' in text
    assert 'name.endswith((".dark.webp", ".json", ".light.jpg", ".light.png"))' in text
    assert '.rename(light="light.jpg;light.png", dark="dark.webp")' in text


@pytest.mark.parametrize(
    ("numbers", "pattern"),
    [
        ((3,), "shards/train-{00003..00003}.tar"),
        ((7, 0, 1, 4, 5), "::".join(f"shards/train-{{{one}}}.tar" for one in (
            "00000..00001", "00004..00005", "00007..00007"
        ))),
        ((99999, 100000), "shards/train-{99999..100000}.tar"),
    ],
)  # fmt: skip
def test_numbers_of_shards_with_gaps_are_ranges(numbers, pattern):
    assert f'shards = "{pattern}"' in text_of(shards=numbers)


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (("candidates",), "`rejected/candidates.parquet`"),
        (
            ("candidates", "candidates-2"),
            "`rejected/candidates.parquet` and `rejected/candidates-2.parquet`",
        ),
        (
            ("candidates", "candidates-2", "candidates-3"),
            "`rejected/candidates.parquet` and `rejected/candidates-*.parquet`",
        ),
    ],
)
def test_the_files_of_rejected_photos_are_named(names, shown):
    assert f"\n| {shown} | a row for every photo that was left out" in text_of(rejected=names)


def test_sources_stand_with_their_photos_and_terms():
    settings = {"source_terms": {"mine": "Ask me."}}
    text = text_of(settings, sources={"folder": 4, "mine": 2, "gone": 1})
    rows = re.search(r"\| source \| photos \| terms \|\n\|---\|---\|---\|\n((\|.*\n)+)", text)[1]
    assert rows == f"| folder | 4 | {terms_of('folder')} |\n| mine | 2 | Ask me. |\n| gone | 1 | unknown |\n"


def generation(lights: int, shards: int) -> dict:
    return {
        "lights": lights,
        "by_source": {"folder": lights},
        "lights_sha256": "a" * 64,
        "shards": shards,
        "rejected": "rejected/candidates.parquet",
    }


def test_additions_and_removals_are_told_before_the_numbers():
    settings = {"generations": [generation(5, 2), generation(2, 1)]}
    table = (
        "## Generations\n\n| generation | photos | shards |\n|---:|---:|---:|\n| 1 | 5 | 2 |\n| 2 | 2 | 1 |\n"
    )
    assert f"\n\n{table}\n## Pairs in numbers\n" in text_of(settings)
    removal = {
        "list_sha256": "0" * 64,
        "photos": ["1" * 64, "2" * 64],
        "pairs": 4,
        "shards": 1,
        "generations": 2,
    }
    settings["removed"] = [removal, {**removal, "photos": ["3" * 64], "pairs": 2}]
    taken = "Taken out since: 3 photos with 6 pairs."
    assert f"\n\n{table}\n{taken}\n\n## Pairs in numbers\n" in text_of(settings)
    assert "without this page |\n\n## Pairs in numbers\n" in text_of()
