"""Data sets from data sets: they pass verification, keep images and provenance, and refuse what is not
possible."""

from pathlib import Path

import pytest

from dimmagen.core.errors import UsageError
from dimmagen.dataset.compare import manifest_differences
from dimmagen.dataset.reader import open_pairs
from dimmagen.dataset.schema import PAIR_SCHEMA, sidecar_keys
from dimmagen.dataset.verify import verify_dataset
from dimmagen.generate import derived
from dimmagen.generate.merge import write_merge
from dimmagen.generate.pair import PairSettings, dimmer_builder
from dimmagen.generate.run import Execution, generate_dataset
from dimmagen.generate.subset import Selection, write_subset
from dimmagen.sources.light_images import open_light_images
from tests.commands import run_command
from tests.dataset_helpers import make, write_photos


@pytest.fixture(scope="module")
def pairs(pair_set):
    return open_pairs(pair_set)


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Another set of three of the photos, another seed: the same keys, different dark images."""
    folder = tmp_path_factory.mktemp("other")
    make(write_photos(folder / "photos", 3), folder / "out", seed=7, execution=Execution("serial"))
    return open_pairs(folder / "out")


def records(pairs):
    """What must survive: the whole record and the hashes of the images, by key."""
    names = [
        *sidecar_keys(PAIR_SCHEMA),
        "dark_sha256",
        "dark_pixel_sha256",
        "light_sha256",
        "light_pixel_sha256",
    ]
    return {row["key"]: {name: row[name] for name in names} for row in pairs.rows()}


@pytest.mark.parametrize(
    ("selection", "selects"),
    [
        (Selection(gamma=(1.0, 3.0)), lambda row: row["gamma"] >= 1),
        (Selection(lightness=(0.0, 0.06)), lambda row: row["lightness_after"] <= 0.06),
        (Selection(min_side=256, licence="OWNER"), lambda row: True),
        (Selection(sources=("folder",), gamma=(0.1, 1.4)), lambda row: row["gamma"] <= 1.4),
    ],
    ids=["gamma", "lightness", "licence", "source and gamma"],
)
def test_a_subset_has_the_selected_pairs_unchanged_and_verifies(pairs, tmp_path, selection, selects):
    write_subset(pairs, selection, str(tmp_path / "out"))
    assert verify_dataset(str(tmp_path / "out")).faults == []
    expected = {key: record for key, record in records(pairs).items() if selects(record)}
    made = open_pairs(tmp_path / "out")
    assert records(made) == expected
    assert made.table["key"].to_pylist() == list(expected)
    origin = made.manifest.settings["derived_from"][0]
    assert origin["root_hash"] == pairs.manifest.root_hash


def test_a_list_of_keys_takes_pairs_and_whole_photos(pairs, tmp_path):
    photo, pair = pairs.row(0)["light_key"], pairs.row(1)["key"]
    write_subset(pairs, Selection(keys=(photo, pair)), str(tmp_path / "out"))
    made = records(open_pairs(tmp_path / "out"))
    assert made.keys() == {f"{photo}-v0", f"{photo}-v1", pair}
    with pytest.raises(UsageError, match="lacks 1 of the keys, such as folder-0"):
        write_subset(pairs, Selection(keys=("folder-0",)), str(tmp_path / "none"))


def test_pairs_and_whole_photos_are_left_out_by_their_keys(pairs, tmp_path):
    photo, pair = pairs.row(0)["light_key"], pairs.row(1)["key"]
    selection = Selection(without_keys=(photo, pair))
    write_subset(pairs, selection, str(tmp_path / "out"))
    made = open_pairs(tmp_path / "out")
    assert records(made).keys() == records(pairs).keys() - {f"{photo}-v0", f"{photo}-v1", pair}
    assert "--without-keys KEYS" in made.manifest.command
    assert len(made.manifest.settings["subset"]["without_keys"]) == 64
    assert "without_keys" not in Selection(keys=(pair,)).note()
    with pytest.raises(UsageError, match="lacks 1 of the keys, such as folder-0"):
        write_subset(pairs, Selection(without_keys=("folder-0",)), str(tmp_path / "none"))


def test_a_selection_without_pairs_is_refused(pairs, tmp_path):
    with pytest.raises(UsageError, match="has no source coco: it has folder"):
        write_subset(pairs, Selection(sources=("coco",)), str(tmp_path / "out"))
    with pytest.raises(UsageError, match=r"no pair of .* matches the selection"):
        write_subset(pairs, Selection(licence="public domain"), str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_two_subsets_merge_to_the_whole_and_pairs_of_both_are_kept_once(pairs, tmp_path):
    for name, gamma in (("a", (0.1, 1.5)), ("b", (1.2, 3.0))):
        write_subset(pairs, Selection(gamma=gamma), str(tmp_path / name))
    parts = [open_pairs(tmp_path / name) for name in "ab"]
    assert sum(map(len, parts)) > len(pairs)
    write_merge(parts, str(tmp_path / "out"))
    assert verify_dataset(str(tmp_path / "out")).faults == []
    assert records(open_pairs(tmp_path / "out")) == records(pairs)


def test_pairs_of_one_key_with_other_images_are_both_kept(pairs, other, tmp_path):
    started, made_pairs = [], []
    manifest = write_merge(
        [pairs, other], str(tmp_path / "out"), started.append, lambda: made_pairs.append(1)
    )
    assert (started, len(made_pairs)) == ([15], 15)
    assert verify_dataset(str(tmp_path / "out")).faults == []
    made_set = open_pairs(tmp_path / "out")
    made = records(made_set)
    assert len(made) == len(pairs) + len(other) == manifest.counts.pairs
    assert manifest.counts.lights == 6
    suffix = other.manifest.fingerprint[:8]
    for key, record in records(other).items():
        assert made[f"{key}-{suffix}"] == {**record, "key": f"{key}-{suffix}"}
    assert manifest.command == "dimmagen merge SET1 SET2 --out out/ --light-format same"
    assert manifest.environment == pairs.manifest.environment
    rejected = (Path(one.out, "rejected/candidates.parquet").read_bytes() for one in (made_set, pairs))
    assert next(rejected) == next(rejected)  # both sets rejected the same photo
    assert manifest.settings == {
        "profile": "linear",
        "model": "linear",
        "seed": "0 + 7",
        "image_format": "png",
        "variants": 2,
        "samples_per_shard": 3,
        "derived_from": [
            {
                "command": one.manifest.command,
                "fingerprint": one.manifest.fingerprint,
                "root_hash": one.manifest.root_hash,
                "derived_from": [],
                "settings": one.manifest.settings,
            }
            for one in (pairs, other)
        ],
    }


def test_sets_with_and_without_a_drawn_white_balance_merge_to_one_that_has_it(other, tmp_path):
    photos = open_light_images([str(write_photos(tmp_path / "photos", 1))])
    out, build = str(tmp_path / "drawn"), dimmer_builder("lol3")
    generate_dataset(photos, build, out, PairSettings(), Execution("serial"), "if-possible", None)
    drawn = open_pairs(out)
    assert verify_dataset(str(tmp_path / "drawn")).faults == []
    write_merge([drawn, other], str(tmp_path / "out"))
    assert verify_dataset(str(tmp_path / "out")).faults == []
    made = {row["profile"]: row for row in open_pairs(tmp_path / "out").rows()}
    assert made["lol3"]["balance_red"] == drawn.row(0)["balance_red"] != 1.0
    assert made["linear"]["balance_red"] == made["linear"]["balance_blue"] == 1.0
    assert "balance_red" not in other.table.column_names


def test_a_merge_that_was_stopped_is_resumed_to_the_same_set(pairs, other, tmp_path, monkeypatch):
    write_merge([pairs, other], str(tmp_path / "whole"))
    write, made = derived.write_pair_shard, []

    def stopping(out, name, *rest):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(name)
        return write(out, name, *rest)

    monkeypatch.setattr(derived, "write_pair_shard", stopping)
    with pytest.raises(KeyboardInterrupt):
        write_merge([pairs, other], str(tmp_path / "out"))
    made.clear()
    with pytest.raises(KeyboardInterrupt):
        write_merge([pairs, other], str(tmp_path / "out"))
    assert made == ["train-00002", "train-00003"]
    monkeypatch.setattr(derived, "write_pair_shard", write)
    manifest = write_merge([pairs, other], str(tmp_path / "out"))
    assert manifest_differences(manifest, open_pairs(tmp_path / "whole").manifest) == []


def test_a_derived_set_is_not_written_over_its_origin(pairs, pair_set):
    with pytest.raises(UsageError, match="is the data set itself"):
        write_subset(pairs, Selection(gamma=(1.0, 2.0)), str(pair_set))
    assert verify_dataset(str(pair_set)).faults == []


def run(capsys, *arguments):
    code, out, err = run_command(capsys, *arguments)
    return code, out + err


def test_the_commands_select_merge_count_and_compare(pair_set, tmp_path, capsys):
    code, output = run(capsys, "subset", pair_set, "--out", tmp_path / "a", "--gamma", "1:2")
    assert code == 0
    assert "of 12 pairs" in output
    assert run(capsys, "merge", tmp_path / "a", pair_set, "--out", tmp_path / "b")[0] == 0
    assert run(capsys, "verify", tmp_path / "b")[0] == 0
    code, output = run(capsys, "stats", tmp_path / "b")
    assert code == 0
    assert "12 pairs of 6 photos" in output
    assert run(capsys, "manifest", "diff", pair_set, pair_set / "manifest.json")[0] == 0
    code, output = run(capsys, "manifest", "diff", pair_set, tmp_path / "a")
    assert code == 1
    assert "counts.pairs: 12 →" in output
    assert run(capsys, "merge", pair_set, "--out", tmp_path / "c") == (
        2,
        "Error: a merge needs at least two data sets: give two or more\n",
    )
    code, output = run(capsys, "subset", pair_set, "--out", tmp_path / "c", "--lightness", "0.5")
    assert code == 2
    assert "not of the form A:B" in output
