"""Every `dimmagen` line of a page's shell blocks runs as it is written, one after another, in one folder.

What the lines read is made small; what only costs time (the number of iterations, Ray's start, the steps of a
fit) is short here. Options that a line names stand as they are.
"""

import os
import re
import shlex
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from dimmagen import fit_profile
from dimmagen.cli import cli
from pipelines.wheel import readme_commands
from tests.documented_inputs import write_inputs

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    *("automation", "growing", "tour", "training", "exports", "dark-coco", "pairs", "profiles", "realism"),
    "scale",
)
# Pages whose lines need more than a folder, and the test that runs or stands for them.
ELSEWHERE = {
    "cluster": "core/executors/test_ray_cluster.py",
    "extending": "test_extending.py",
    "storage": "cli/test_commands_on_s3.py",
}
GIVEN = {  # what a page takes for granted
    "exports": ["dim --profile linear --source home/Pictures --variants 4 --shards out"],
    "pairs": ["dim --profile linear --source photos --shards shards", "train --data shards --out run"],
}
QUICK = {
    "profile": {"evaluate": {"draws": 1, "workers": 1}},
    "dim": {"executor": "serial"},
    "train": {"iterations": 2, "validate_every": 1, "validation_photos": 1, "perceptual": "none", "crop": 64},
    "finetune": {"iterations": 1},
}
# Lines that need an extra, which is not everywhere.
EXTRAS = {"--export onnx": "onnxscript"}
# Recipes of hours: their lines are checked by tests/test_docs.py with --dry-run.
LONG = re.compile(r"dimmagen run ")


def lines(page: Path) -> list[str]:
    """The `dimmagen` lines of the shell blocks of a page, continued lines joined, `a && b` as two."""
    found = re.findall(r"^```sh\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    joined = "".join(found).replace("\\\n", " ").replace(" && ", "\n").splitlines()
    return [line for line in joined if line.startswith(("dimmagen ", "cp ")) and not LONG.match(line)]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, short_fits):
    """Everything that the pages name, with the profile of the pairs that most of them name.

    Fitting that profile again finds that it is there.
    """
    folder = tmp_path_factory.mktemp("documented")
    write_inputs(folder)
    fit_profile(str(folder / "my-phone"), str(folder / "profiles/my-phone"))
    return folder


@pytest.fixture
def place(tmp_path, monkeypatch, inputs):
    """A copy of the inputs as the current folder."""
    folder = shutil.copytree(inputs, tmp_path / "place")
    monkeypatch.setenv("HOME", str(folder / "home"))
    monkeypatch.setenv("USERPROFILE", str(folder / "home"))
    monkeypatch.setenv("DIMMAGEN_PROFILES", str(folder / "profiles"))
    monkeypatch.chdir(folder)


def run(commands: list[str]) -> None:
    for command in commands:
        if any(option in command and find_spec(package) is None for option, package in EXTRAS.items()):
            continue
        command = command.partition(" > ")[0]  # a file for the result
        words = [os.path.expanduser(word) for word in shlex.split(command, comments=True)]
        if words[0] == "cp":
            for path in Path().glob(words[1]):
                shutil.copy(path, words[2])
            continue
        assert exit_code(words[1:]) == 0, command


def exit_code(words: list[str]) -> int | str | None:
    try:
        cli.main(words, prog_name="dimmagen", standalone_mode=False, default_map=QUICK)
    except SystemExit as end:
        return end.code
    return 0


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_run_as_they_are_written(page, place):
    path = ROOT / f"docs/{page}.md"
    commands = lines(path)
    assert commands
    run([f"dimmagen {given}" for given in GIVEN.get(page, ())] + commands)


def test_no_page_is_left_out_in_silence():
    with_commands = {path.stem for path in (ROOT / "docs").glob("*.md") if lines(path)}
    assert with_commands == {*PAGES, *ELSEWHERE}
    assert all((ROOT / "tests" / path).exists() for path in ELSEWHERE.values())


README = readme_commands((ROOT / "README.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("commands", README, ids=range(len(README)))
def test_the_commands_of_a_block_of_the_readme_run_as_they_are_written(commands, place):
    """Each block in a folder of its own, as `make test-wheel` runs them with the wheel."""
    run(commands)
