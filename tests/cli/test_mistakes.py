"""Mistakes of users: each gives one sentence, and exit code 2 for usage or 1 for failure."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dimmagen.core.errors import DimmagenError
from dimmagen.dataset.reader import open_pairs
from dimmagen.dimmers.real_pairs import load_pairs
from dimmagen.enhance.photos import read_photo
from dimmagen.generate.merge import write_merge
from dimmagen.images import heif
from dimmagen.sources.scene_hash import SceneHashes
from tests.commands import exit_code
from tests.dataset_helpers import make, write_photos
from tests.systems import is_here

HEIC = Path(__file__).parents[1] / "images/heic/upright.heic"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with photos, two sets of them, their merge, and things that commands must refuse."""
    folder = tmp_path_factory.mktemp("place")
    photos = write_photos(folder / "photos", 3)
    make(photos, folder / "set")
    make(photos, folder / "other", seed=1)
    write_merge([open_pairs(str(folder / name)) for name in ("set", "other")], str(folder / "merged"))
    (folder / "no-keys").write_text("\n\n")
    (folder / "marked-keys").write_bytes(b"\xef\xbb\xbfnokey\r\n")  # as editors of Windows save it
    (folder / "names").write_text("nobody.png\n")
    (folder / "binary").write_bytes(b"\xff\xfe\n")
    (folder / "folder/manifest.json").mkdir(parents=True)
    for name in ("mixhq/catalog", "mixhq/shards"):
        (folder / name).mkdir(parents=True)
    (folder / "mixhq/manifest.json").write_text('{"schema": "dimmagen-mixhq-1"}')
    if is_here("fifo"):
        (folder / "pipe").mkdir()
        os.mkfifo(folder / "pipe/manifest.json")
    return folder


PIPE = "pipe/manifest.json"
DIM = "dim --profile linear --source photos --shards new --executor serial"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (f"{DIM} --temperature nan", 2, "'nan' is not a finite number"),
        (f"{DIM} --temperature 1e300", 2, "temperature is 1e+300"),
        (f"{DIM} --gamma 1e-300:1", 2, "gamma is 1e-300: give values from 1e-06 to 1e+06"),
        (
            f"{DIM} --variants 1000000000 --dry-run",
            2,
            "variants is 1000000000: give a number from 1 to 100000",
        ),
        (f"{DIM} --variants 0", 2, "variants is 0"),
        (f"{DIM} photos/b.png", 2, "b.png). Each path needs a --source of its own; put a pattern in quotes"),
        (f"{DIM.replace('new', 'mixhq')}", 2, "choose a new or an empty folder for --shards"),
        ("peek", 2, "DATASET is missing: give the folder of a data set"),
        ("dim --profile linear --source= --shards new", 2, "one of --source is empty"),
        ("verify absent", 2, "absent does not exist: give the folder of a data set"),
        ("verify set/manifest.json", 2, "set/manifest.json is not a folder"),
        ("stats set/shards", 2, "set/shards is part of a data set: give its folder, "),
        (
            "train --data set/shards/train-{000..127}.tar --out new",
            2,
            "is part of a data set: give its folder, ",
        ),
        ("stats set/manifest.json", 2, "set/manifest.json is not a folder"),
        ("verify mixhq --reproduce 1%", 2, "--reproduce is for a data set of pairs"),
        ("verify mixhq", 1, "mixhq is not a MixHQ of this version"),
        ("stats mixhq", 1, "mixhq is a MixHQ: light images only, without dark ones"),
        ("verify folder", 1, "folder/manifest.json is not a regular file"),
        pytest.param(
            "verify pipe", 1, "pipe/manifest.json is not a regular file", marks=pytest.mark.needs("fifo")
        ),
        ("verify set --source photos", 2, "--source and --profile need --reproduce"),
        ("verify merged --reproduce 100%", 2, "a merged set was made with the settings of several sets"),
        ("subset set --out new --keys no-keys", 2, "--keys no-keys contains no key"),
        ("subset set --out new --keys marked-keys", 2, "such as nokey:"),
        ("subset set --out new --keys binary", 2, "--keys binary is not a text file"),
        ("subset set --out new --min-side -1", 2, "-1"),
        ("remove set --list binary", 2, "binary is not a text file in UTF-8"),
        ("remove set --list absent", 2, "absent does not exist"),
        (
            "remove set --list names",
            2,
            "set has nothing of these names: nobody.png: give keys, or names as in",
        ),
        ("remove set --list names", 2, "or --ignore-unknown to remove the others"),
        ("remove merged --list names", 2, "photos cannot be added to or removed from a subset"),
        ("remove photos --list names", 1, "photos has no manifest.json, so it is not a finished data set"),
        (f"{DIM} --add --limit 2", 2, "--limit cannot be combined with --add"),
        (f"{DIM} --add --resume never", 2, "--resume never cannot be combined with --add"),
        (f"{DIM.replace('new', 'merged')} --add", 2, "photos cannot be added to or removed from a subset"),
        ("build-mixhq --source photos --out new --add --limit 2", 2, "--limit cannot be combined with --add"),
        ("subset set --out set", 2, "is the data set itself"),
        ("subset set --out set/part", 2, "set/part would be inside the data set or MixHQ"),
        (f"{DIM.replace('new', 'mixhq/shards/new')}", 2, "would be inside the data set or MixHQ"),
        ("export set --layout lol-v1 --out set/shards/x", 2, "would be inside the data set or MixHQ"),
        ("build-mixhq --source photos --out set/mixhq", 2, "would be inside the data set or MixHQ"),
        ("inspect set --sheet set/x.png", 2, "set/x.png would be inside the data set or MixHQ"),
        ("inspect set --html set/metadata/x.html", 2, "x.html would be inside the data set or MixHQ"),
        ("stats set --log-file set/x.log", 2, "set/x.log would be inside the data set or MixHQ"),
        ("leaks set photos --keys mixhq/x", 2, "mixhq/x would be inside the data set or MixHQ"),
        ("evaluate --network run --pairs photos --json set/x", 2, "set/x would be inside the data set"),
        ("enhance photos --network run --out set", 2, "results in "),
        ("enhance photos --network run --out set/new", 2, "set/new would be inside the data set or MixHQ"),
        ("enhance --network run --export onnx set/x", 2, "set/x would be inside the data set or MixHQ"),
        ("merge set other --out other", 2, "is the data set itself"),
        ("subset set --out photos", 2, "choose a new or an empty folder for --out"),
        ("subset other --out merged", 2, "discard them:  remove the folder"),
        ("inspect set --sheet photos", 2, "photos"),
        ("leaks set absent", 2, "there is no folder and no file at absent: check the path"),
        *(
            pytest.param(words, 2, f"{PIPE} is a device or a pipe, not a file: {todo}", marks=marks)
            for marks in [pytest.mark.needs("fifo")]
            for words, todo in (
                (f"profile evaluate linear --pairs {PIPE}", "write the list of the pairs to a file"),
                (f"{DIM} --labels yolo={PIPE}", "give a folder or an archive"),
                (f"leaks set {PIPE}", "give a folder or an archive"),
            )
        ),
        ("inspect set --sheet s3://b/x.png", 2, "s3://b/x.png is a URL; give a local or mounted path"),
        ("inspect set --sheet x.jpg", 2, "x.jpg ends with .jpg: give a name that ends with .png"),
        ("inspect set --html x.PNG", 2, "x.PNG ends with .png: give a name that ends with .html"),
        ("evaluate --network run --pairs photos --sheet x.webp", 2, "give a name that ends with .png"),
        ("profile evaluate linear --pairs photos --html x.pdf", 2, "give a name that ends with .html"),
        ("inspect set --log-file s3://b/x", 2, "s3://b/x is a URL: give --log-file a local"),
        ("export set --layout lol-v1 --out s3://b/x", 2, "s3://b/x is a URL; give a local or mounted path"),
        ("profile evaluate linear --pairs s3://b/x", 2, "s3://b/x is a URL: give a local or mounted path"),
        ("profile import photos --out s3://b/x", 2, "s3://b/x is a URL: give a local or mounted path"),
        ("profile show s3://b/x", 2, "s3://b/x is a URL: give a local or mounted path"),
        ("profile import photos --out .", 2, ". exists already"),
        ("profile evaluate linear --pairs photos --json photos", 2, "photos is a folder: name a file"),
        ("plan --profile linear --source photos --json .", 2, ". is a folder: name a file"),
        ("profile evaluate linear --pairs photos --seed -1", 2, "-1 is not in the range"),
        ("profile evaluate linear --pairs photos --names=", 2, "it is empty: give names"),
        (f"{DIM} --limit 99999999999999999999", 2, "'99999999999999999999' is too large"),
    ],
)
def test_a_mistake_is_reported(words, code, message, place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    found = exit_code(*words.split())
    output = " ".join(capsys.readouterr().err.split())
    assert " ".join(message.split()) in output
    assert found == code
    assert not (place / "new").exists()


@pytest.mark.parametrize(
    "words",
    [
        "dim --profile linear --source NOWHERE --shards URL",
        "plan --profile linear --source NOWHERE --out URL",
        "plan --profile linear --source NOWHERE --json URL",
        "build-mixhq --source folder=NOWHERE --out URL",
        "subset NOWHERE --out URL",
        "merge NOWHERE NOWHERE --out URL",
        "remove URL --list names",
        "reproduce NOWHERE --source NOWHERE --out URL",
        "export NOWHERE --layout lol-v1 --out URL",
        "train --data NOWHERE --out URL",
        "finetune --network NOWHERE --pairs NOWHERE --out URL",
        "enhance --network NOWHERE NOWHERE --out URL",
        "evaluate --network NOWHERE --pairs NOWHERE --json URL",
        "evaluate --network NOWHERE --pairs NOWHERE --sheet URL",
        "inspect NOWHERE --html URL",
        "inspect NOWHERE --sheet URL",
        "leaks NOWHERE NOWHERE --keys URL",
        "profile fit --pairs NOWHERE --out URL",
        "profile evaluate linear --pairs NOWHERE --json URL",
        "profile evaluate linear --pairs NOWHERE --html URL",
        "profile evaluate linear --pairs NOWHERE --dump URL",
        "profile import NOWHERE --out URL",
    ],
)
def test_a_place_that_cannot_keep_what_is_written_is_told_before_any_work(words, place, monkeypatch, capsys):
    """Before what is to be read is looked at, which is not there."""
    monkeypatch.chdir(place)
    code = exit_code(*words.replace("URL", "memory://new/x").split())
    message = " ".join(capsys.readouterr().err.split())
    assert "memory://new/x is" in message
    assert "give a local" in message
    assert "NOWHERE" not in message
    assert code == 2
    assert not (place / "memory:").exists()


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["dim", "--profile", "linear", "--source", "photos", "--shards", ""], "--shards is empty"),
        (["dim", "--profile", "linear", "--source", "photos", "--shards="], "--shards is empty"),
        (
            ["dim", "--profile", "linear", "--source", "photos", "--exclude", "", "--shards", "x"],
            "--exclude is",
        ),
        (["build-mixhq", "--source", "photos", "--out", ""], "--out is empty"),
        (["export", "set", "--layout", "lol-v1", "--out", ""], "--out is empty"),
        (["merge", "set", "", "--out", "new"], "an argument is empty"),
        (["merge", "set", "--output=", "--out", "new"], "No such option '--output'"),
        (["merge", "set", "--output", "", "--out", "new"], "No such option '--output'"),
        (["merge", "set", "--json", "", "--out", "new"], "an argument is empty"),
        (["train", "--data", "set", "--out", ""], "--out is empty"),
        (["remove", "", "--list", "names"], "an argument is empty"),
    ],
)
def test_an_empty_path_is_refused_and_neither_the_folder_nor_the_root(
    words, what, place, monkeypatch, capsys
):
    """As a variable that is not set gives it: `build-mixhq` wrote to the root of the file system."""
    monkeypatch.chdir(place)
    before = sorted(place.iterdir())
    assert exit_code(*words) == 2
    assert what in " ".join(capsys.readouterr().err.split())
    assert sorted(place.iterdir()) == before


def test_an_option_that_is_no_path_may_be_empty(place, monkeypatch):
    monkeypatch.chdir(place)
    assert exit_code("subset", "set", "--licence", "", "--min-side", "1", "--out", "new") == 0
    shutil.rmtree(place / "new")


def test_an_address_that_leads_nowhere_is_an_error_without_a_traceback(place):
    words = [*DIM.replace("new", "ftp://nowhere.invalid/x").split()]
    done = subprocess.run(
        [sys.executable, "-m", "dimmagen", *words], cwd=place, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Error: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_source_that_is_given_twice_gives_each_photo_once(place, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(place)
    words = f"{DIM} --source photos".replace("new", str(tmp_path / "out"))
    for command in (words, f"verify {tmp_path / 'out'}"):
        assert exit_code(*command.split()) == 0
    assert "3 pairs of 3 photos" in capsys.readouterr().out


def test_a_data_set_made_inside_the_photo_folder_is_not_used_as_a_source(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(write_photos(tmp_path / "photos", 3))
    words = "dim --profile linear --source . --shards made --executor serial"
    for variants in ("1", "2", "2"):
        assert exit_code(*words.split(), "--variants", variants) == 0
    assert "made is complete: 6 pairs of 3 photos" in capsys.readouterr().out


@pytest.fixture(scope="module")
def network(place):
    """A network that was trained for one iteration on the set of `place`."""
    words = f"train --data {place / 'set'} --out {place / 'run'} --iterations 1 --perceptual none --crop 32"
    assert exit_code(*words.split(), "--validation-photos", "1") == 0
    return place / "run"


TRAIN = "train --data set --out new --iterations 1 --perceptual none --crop 32"
PHOTO = "photos/photo00.png"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            f"{TRAIN} --validation-photos 1 --device foo",
            "the device 'foo' is unknown: give auto, cpu or cuda",
        ),
        (f"{TRAIN} --validation-photos 1 --learning-rate 1e38", "1e+38 is not in the range"),
        (f"{TRAIN} --validation-photos 1 --learning-rate nan", "not a finite number"),
        (f"{TRAIN} --validation-photos 0", "there are no pairs to validate on"),
        (f"{TRAIN} --validation-photos 1 --seed {2**64}", "--seed is 18446744073709551616"),
        (TRAIN.replace("new", "set/run") + " --validation-photos 1", "would be inside the data set"),
        (TRAIN.replace("new", "set") + " --validation-photos 1", "set holds a data set or a MixHQ"),
        (f"enhance {PHOTO} --network s3://b/run --out new", "s3://b/run is a URL"),
        (f"enhance {PHOTO} --network run/checkpoint.safetensors --out new", "is the state of a training run"),
        (
            "evaluate --network run --pairs photos --json x --sheet ./x",
            "--json and --sheet are the same file",
        ),
        ("train --data absent --out new", "absent does not exist"),
        (f"enhance {PHOTO} --network run --out new --device foo", "the device 'foo' is unknown"),
        (f"enhance {PHOTO} --network run --out new --memory -1", "-1.0 is not in the range"),
        (f"enhance {PHOTO} --network run --out new --memory nan", "not a finite number"),
        (f"enhance {PHOTO} --network run --out new --lightness nan", "not a finite number"),
        (f"enhance {PHOTO} absent.png --network run --out new", "absent.png does not exist: check the path"),
        (f"enhance {PHOTO} --network run --out binary", "binary"),
        ("evaluate --network run --pairs photos --sheet photos/photo00.png", "is in the folder of the pairs"),
        ("evaluate --network run --pairs photos --json photos/x.json", "is in the folder of the pairs"),
    ],
)
def test_a_mistake_with_a_network_is_reported_before_anything_is_written(
    words, message, network, place, monkeypatch, capsys
):
    monkeypatch.chdir(place)
    code = exit_code(*words.split())
    assert message in " ".join(capsys.readouterr().err.split())
    assert code == 2
    assert not (place / "new").exists()


def test_two_lightnesses_that_round_alike_are_two_images(network, place, monkeypatch, tmp_path):
    monkeypatch.chdir(place)
    words = f"enhance {PHOTO} --network run --lightness 0.301 --lightness 0.304 --lightness 0.301 --out"
    assert exit_code(*words.split(), tmp_path) == 0
    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == ["photo00-0.301.png", "photo00-0.304.png", "photo00-ladder.png"]


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("drim", "did you mean dim?"),
        ("profile shwo", "did you mean show?"),
        ("profile show lineer", "did you mean linear?"),
        ("dim --profile lineer --shards x", "did you mean linear?"),
        ("dim --profile lol3 --source sample --shards x --model camra", "did you mean camera?"),
        ("dim --profile lol3 --source sample --shards x --without tial", "did you mean spatial or tails?"),
        ("dim --profile linear --source sampel --shards x", "did you mean sample?"),
        ("dim --profile linear --source clik=photos --shards x", "did you mean clic?"),
        ("dim --profile linear --source sample --labels coca=x --shards x", "did you mean coco?"),
        ("dim --profile linear --source sample --shards x --executor seriall", "Did you mean serial?"),
        ("export out --layout lol-v12 --out x", "did you mean lol-v2 or lol-v1?"),
        ("train --architecture compct --data out --out x", "Did you mean compact?"),
        ("dim --profile lol3 --shards x --log-format jsn", "Did you mean json?"),
        ("run lol33", "did you mean lol3"),
        ("run lol3 --only trian", "did you mean train"),
        ("run lol3 --set pears=x", "did you mean pairs?"),
        ("run lol3 --set trian.iterations=1", "did you mean train"),
        ("dim --recipe lol33", "did you mean lol3"),
        ("dim --profle lol3", "--profile"),
    ],
)
def test_a_mistyped_name_is_answered_with_the_nearest_one(line, advice, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert exit_code(*line.split()) == 2
    assert advice in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_merge_tells_of_the_pairs_that_it_leaves_out(place, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(place)
    for other, note in (("set", "Note: 3 pairs left out: identical pairs are kept once."), ("other", "")):
        code = exit_code("merge", "set", other, "--out", tmp_path / other)
        messages = capsys.readouterr().err
        assert (code, note in messages, "left out" in messages) == (0, True, bool(note))


@pytest.mark.parametrize("read", [load_pairs, read_photo, lambda path: SceneHashes.from_paths([str(path)])])
def test_heic_photos_without_their_extra_are_told_it_once_and_nothing_else(read, tmp_path, monkeypatch):
    monkeypatch.setattr(heif, "_package", lambda: ("", None, ""))
    for name in ("low/1.heic", "low/2.heic", "high/1.heic", "high/2.heic"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(HEIC, tmp_path / name)
    with pytest.raises(DimmagenError) as caught:
        read({read_photo: tmp_path / "low/1.heic", load_pairs: tmp_path}.get(read, tmp_path / "low"))
    assert caught.value.code == "unreadable-image"
    assert str(caught.value).endswith("is a HEIC picture: to read it, pip install 'dimmagen[heif]'")


def test_a_file_of_someone_else_in_a_set_is_to_be_moved_and_the_set_not_to_be_made_again(tmp_path, capsys):
    make(write_photos(tmp_path / "photos", 2), tmp_path / "out")
    (tmp_path / "out/mine.txt").touch()
    assert exit_code("verify", tmp_path / "out") == 1
    assert (
        capsys.readouterr()
        .err.rstrip()
        .endswith("out has 1 fault: move the files that do not belong to it elsewhere")
    )
    (tmp_path / "out/croissant.json").unlink()
    assert exit_code("verify", tmp_path / "out") == 1
    assert "elsewhere; run the command again that made it" in capsys.readouterr().err
