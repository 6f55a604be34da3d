"""Each code base of the table finds the right pairs in its export, where it expects them in its repository.

What a data class does is written down here once more, in a few lines of our own, so that the table is not
compared with itself: how it lists and pairs files, and what it puts into a batch.
"""

import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.dataset.reader import open_pairs
from dimmagen.export.checking import check_export
from dimmagen.export.layouts import LAYOUTS
from dimmagen.export.reader import Pairing, Reader
from dimmagen.export.readers import READERS, find_preset, find_root, readers_of
from dimmagen.export.sizes import Fit, cut
from dimmagen.export.writing import export_pairs
from dimmagen.images import codec
from tests.commands import exit_code
from tests.dataset_helpers import make
from tests.simulated_camera import simulated_light

EPOCH = 4  # pairs; the readers that read hundreds in every epoch would need a large data set


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """10 pairs of 5 photos of 651x413 pixels."""
    folder = tmp_path_factory.mktemp("readers")
    (folder / "photos").mkdir()
    for index in range(5):
        data = codec.encode_png(simulated_light(index, 413, 651))
        (folder / f"photos/{index}.png").write_bytes(data)
    make(folder / "photos", folder / "out", variants=2)
    return open_pairs(folder / "out")


def make_repository(folder: Path, reader: Reader) -> Path:
    """A folder that is recognised as the repository of a reader."""
    repository = folder / reader.repository.split("/")[1]
    for mark in reader.marks:
        (repository / mark).parent.mkdir(parents=True, exist_ok=True)
        (repository / mark).touch()
    (repository / reader.runs_in).mkdir(parents=True, exist_ok=True)
    return repository


def images(folder: str, suffix: str = ".png") -> list[str]:
    """Names of images in the order in which the file system lists them."""
    return [name for name in os.listdir(folder) if name.endswith(suffix)]


def by_name(dark: str, light: str) -> list[tuple[str, str]]:
    return [(f"{dark}/{name}", f"{light}/{name}") for name in images(dark)]


def by_sorting(dark: str, light: str) -> list[tuple[str, str]]:
    names = zip(sorted(images(dark)), sorted(images(light)), strict=True)
    return [(f"{dark}/{one}", f"{light}/{other}") for one, other in names]


def by_listing(dark: str, light: str) -> list[tuple[str, str]]:
    names = zip(images(dark), images(light), strict=True)
    return [(f"{dark}/{one}", f"{light}/{other}") for one, other in names]


def by_replacing(folder: str, *words: tuple[str, str]) -> list[tuple[str, str]]:
    found = []
    for name in images(folder):
        light = f"{folder}/{name}"
        for word, other in words:
            light = light.replace(word, other)
        found.append((f"{folder}/{name}", light))
    return found


def by_diffll(folder: str, split: str) -> list[tuple[str, str]]:
    lines = Path(f"{folder}/LOLv1/{split}/LOLv1_{split}.txt").read_text().split("\n")[:-1]
    return [
        (f"{folder}/LOLv1/{split}/{line}", f"{folder}/LOLv1/{split}/{line.replace('low', 'high')}")
        for line in lines
    ]


def by_lines(file: str) -> list[tuple[str, str]]:
    return [tuple(line.split(" ")) for line in Path(file).read_text().splitlines()]


def parts(pair, dark: str, light: str, *splits: str):
    """A function that finds the pairs of each split, by `pair`, in folders that have its name for `{}`."""
    return lambda: [pair(dark.format(split), light.format(split)) for split in splits]


LOL = ("our485", "eval15")
# Training, validation and test pairs as the scripts find them, started in the reader's `runs_in`.
SPLITS = {
    "retinexformer": parts(by_name, "data/LOLv1/{}/input", "data/LOLv1/{}/target", "Train", "Test"),
    **dict.fromkeys(
        ("basicsr", "nafnet", "restormer"),
        parts(by_name, "datasets/dimmagen/{}/lq", "datasets/dimmagen/{}/gt", "train", "val"),
    ),
    "mirnet": parts(
        by_sorting, "datasets/dimmagen/{}/input", "datasets/dimmagen/{}/groundtruth", "train", "val"
    ),
    "mirnetv2": parts(
        by_name, "Enhancement/Datasets/{}/Lol/input", "Enhancement/Datasets/{}/Lol/target", "train", "test"
    ),
    "llformer": parts(by_sorting, "datasets/LOL/{}/low", "datasets/LOL/{}/high", "train", "test"),
    "snr-aware": parts(by_sorting, "datasets/LOLv1/{}/low", "datasets/LOLv1/{}/high", *LOL),
    "fourllie": parts(by_sorting, "datasets/dimmagen/{}/input", "datasets/dimmagen/{}/gt", "train", "eval"),
    "lednet": parts(
        by_name,
        "datasets/LOLBlur/{}/low_blur_noise",
        "datasets/LOLBlur/{}/high_sharp_scaled",
        "train",
        "test",
    ),
    "llflow": parts(by_name, "../LOLdataset/{}/low", "../LOLdataset/{}/high", *LOL),
    "gsad": parts(by_name, "dataset/LOLv1/{}/low", "dataset/LOLv1/{}/high", *LOL),
    "hvi-cidnet": parts(by_listing, "./datasets/LOLdataset/{}/low", "./datasets/LOLdataset/{}/high", *LOL),
    "hvi-cidnet-v2-real": parts(
        by_listing,
        "./datasets/LOLv2/Real_captured/{}/Low",
        "./datasets/LOLv2/Real_captured/{}/Normal",
        "Train",
        "Test",
    ),
    "hvi-cidnet-v2-syn": parts(
        by_listing,
        "./datasets/LOLv2/Synthetic/{}/Low",
        "./datasets/LOLv2/Synthetic/{}/Normal",
        "Train",
        "Test",
    ),
    **dict.fromkeys(
        ("pydiff", "pydiff-v2"),
        parts(by_name, "../dataset/LOLdataset/{}/low", "../dataset/LOLdataset/{}/high", *LOL),
    ),
    "iat": lambda: [by_replacing(f"LOL_v1/{split}/low", ("low", "high")) for split in LOL],
    "kind-plus": parts(by_sorting, "./LOLdataset/{}/low", "./LOLdataset/{}/high", *LOL),
    "retinexnet": parts(by_sorting, "./data/{}/low", "./data/{}/high", "syn", "eval"),
    "retinexnet-pytorch": parts(by_sorting, "dimmagen/{}/low", "dimmagen/{}/high", "data/syn", "eval"),
    "diffll": lambda: [by_diffll("data", split) for split in ("train", "val")],
    "lightendiffusion": lambda: [by_lines("data/unpaired_train.txt"), by_lines("data/LOLv1_val.txt")],
    "dimma": parts(by_sorting, "data/LOL/{}/low", "data/LOL/{}/high", "our480", "val5", "eval15"),
    "dimma-fsd": parts(by_sorting, "data/FSD/{}/low", "data/FSD/{}/high", "train", "val", "test"),
    "enlightengan-pair": lambda: [
        by_replacing(f"final_dataset/{split}A", ("low", "normal"), ("A", "B")) for split in ("train", "test")
    ],
}
# Folders of readers that do not pair.
UNPAIRED = {
    "dimma-mixhq": ("", "data/MixHQ/cocoHQ"),
    "enlightengan": ("final_dataset/trainA", "final_dataset/trainB"),
    "nerco": ("dimmagen/trainA", "dimmagen/trainB"),
    "zero-dce": ("data/train_data", ""),
    "sci": ("train_data", ""),
}


def test_the_contract_of_every_reader_is_here():
    assert SPLITS.keys() | UNPAIRED.keys() == READERS.keys()
    assert {name for name, one in READERS.items() if one.pairing is Pairing.NONE} == UNPAIRED.keys()


def export(pairs, folder, reader, **options):
    """Export for a reader, into its repository if there is one: (folder in which its scripts run, split)."""
    layout = LAYOUTS[reader.layout]
    repository = make_repository(folder, reader)
    out, found = find_root(reader, repository)
    assert (found == repository) is bool(reader.marks)
    if not found:
        out = folder / "to"
    if reader.train.equal or reader.validation.equal:
        options.setdefault("fit", Fit(height=384, width=640))
    split = export_pairs(
        pairs,
        layout,
        out,
        reader=reader,
        repository=found,
        validation=1 if layout.validation else 0,
        workers=4,
        **options,
    )
    check = check_export(layout, out, reader=reader, in_repository=bool(found))
    assert check.faults == []
    return repository / reader.runs_in if found else out, split


def pixels(path) -> np.ndarray:
    return np.asarray(Image.open(path))


@pytest.mark.parametrize("name", SPLITS)
def test_a_reader_finds_the_right_pairs_where_it_expects_them(pairs, tmp_path_factory, monkeypatch, name):
    reader = READERS[name]
    reader = replace(reader, epoch=min(reader.epoch, EPOCH))
    runs_in, split = export(pairs, tmp_path_factory.mktemp("code"), reader)
    monkeypatch.chdir(runs_in)
    parts = SPLITS[name]()
    for rows, found in zip((split.train, split.validation, split.test), parts, strict=False):
        assert len(found) == len(rows) > 0
        wanted = {}
        for row in rows:
            dark, light = pairs.images(row)
            size = reader.fit.size(dark.shape[:2]) if reader.fit else dark.shape[:2]
            if reader.train.equal or reader.validation.equal:
                size = (384, 640)
            wanted[cut(dark, size).tobytes()] = cut(light, size)
        for dark, light in found:
            assert np.array_equal(pixels(light), wanted.pop(pixels(dark).tobytes()))
    shapes = [pixels(dark).shape for dark, _ in parts[0]]
    if reader.train.equal:
        np.stack([pixels(dark) for dark, _ in parts[0]])  # as a DataLoader does with whole images
    assert min(min(shape[:2]) for shape in shapes) >= reader.train.shortest
    for path in named_paths(reader, runs_in):
        assert Path(path).is_dir()


def named_paths(reader: Reader, runs_in: Path) -> list[str]:
    """The paths in the options that the command prints, as seen from where the scripts run."""
    repository = next((p for p in (runs_in, *runs_in.parents) if reader.is_repository(p)), None)
    root = find_root(reader, repository or runs_in)[0]
    seen = re.escape(Path(os.path.relpath(root, runs_in)).as_posix() if repository else root.as_posix())
    lines = reader.option_lines(root, repository)
    found = [path for line in lines for path in re.findall(rf"(?<!\w){seen}(?:/[\w./-]*)?(?!\w)", line)]
    assert bool(found) is bool(lines)
    return found


@pytest.mark.parametrize("name", UNPAIRED)
def test_a_reader_without_pairs_finds_each_image_once_and_nothing_else(
    pairs, tmp_path_factory, monkeypatch, name
):
    runs_in, split = export(pairs, tmp_path_factory.mktemp("code"), READERS[name])
    monkeypatch.chdir(runs_in)
    suffix = ".jpg" if READERS[name].layout == "single-jpg" else ".png"
    numbers = (len(split.train), len({row["light_key"] for row in split.train}))
    for folder, number in zip(UNPAIRED[name], numbers, strict=True):
        if folder:
            every = [path for path in Path(folder).rglob("*") if path.is_file()]  # hidden ones too
            assert len(every) == len(images(folder, suffix)) == number
    for path in named_paths(READERS[name], runs_in):
        assert Path(path).is_dir()


def test_an_export_elsewhere_is_named_by_its_whole_path(tmp_path):
    (line, *_) = READERS["llflow"].option_lines(tmp_path / "set", None)
    assert line == f"train: root: {(tmp_path / 'set').as_posix()}"


@pytest.mark.parametrize("name", ["lightendiffusion", "pair-list"])
def test_lists_of_paths_are_read_at_one_place_alone_and_the_command_says_so(
    name, pairs, tmp_path_factory, capsys
):
    to = tmp_path_factory.mktemp("set") / "to"
    exit_code("export", pairs.out, "--layout", name, "--out", to, "--fit", "320x320")
    output = capsys.readouterr().out
    assert 'data_dir: "data"' in output
    assert "LightenDiffusion expects this folder as data in its repository." in output
    for dark, light in by_lines(str(to / "unpaired_train.txt")):
        assert dark.startswith("data/train/low/")
        assert light.startswith("data/train/high/")


def test_nothing_of_a_repository_is_overwritten(pairs, tmp_path_factory):
    reader = READERS["retinexnet"]
    repository = make_repository(tmp_path_factory.mktemp("code"), reader)
    picture = repository / "data/eval/low/22.png"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"the project's own")
    options = {"reader": reader, "repository": repository}
    with pytest.raises(UsageError, match="eval/low exists already, and nothing in a repository"):
        export_pairs(pairs, LAYOUTS[reader.layout], repository, validation=1, **options)
    export_pairs(pairs, LAYOUTS[reader.layout], repository, validation=0, **options)
    assert picture.read_bytes() == b"the project's own"
    assert len(list((repository / "data/syn/low").iterdir())) == 10
    export_pairs(pairs, LAYOUTS[reader.layout], repository, validation=0, **options)  # complete already
    with pytest.raises(UsageError, match="holds another export"):
        export_pairs(pairs, LAYOUTS[reader.layout], repository, validation=0, count=3, **options)


def test_other_files_at_the_place_of_an_export_are_kept(pairs, tmp_path_factory):
    reader = READERS["gsad"]
    repository = make_repository(tmp_path_factory.mktemp("code"), reader)
    (repository / reader.path).mkdir(parents=True)
    (repository / reader.path / "readme.txt").write_text("the project's own")
    root, found = find_root(reader, repository)
    export_pairs(pairs, LAYOUTS["lol-v1"], root, reader=reader, repository=found, validation=1)
    assert (root / "readme.txt").read_text() == "the project's own"
    assert check_export(LAYOUTS["lol-v1"], root, reader=reader, in_repository=True).faults == []


def test_a_repository_of_another_project_is_a_folder_that_is_not_empty(pairs, tmp_path_factory):
    repository = make_repository(tmp_path_factory.mktemp("code"), READERS["gsad"])
    root, found = find_root(READERS["retinexformer"], repository)
    assert (root, found) == (repository, None)
    with pytest.raises(UsageError) as refused:
        export_pairs(pairs, LAYOUTS["retinexformer"], root, reader=READERS["retinexformer"])
    what, todo = f"{root} is not empty, and is not an export", "choose a new or an empty folder for `out`"
    mark = "Options/RetinexFormer_LOL_v1.yml"
    assert str(refused.value) == f"{what}: {todo}, or the repository of Retinexformer, which holds {mark}"
    with pytest.raises(UsageError) as refused:
        export_pairs(pairs, LAYOUTS["retinexformer"], root)
    assert str(refused.value) == f"{what}: {todo}"


def test_a_path_whose_words_a_reader_would_replace_is_refused_outside_its_repository(pairs, tmp_path_factory):
    reader = READERS["enlightengan-pair"]
    folder = tmp_path_factory.mktemp("code") / "Anna"
    with pytest.raises(UsageError, match="holds the word 'A'"):
        export_pairs(pairs, LAYOUTS["paired-ab"], folder, reader=reader)
    with pytest.raises(UsageError, match="holds the word 'low'"):
        export_pairs(pairs, LAYOUTS["lol-v1"], folder / "flow", reader=READERS["iat"])
    assert export(pairs, tmp_path_factory.mktemp("code"), reader)[1].train  # EnlightenGAN has an A as well


def test_a_name_is_that_of_a_reader_or_of_a_layout():
    assert find_preset("llflow") == (LAYOUTS["lol-v1"], READERS["llflow"])
    assert find_preset("basicsr-lmdb") == (LAYOUTS["basicsr-lmdb"], None)
    assert [one.name for one in readers_of("filelist")] == ["diffll"]
    with pytest.raises(DimmagenError, match="did you mean retinexformer"):
        find_preset("retinexfromer")


def test_every_row_of_the_table_names_a_layout_and_its_repository():
    for reader in READERS.values():
        assert reader.layout in LAYOUTS
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", reader.repository)
        assert re.fullmatch(r"([0-9a-f]{7})?", reader.commit)


def test_the_command_puts_an_export_into_a_repository_and_checks_it_there(pairs, tmp_path_factory, capsys):
    def run(*arguments):
        return exit_code("export", *arguments), capsys.readouterr()

    repository = make_repository(tmp_path_factory.mktemp("code"), READERS["llflow"])
    code, output = run(pairs.out, "--layout", "llflow", "--out", repository, "--validation", 1)
    assert code == 0
    assert "LOLdataset: 8 training, 1 validation pairs" in output.out
    assert "For LLFlow, with these lines in its options:\n  train: root: ../LOLdataset\n" in output.out
    assert f"Next: dimmagen export --check llflow {repository}" in output.out
    assert pixels(repository / "LOLdataset/our485/low/00001.png").shape == (408, 648, 3)
    assert run("--check", "llflow", repository)[0] == 0
    to = repository.with_name("to")
    code, output = run(pairs.out, "--layout", "lol-v1", "--out", to, "--fit", "8x8x8")
    assert code == 2
    assert "--fit is '8x8x8': give a size such as 600x400" in output.err
    code, output = run(pairs.out, "--layout", "single-jpg", "--out", to, "--validation", 5)
    assert code == 2
    assert "--validation 5 has no effect" in output.err
    assert run("--check", "lol-v1", repository, "--fit", "8x8")[0] == 2


def test_the_command_says_where_files_of_a_reader_without_options_go(pairs, tmp_path_factory, capsys):
    for name, said in (
        ("retinexnet", "Its files go into the root of the repository of RetinexNet."),
        ("kind-plus", "KinD++ expects this folder as LOLdataset in its repository."),
    ):
        to = tmp_path_factory.mktemp("set") / "to"
        exit_code("export", pairs.out, "--layout", name, "--out", to, "--validation", "1")
        assert said in capsys.readouterr().out
