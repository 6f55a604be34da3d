"""Completion in a shell: it knows commands, options and names, is up to date, and imports nothing slow."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import BashComplete

from dimmagen.cli.completion import TREE, VARIABLE, command_tree

ROOT = Path(__file__).parents[2]
SLOW = ("torch", "ray", "numba", "numpy", "pyarrow", "rich", "fsspec", "pydantic", "yaml")


def completed(line):
    """What can stand in the place of the last word of a line."""
    *words, incomplete = line.split(" ")
    shell = BashComplete(command_tree(), {}, "dimmagen", VARIABLE)
    return [item.value for item in shell.get_completions(words[1:], incomplete) if item.type != "file"]


def pages_module():
    spec = importlib.util.spec_from_file_location("pages", ROOT / "docs" / "make_command_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_described_commands_are_those_of_the_command_line():
    assert TREE.read_text(encoding="utf-8") == pages_module().completions(), (
        "run: python docs/make_command_pages.py"
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("dimmagen ver", ["verify"]),
        ("dimmagen profile s", ["show"]),
        ("dimmagen dim --prof", ["--profile"]),
        ("dimmagen dim --profile lol3", ["lol3"]),
        ("dimmagen dim --profile lin", ["linear"]),
        ("dimmagen profile show lin", ["linear"]),
        ("dimmagen profile evaluate lol3 lin", ["linear"]),
        ("dimmagen dim --model mc", []),
        ("dimmagen dim --model m", ["mdn"]),
        ("dimmagen dim --without tail", ["tails"]),
        ("dimmagen dim --source coc", ["coco="]),
        ("dimmagen dim --labels coc", ["coco="]),
        ("dimmagen dim --executor s", ["serial"]),
        ("dimmagen subset out --source coc", []),
        ("dimmagen export out --layout lol-v", ["lol-v1", "lol-v2"]),
        ("dimmagen export out --layout retinexf", ["retinexformer"]),
        ("dimmagen export --check basicsr-l", ["basicsr-lmdb"]),
        ("dimmagen train --architecture com", ["compact"]),
        ("dimmagen train --recipe lol3", ["lol3"]),
        ("dimmagen run my", ["my-camera"]),
        ("dimmagen evaluate --metrics psnr,ssim_g", ["psnr,ssim_gray"]),
        ("dimmagen dim --log-f", ["--log-file", "--log-format"]),
    ],
)
def test_names_are_completed(line, expected, monkeypatch, tmp_path):
    monkeypatch.setenv("DIMMAGEN_PROFILES", str(tmp_path))
    found = completed(line)
    if line.endswith("lol3") and "--profile" in line:
        found = [name for name in found if name == "lol3"]  # bundled ones begin with it
    if line.endswith("--recipe lol3"):
        found = found[:1]
    assert found == expected


def test_commands_and_options_are_described_in_a_few_words():
    shell = BashComplete(command_tree(), {}, "dimmagen", VARIABLE)
    help_of = {item.value: item.help for item in shell.get_completions(["dim"], "--")}
    assert help_of["--profile"] == "Camera profile"
    assert help_of["--variants"] == "Number of dark images per photo"
    assert all(help_of.values())
    commands = {item.value: item.help for item in shell.get_completions([], "")}
    assert commands["verify"] == "Check a data set against its manifest."
    assert not [text for text in commands.values() if not text or text.endswith("...")]


def test_the_users_own_profiles_are_completed(monkeypatch, tmp_path):
    monkeypatch.setenv("DIMMAGEN_PROFILES", str(tmp_path))
    (tmp_path / "my-phone").mkdir()
    (tmp_path / "my-phone" / "profile.json").write_text("{}")
    assert completed("dimmagen dim --profile my") == ["my-phone"]


def test_completion_imports_nothing_that_takes_long():
    script = (
        "import json, sys\n"
        "sys.argv = ['dimmagen']\n"
        "from dimmagen.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    environment = {
        **os.environ,
        VARIABLE: "bash_complete",
        "COMP_WORDS": "dimmagen dim --profile lol",
        "COMP_CWORD": "3",
    }
    result = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    *items, modules = result.stdout.splitlines()
    assert "plain,lol3" in items
    assert [name for name in SLOW if name in json.loads(modules)] == []
