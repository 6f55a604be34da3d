"""Exports: every layout passes its check, scenes do not leak into validation, and a stopped export
resumes."""

import json
import os
import shutil

import numpy as np
import pytest

from dimmagen.core import hashing
from dimmagen.core.errors import UsageError
from dimmagen.dataset.reader import PairSet, open_pairs
from dimmagen.export import stores
from dimmagen.export.checking import check_export
from dimmagen.export.layouts import LAYOUTS
from dimmagen.export.rows import EXPORTED, PairNumbers
from dimmagen.export.scenes import find_scenes
from dimmagen.export.split import split_pairs
from dimmagen.export.writing import export_pairs
from dimmagen.images import codec
from tests.commands import exit_code
from tests.dataset_helpers import make

# Those with labels: tests/export/test_labelled_layouts.py
OF_IMAGES = {name: layout for name, layout in LAYOUTS.items() if not layout.labels.needs}


@pytest.fixture(scope="module")
def pairs(pair_set):
    return open_pairs(pair_set)


@pytest.fixture
def to(tmp_path_factory):
    """A folder to export to; `tmp_path` is named after the test, whose name may contain a word like low."""
    return tmp_path_factory.mktemp("export") / "to"


def files(folder):
    return {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("layout", OF_IMAGES.values(), ids=OF_IMAGES)
def test_every_layout_passes_the_check_by_its_readers_rule(pairs, to, layout):
    split = export_pairs(pairs, layout, to, workers=2)
    check = check_export(layout, to)
    assert check.faults == []
    for places, rows in zip(
        layout.splits.values(), (split.train, split.validation, split.test), strict=False
    ):
        assert check.pairs[places[0][0] or places[0][1]] == len(rows) > 0


def test_dark_png_bytes_and_light_pixels_are_kept(pairs, to):
    split = export_pairs(pairs, LAYOUTS["lol-v1"], to)
    for number, row in enumerate(split.train, 1):
        dark, light = (to / f"our485/{side}/{number:05d}.png" for side in ("low", "high"))
        assert hashing.sha256(dark.read_bytes()) == row["dark_sha256"]
        assert codec.pixel_sha256(codec.decode_rgb8(light.read_bytes())[0]) == row["light_pixel_sha256"]
        if row["light_member"].endswith(".png"):
            assert hashing.sha256(light.read_bytes()) == row["light_sha256"]


def test_variants_share_one_light_file_and_alternative_folders_share_all_files(pairs, to):
    split = export_pairs(pairs, LAYOUTS["lol-v2"], to)
    inodes = {path.stat().st_ino for path in (to / "Synthetic/Train/Normal").iterdir()}
    assert len(inodes) == len({row["light_key"] for row in split.train}) < len(split.train)
    for name, path in files(to / "Synthetic/Train").items():
        assert os.path.samefile(path, to / "Real_captured/Train" / name)


def test_a_file_system_without_hard_links_gets_copies(pairs, to, monkeypatch):
    def refuse(*_):
        raise OSError("no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    export_pairs(pairs, LAYOUTS["lol-v2"], to)
    assert check_export(LAYOUTS["lol-v2"], to).faults == []


def test_variants_and_similar_images_of_a_validation_image_are_not_trained_on(pairs):
    numbers = PairNumbers.of(pairs)
    scenes = find_scenes(pairs, numbers, workers=1)
    # the light images are crops of three photos, two of each, shifted by some pixels
    every = np.arange(len(pairs))
    for validation in (1, 2):
        split = split_pairs(numbers, every, scenes, validation, None)
        held = {scenes.scene(light) for light in numbers.lights[split.validation]}
        assert len(split.validation) == validation
        assert not held & {scenes.scene(light) for light in numbers.lights[split.train]}
        assert len(split.train) + len(split.validation) + sum(split.left_out.values()) == len(pairs)


def test_a_slightly_changed_copy_of_an_image_shows_the_same_scene(pairs, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    images: dict[str, np.ndarray] = {}
    for row in pairs.rows():
        images.setdefault(row["light_pixel_sha256"], pairs.images(row)[1])
    first, *others = images.values()
    brighter = np.clip(first.astype(int) + 12, 0, 255).astype(np.uint8)
    for index, pixels in enumerate([first, brighter, *others]):
        (folder / f"{index}.png").write_bytes(codec.encode_png(pixels))
    make(folder, tmp_path / "out")
    copied = open_pairs(tmp_path / "out")
    numbers = PairNumbers.of(copied)
    scenes = find_scenes(copied, numbers, workers=2)
    names = copied.table["name"].to_pylist()
    by_name = {name: scenes.scene(light) for name, light in zip(names, numbers.lights, strict=True)}
    assert by_name["0.png"] == by_name["1.png"]
    assert len(set(by_name.values())) >= 3


def test_count_gives_exactly_that_many_training_pairs_or_an_error(pairs, to):
    split = export_pairs(pairs, LAYOUTS["lol-v1"], to, count=4)
    assert len(list((to / "our485/low").iterdir())) == len(split.train) == 4
    assert split.left_out["beyond --count"] > 0
    with pytest.raises(UsageError, match="`count=485` is more than the"):
        export_pairs(pairs, LAYOUTS["lol-v1"], to.with_name("more"), count=485)
    with pytest.raises(UsageError, match=r"there are too few light images \(\d+\) for 50 validation pairs"):
        export_pairs(pairs, LAYOUTS["lol-v1"], to.with_name("more"), validation=50)
    assert not to.with_name("more").exists()


def stopped_after(calls, function):
    """The function for that many calls, then a Ctrl-C."""
    left = iter(range(calls))

    def stopping(*arguments):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return function(*arguments)

    return stopping


@pytest.mark.parametrize("layout", ["lol-v2", "basicsr-lmdb"])
def test_an_export_stopped_anywhere_resumes_to_the_same_files(pairs, to, layout, monkeypatch):
    whole = to.with_name("whole")
    export_pairs(pairs, LAYOUTS[layout], whole)
    image = stores.encode_image
    for stop in (0, 3, 5):
        monkeypatch.setattr(stores, "encode_image", stopped_after(stop, image))
        with pytest.raises(KeyboardInterrupt):
            export_pairs(pairs, LAYOUTS[layout], to)
        assert not (to / "export.json").exists()
    monkeypatch.setattr(stores, "encode_image", image)
    export_pairs(pairs, LAYOUTS[layout], to)
    assert files(to).keys() == files(whole).keys()
    for name, path in files(whole).items():
        if not name.endswith(".mdb"):  # LMDB pages hold what was in memory
            assert path.read_bytes() == (to / name).read_bytes()
    assert check_export(LAYOUTS[layout], to).faults == []


def test_an_export_into_another_exports_folder_is_refused(pairs, to):
    export_pairs(pairs, LAYOUTS["lol-v1"], to)
    with pytest.raises(UsageError, match=r"holds another export \(count: not set → 2\)"):
        export_pairs(pairs, LAYOUTS["lol-v1"], to, count=2)
    (to / "export.json").write_text('{"plan": [1]}')
    with pytest.raises(UsageError, match="its note is damaged"):
        export_pairs(pairs, LAYOUTS["lol-v1"], to)
    foreign = to.with_name("foreign")
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("mine")
    with pytest.raises(UsageError, match="is not empty, and is not an export"):
        export_pairs(pairs, LAYOUTS["lol-v1"], foreign)


def test_a_path_that_misleads_readers_is_refused(pairs, to):
    with pytest.raises(UsageError, match="holds the word 'low'"):
        export_pairs(pairs, LAYOUTS["lol-v1"], to.with_name("flowers"))


def test_the_origin_of_the_images_and_their_terms_are_recorded(pairs, to):
    export_pairs(pairs, LAYOUTS["retinexformer"], to)
    note = json.loads((to / "export.json").read_text())
    assert note["terms"] == {"folder": "as their owner says"}
    assert {entry["key"] for entry in note["pairs"]} <= set(pairs.table["key"].to_pylist())


def faults_of(layout, folder):
    return "\n".join(check_export(LAYOUTS[layout], folder).faults)


def test_the_check_names_files_without_a_partner_or_of_another_size(pairs, to):
    export_pairs(pairs, LAYOUTS["lol-v1"], to)
    (to / "our485/low/00002.png").unlink()
    small = codec.encode_png(np.zeros((64, 80, 3), np.uint8))
    (to / "our485/high/00003.png").unlink()
    (to / "our485/high/00003.png").write_bytes(small)
    (to / "our485/high/00004.png").unlink()
    (to / "our485/high/00004.png").write_bytes(small[:100])
    faults = faults_of("lol-v1", to)
    assert "our485/high/00002.png: no our485/low/00002.png" in faults
    assert "its partner 80x64" in faults
    assert "our485/high/00004.png: cannot be decoded" in faults


def test_the_check_reads_lists_and_lmdb_as_their_readers_do(pairs, to):
    export_pairs(pairs, LAYOUTS["basicsr-lmdb"], to)
    meta = to / "train/lq.lmdb/meta_info.txt"
    meta.write_text(meta.read_text().replace("00002.png", "00009.png"))
    assert "line 2: '00009.png" in faults_of("basicsr-lmdb", to)
    lists = to.with_name("lists")
    export_pairs(pairs, LAYOUTS["filelist"], lists)
    folder = lists / "LOLv1/train"
    (folder / "LOLv1_train.txt").write_text("low/00001.png\n")
    assert "LOLv1_train.txt: 1 lines for" in faults_of("filelist", lists)
    shutil.rmtree(folder / "high")
    assert "low/00001.png has no LOLv1/train/high/00001.png" in faults_of("filelist", lists)


def test_the_check_of_mirnet_refuses_images_that_are_not_larger_than_its_patch(to):
    for side in ("input", "groundtruth"):
        (to / "train" / side).mkdir(parents=True)
        image = codec.encode_png(np.zeros((128, 200, 3), np.uint8))
        (to / "train" / side / "1.png").write_bytes(image)
    assert "train/input/1.png: 200x128 is not larger than 128 pixels" in faults_of("mirnet", to)


def test_the_command_exports_and_checks(pair_set, to, capsys):
    def run(*arguments):
        return exit_code("export", *arguments), capsys.readouterr()

    code, output = run(pair_set, "--layout", "lol-v1", "--out", to, "--count", 2)
    assert code == 0
    assert "2 training, 1 validation pairs" in output.out
    assert run("--check", "lol-v1", to)[0] == 0
    (to / "our485/low/00001.png").unlink()
    code, output = run("--check", "lol-v1", to)
    assert code == 1
    assert "our485/high/00001.png: no our485/low/00001.png" in output.out
    code, output = run(pair_set, "--layout", "lol-v9", "--out", to)
    assert code == 2
    assert "choose one of lol-v1" in output.err
    assert run(pair_set)[0] == 2


@pytest.mark.parametrize("name", ["lol-v2", "basicsr-lmdb", "dimma-mixhq"])
def test_an_export_needs_few_columns_of_all_pairs(name, pairs, to, monkeypatch):
    export_pairs(pairs, LAYOUTS[name], to.with_name("whole"), workers=2)
    monkeypatch.setattr(PairSet, "rows", None)
    export_pairs(open_pairs(pairs.out, EXPORTED), LAYOUTS[name], to, workers=2)
    found, expected = files(to), files(to.with_name("whole"))
    assert found.keys() == expected.keys()
    assert not any(path.endswith("lock.mdb") for path in found)  # which would hold the process's id
    for path in found:
        assert found[path].read_bytes() == expected[path].read_bytes(), path
