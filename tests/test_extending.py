"""docs/extending.md: each example is installed as a package of its own and used through the commands."""

import importlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import dimmagen
from dimmagen.cli.version import PLUGIN_GROUPS
from dimmagen.dimmers.base import DIMMERS
from dimmagen.dimmers.profile import open_profile
from dimmagen.enhance.network import ARCHITECTURES
from dimmagen.export.layouts import LAYOUTS
from dimmagen.metrics.base import METRICS
from dimmagen.sources import SOURCES
from dimmagen.sources.archive_formats import ARCHIVES
from tests.commands import exit_code
from tests.dataset_helpers import make, write_photos

TEXT = (Path(__file__).resolve().parents[1] / "docs/extending.md").read_text(encoding="utf-8")
EXAMPLES = {
    name: (group, attribute, code)
    for group, name, attribute, code in re.findall(
        r"^```python\n# (dimmagen\.\w+): ([\w-]+) = example:(\w+)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE
    )
}
REGISTRIES = (SOURCES, ARCHIVES, DIMMERS, LAYOUTS, ARCHITECTURES, METRICS)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory with a few photos."""
    write_photos(tmp_path / "photos", 4)
    Image.fromarray(np.full((300, 300, 3), 90, np.uint8)).save(tmp_path / "photos/square.png")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def uninstall(tmp_path):
    """Removes the package that `install` has installed."""

    def removed() -> None:
        for info in (tmp_path / "site").glob("*.dist-info"):
            shutil.rmtree(info)

    return removed


@pytest.fixture
def install(tmp_path, uninstall):
    """Installs an example of the page as a package, into a separate folder on the path of subprocesses."""

    def installed(name: str, version: str = "1.0") -> None:
        group, attribute, code = EXAMPLES[name]
        site = tmp_path / "site"
        info = site / f"dimmagen_example-{version}.dist-info"
        uninstall()
        info.mkdir(parents=True)
        (site / "example.py").write_text(code, encoding="utf-8")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: dimmagen-example\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = example:{attribute}\n")

    return installed


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """Runs a command here, with the package that is installed by then, as a new process would find it."""
    loaded = [dict(registry._loaded) for registry in REGISTRIES]

    def run_command(*words: object) -> subprocess.CompletedProcess:
        monkeypatch.delitem(sys.modules, "example", raising=False)
        importlib.invalidate_caches()
        for registry, before in zip(REGISTRIES, loaded, strict=True):
            monkeypatch.setattr(registry, "_entry_points", None)
            monkeypatch.setattr(registry, "_loaded", dict(before))
            monkeypatch.setattr(registry, "_complete", {})
        return subprocess.CompletedProcess(words, exit_code(*words), *capfd.readouterr())

    monkeypatch.syspath_prepend(tmp_path / "site")
    return run_command


@pytest.fixture
def run_process(tmp_path):
    """Runs a command in a new process, whose path has the folder of the package."""

    def run_command(*words: object) -> subprocess.CompletedProcess:
        path = os.pathsep.join(filter(None, [str(tmp_path / "site"), os.environ.get("PYTHONPATH")]))
        command = [sys.executable, "-m", "dimmagen", *map(str, words)]
        environment = {**os.environ, "PYTHONPATH": path}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    return run_command


def test_every_kind_has_an_example_of_at_most_30_lines():
    assert {group for group, _, _ in EXAMPLES.values()} == set(PLUGIN_GROUPS)
    for name, (_, _, code) in EXAMPLES.items():
        assert len(code.splitlines()) <= 30, name


def test_a_source_of_a_package_selects_and_states_its_terms(place, install, run, run_process):
    install("square")
    done = run_process("build-mixhq", "--source", "square=photos/", "--out", "mixhq")
    assert done.returncode == 0, done.stderr
    assert "square-only" in done.stdout
    card = Path("mixhq/README.md").read_text()
    assert "CC BY 4.0, by their photographers" in card
    words = ["dim", "--profile", "linear", "--source", "square=photos/", "--executor", "serial"]
    assert run(*words, "--shards", "out").returncode == 0
    manifest = json.loads(Path("out/manifest.json").read_text())
    assert manifest["environment"]["plugins"] == {"source square": "dimmagen-example 1.0"}
    assert manifest["settings"]["source_terms"] == {"square": "CC BY 4.0, by their photographers"}
    assert "CC BY 4.0" in Path("out/README.md").read_text()
    assert dimmagen.verify("out").faults == []


def test_another_version_of_a_plugin_is_another_fingerprint(place, install, uninstall, run):
    fingerprints = set()
    for version in ("1.0", "1.1"):
        install("dusk", version)
        out = f"out-{version}"
        words = ["dim", "--profile", "dusk", "--source", "photos/", "--executor", "serial", "--shards", out]
        done = run(*words)
        assert done.returncode == 0, done.stderr
        manifest = json.loads(Path(out, "manifest.json").read_text())
        assert manifest["settings"]["model"] == "dusk"
        assert manifest["environment"]["plugins"] == {"dimmer dusk": f"dimmagen-example {version}"}
        fingerprints.add(manifest["fingerprint"])
        assert run("verify", out, "--reproduce", "100%").returncode == 0
    assert len(fingerprints) == 2
    install("dusk", "1.2")
    done = run(
        "dim", "--profile", "dusk", "--source", "photos/", "--executor", "serial", "--shards", "out-1.0"
    )
    assert done.returncode == 2
    assert "plugins.dimmer dusk: dimmagen-example 1.0 → dimmagen-example 1.2" in done.stderr
    uninstall()
    assert run("verify", "out-1.0").returncode == 0
    photos = ("--source", "photos/", "--out", "again")
    for words in (("verify", "out-1.0", "--reproduce", "100%"), ("reproduce", "out-1.0", *photos)):
        done = run(*words)
        assert done.returncode == 2
        assert "the dimmer dusk of the package dimmagen-example 1.0, which is not installed" in done.stderr


def test_an_archive_format_of_a_package_is_a_source_alone_and_in_a_folder(place, install, run):
    install("parquet")
    names = sorted(map(str, Path("photos").glob("photo*")))[:3]
    images = [{"bytes": Path(name).read_bytes(), "path": Path(name).name} for name in names]
    Path("hub").mkdir()
    pq.write_table(pa.table({"image": images, "label": [0, 1, 2]}), "hub/train.parquet", row_group_size=2)
    words = ["dim", "--profile", "linear", "--executor", "serial"]
    done = run(*words, "--source", "hub/train.parquet", "--shards", "out")
    assert done.returncode == 0, done.stderr
    assert run(*words, "--source", "hub", "--shards", "out-folder").returncode == 0
    tables = [
        pq.read_table(f"{out}/metadata/train-00000.parquet").to_pydict() for out in ("out", "out-folder")
    ]
    places = ("00000-00000", "00000-00001", "00001-00000")  # row groups of two
    expected = [f"{place}-{Path(name).name}" for place, name in zip(places, names, strict=True)]
    assert sorted(tables[0]["name"]) == expected
    assert tables[1]["name"] == [f"train.parquet/{name}" for name in tables[0]["name"]]
    assert tables[0]["dark_sha256"] == tables[1]["dark_sha256"]
    done = run("verify", "out", "--reproduce", "100%", "--source", "hub/train.parquet")
    assert done.returncode == 0, done.stderr
    dimmagen.check_archive(ARCHIVES["parquet"], "hub/train.parquet")


def test_a_measured_dimmer_of_a_package_is_saved_as_a_profile(place, install, run, tmp_path, monkeypatch):
    install("bulb")
    monkeypatch.setenv("DIMMAGEN_PROFILES", str(tmp_path / "profiles"))
    assert run("profile", "list").returncode == 0  # the process sees the package from here on
    importlib.import_module("example").save("kitchen", np.array([0.1, 0.08, 0.05]))
    dimmagen.check_dimmer(open_profile("kitchen").model())
    assert "measured under a bulb" in run("profile", "show", "kitchen").stdout
    words = ["dim", "--profile", "kitchen", "--source", "photos/", "--executor", "serial", "--shards", "out"]
    done = run(*words)
    assert done.returncode == 0, done.stderr
    assert run("verify", "out", "--reproduce", "100%").returncode == 0


def test_a_layout_of_a_package_is_written_and_checked(place, install, run, tmp_path_factory):
    install("two-folders")
    make("photos", Path("out"))
    done = run("export", "out", "--layout", "two-folders", "--out", "export")
    assert done.returncode == 0, done.stderr
    assert list(Path("export/train/night").iterdir())
    assert run("export", "--check", "two-folders", "export").returncode == 0
    done = run("export", "out", "--layout", "two-fodlers", "--out", "other")
    assert done.returncode == 2
    assert "did you mean two-folders?" in done.stderr


def test_a_store_of_a_package_is_written_and_checked(place, install, run):
    install("arrays")
    make("photos", Path("out"))
    done = run("export", "out", "--layout", "arrays", "--out", "export", "--fit", "64x48")
    assert done.returncode == 0, done.stderr
    dark, light = (sorted(Path("export/train", side).iterdir()) for side in ("dark", "light"))
    assert [path.name for path in dark] == [path.name for path in light]
    assert {np.load(path).shape for path in (*dark, *light)} == {(48, 64, 3)}
    assert run("export", "--check", "arrays", "export").returncode == 0
    np.save(dark[0], np.zeros((3, 3, 3), np.uint8))
    assert "its partner 64x48" in run("export", "--check", "arrays", "export").stdout


def test_a_network_of_a_package_trains(place, install, uninstall, run, run_process):
    install("two-convolutions")
    make("photos", Path("out"), variants=2)
    words = [
        "train",
        "--data",
        "out",
        "--architecture",
        "two-convolutions",
        "--out",
        "run",
        "--iterations",
        2,
    ]
    done = run_process(*words, "--perceptual", "none", "--crop", 32, "--validation-photos", 1)
    assert done.returncode == 0, done.stderr
    done = run_process("enhance", "photos/photo00.png", "--network", "run", "--out", "bright")
    assert done.returncode == 0, done.stderr
    assert Path("bright/photo00.png").exists()
    uninstall()
    done = run("enhance", "photos/photo00.png", "--network", "run", "--out", "other")
    assert done.returncode == 1
    assert "the architecture 'two-convolutions', which is not installed here" in done.stderr


def test_a_metric_of_a_package_is_scored_and_listed(place, install, run, run_process):
    install("mae")
    for side in ("low", "high"):
        Path("pairs", side).mkdir(parents=True)
        pixels = np.asarray(Image.open("photos/photo00.png"), np.uint8) // (6 if side == "low" else 1)
        Image.fromarray(pixels).save(Path("pairs", side, "1.png"))
    make("photos", Path("out"))
    words = ["train", "--data", "out", "--out", "run", "--iterations", 1, "--perceptual", "none"]
    assert run(*words, "--crop", 32, "--validation-photos", 1).returncode == 0
    words = ["evaluate", "--network", "run", "--pairs", "pairs"]
    done = run(*words, "--metrics", "psnr,mae", "--json", "scores.json")
    assert done.returncode == 0, done.stderr
    assert "MAE" in done.stdout
    assert json.loads(Path("scores.json").read_text())["mean"]["truth"]["mae"] > 0
    assert "mae" in run_process("evaluate", "--help").stdout


def test_a_half_written_plug_in_is_told_what_it_lacks_and_nothing_is_made(place, install, run):
    install("dusk")
    code = Path("site/example.py")
    code.write_text(code.read_text().replace('kind = "dusk"', 'kind = "dawn"') + "\n\nDUSK = Dusk(0.1)\n")
    words = ["dim", "--profile", "dusk", "--source", "photos/", "--executor", "serial", "--shards", "out"]
    for value, said in (
        ("Dusk", "the dimmer dusk of example:Dusk cannot be used: its kind is 'dawn'"),
        ("DUSK", "it is an object, whose constants would be lost"),
        ("dataclass", "has no fitted, compats, load()"),
    ):
        points = next(Path("site").glob("*.dist-info")) / "entry_points.txt"
        points.write_text(f"[dimmagen.dimmers]\ndusk = example:{value}\n")
        done = run(*words)
        assert done.returncode == 1
        assert said in done.stderr
        assert "Traceback" not in done.stderr
        assert not Path("out").exists()


@pytest.mark.parametrize("value", ["example:Gone", "example:dataclass", "no_such_module:Dusk"])
def test_a_broken_plug_in_hides_no_other_profile(value, place, install, run):
    install("dusk")
    points = next(Path("site").glob("*.dist-info")) / "entry_points.txt"
    points.write_text(f"[dimmagen.dimmers]\ndusk = {value}\ndawn = example:Dawn\n")
    code = Path("site/example.py")
    code.write_text(code.read_text().replace("Dusk", "Dawn").replace('"dusk"', '"dawn"'))
    done = run("profile", "list")
    assert done.returncode == 0, done.stderr
    assert re.search(r"lol3 .*linear .*dawn ", done.stdout, re.DOTALL)
    assert "dusk" not in done.stdout
    assert re.search(rf"Left out: dusk: the dimmer dusk .*{value}.*uninstall", done.stderr)
    assert "choose one of" in run("profile", "show", "no-such").stderr
    done = run("profile", "show", "dusk")
    assert (done.returncode, done.stdout) == (1, "")
    assert "the dimmer dusk " in done.stderr


def test_the_help_of_export_says_which_layout_cannot_be_loaded(place, install, run):
    install("two-folders")
    Path("site/example.py").write_text("raise RuntimeError('half an update')\n")
    done = run("export", "--help")
    assert done.returncode == 0, done.stderr
    assert re.search(
        r"lol-v1 .*two-folders\s+the layout two-folders cannot be\s+loaded", done.stdout, re.DOTALL
    )
    assert "half an update" in " ".join(done.stdout.split())
    assert run("export", "photos", "--layout", "two-folders", "--out", "export").returncode != 0


def test_a_plug_in_that_is_named_as_a_built_in_one_stops_no_other(place, install, run_process):
    install("square")
    points = next(Path("site").glob("*.dist-info")) / "entry_points.txt"
    points.write_text("[dimmagen.sources]\ncoco = example:Square\n")
    done = run_process("build-mixhq", "--source", "folder=photos/", "--out", "mixhq")
    assert done.returncode == 0, done.stderr
    done = run_process("build-mixhq", "--source", "coco=photos/", "--out", "other")
    assert done.returncode == 2
    assert "two sources named 'coco'" in done.stderr


@pytest.mark.parametrize(
    ("group", "name", "words"),
    [
        ("sources", "coco", "build-mixhq --source coco=photos --out mixhq"),
        ("dimmers", "camera", "dim --profile lol3 --source photos --shards other"),
        ("dimmers", "linear", "dim --profile linear --source photos --shards other"),
        ("layouts", "lol-v1", "export out --layout lol-v1 --out export"),
        ("layouts", "retinexformer", "export out --layout retinexformer --out export"),
        ("networks", "compact", "train --data out --out run --iterations 1"),
    ],
)
def test_a_plug_in_that_is_named_as_a_built_in_one_is_never_ignored(group, name, words, place, install, run):
    make("photos", Path("out"))
    install("square")
    points = next(Path("site").glob("*.dist-info")) / "entry_points.txt"
    points.write_text(f"[dimmagen.{group}]\n{name} = example:Square\n")
    done = run(*words.split())
    assert done.returncode == 2
    assert re.search(rf"there are two \w+s named '{name}' \(.*, example:Square\)", done.stderr)


def test_a_layout_of_a_plug_in_that_is_named_as_a_code_base_is_refused(place, install, run):
    make("photos", Path("out"))
    install("two-folders")
    code = Path("site/example.py")
    code.write_text(code.read_text().replace('"two-folders"', '"restormer"'))
    points = next(Path("site").glob("*.dist-info")) / "entry_points.txt"
    points.write_text(points.read_text().replace("two-folders", "restormer"))
    done = run("export", "out", "--layout", "restormer", "--out", "export")
    assert done.returncode == 1
    assert "its name is that of a code base" in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("square", "check_source"),
        ("dusk", "check_dimmer"),
        ("two-convolutions", "check_network"),
        ("mae", "check_metric"),
    ],
)
def test_the_examples_keep_their_contracts(name, check, tmp_path, monkeypatch):
    _, attribute, code = EXAMPLES[name]
    (tmp_path / "example.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "example", raising=False)
    found = getattr(importlib.import_module("example"), attribute)
    getattr(dimmagen, check)(found() if isinstance(found, type) else found)


def test_the_project_file_of_the_page_makes_a_package_that_pip_installs(tmp_path):
    pytest.importorskip("setuptools")
    (project,) = re.findall(r"^```toml\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    folder, site = tmp_path / "project", tmp_path / "site"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(project, encoding="utf-8")
    (folder / "example.py").write_text(EXAMPLES["square"][2], encoding="utf-8")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
    ]
    subprocess.run([*pip, "--target", str(site), str(folder)], check=True, capture_output=True)
    (distribution,) = importlib.metadata.distributions(path=[str(site)])
    (point,) = distribution.entry_points
    assert (point.group, point.name, point.value) == ("dimmagen.sources", "square", "example:Square")
