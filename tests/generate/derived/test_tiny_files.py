"""What subsets and merges of tiny data sets have in common: images, labels and cards."""

import json

import numpy as np

from dimmagen.dataset.card import pair_layout_file
from dimmagen.dataset.reader import open_pairs
from dimmagen.dataset.verify import verify_dataset
from dimmagen.generate.merge import write_merge
from dimmagen.generate.pair import PairSettings
from dimmagen.generate.run import Execution, generate_dataset
from dimmagen.generate.subset import Selection, write_subset
from dimmagen.images import codec
from dimmagen.sources.labels.index import open_labels
from tests.dataset_helpers import build_dimmer
from tests.generate.derived.pair_sets import find
from tests.tiny_set import assert_described, tiny_lights


def test_the_files_with_labels_come_along_and_their_kind_is_recorded(tmp_path):
    lights = tiny_lights(tmp_path / "lights", 2)
    (tmp_path / "labels").mkdir()
    for number, name in enumerate(("0.json", "1.json")):
        (tmp_path / "labels" / name).write_text(f'{{"number": {number}}}')
    labels = open_labels(f"json={tmp_path / 'labels'}", lights)
    small = PairSettings(samples_per_shard=1)
    generate_dataset(lights, build_dimmer, str(tmp_path / "a"), small, Execution("serial"), labels=labels)
    origin = open_pairs(tmp_path / "a")
    recorded = origin.manifest.settings["labels"]
    write_subset(origin, Selection(), str(tmp_path / "b"))
    merged = write_merge([origin, open_pairs(tmp_path / "b")], str(tmp_path / "c"))
    kind = {"format": "json", "categories": recorded["categories"]}
    assert (merged.settings["labels"], recorded["format"]) == (kind, "json")
    for name in "abc":
        made = open_pairs(tmp_path / name)
        layout = (tmp_path / name / ".huggingface.yaml").read_bytes()
        without = made.manifest.model_copy(update={"settings": made.manifest.settings | {"labels": None}})
        assert layout == pair_layout_file(made.manifest) != pair_layout_file(without)
        assert verify_dataset(made.out).faults == []
        for row in made.rows():
            assert row["labels_member"] == f"{row['key']}.labels.json"
            assert json.loads(made.labels(row)) == {"number": int(row["name"][0])}


def test_an_image_is_that_of_its_origin_bit_by_bit(one, two, tmp_path):
    write_merge([one, two], str(tmp_path / "out"), light_format="png")
    made = open_pairs(tmp_path / "out")
    for row in one.rows():
        dark, light = made.images(made.row(find(made, row["key"])))
        old_dark, old_light = one.images(row)
        assert np.array_equal(dark, old_dark)
        assert np.array_equal(light, old_light)
        assert codec.pixel_sha256(light) == row["light_pixel_sha256"]


def test_the_card_of_a_derived_set_has_the_file_types_of_its_light_images(one, two, tmp_path):
    write_subset(one, Selection(), str(tmp_path / "same"))
    assert_described(tmp_path / "same", ["jpg", "png"])
    write_merge([one, two], str(tmp_path / "png"), light_format="png")
    assert_described(tmp_path / "png", ["png"])
