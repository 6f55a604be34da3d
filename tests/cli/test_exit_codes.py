"""The page about exit codes says what the code does."""

import importlib
import pkgutil
import re
import signal
from pathlib import Path

import pytest

import dimmagen
from dimmagen.cli.exit_codes import EXIT_CODES
from dimmagen.core.errors import DimmagenError
from tests.commands import exit_code

PAGE = Path(__file__).parents[2] / "docs" / "automation.md"


def subclasses(kind):
    return [kind, *(inner for one in kind.__subclasses__() for inner in subclasses(one))]


def test_the_page_lists_the_exit_codes_of_the_code():
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {int(code): meaning for code, meaning in rows} == EXIT_CODES


def test_every_error_ends_with_a_documented_exit_code():
    for module in pkgutil.walk_packages(dimmagen.core.__path__, "dimmagen.core."):
        importlib.import_module(module.name)
    assert {kind.exit_code for kind in subclasses(DimmagenError)} == {1, 2}


@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT", "SIGTERM"])
def test_a_signal_gives_128_and_its_number(name):
    if not hasattr(signal, name):
        pytest.skip(f"this system has no {name}")
    assert EXIT_CODES[128 + getattr(signal, name)].startswith(name)


@pytest.mark.parametrize(
    ("line", "code"),
    [("--version", 0), ("profile list", 0), ("verify nowhere", 2), ("verify", 2), ("leaks", 2)],
)
def test_a_command_ends_with_its_exit_code(line, code, capsys):
    assert exit_code(*line.split()) == code


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_during_a_json_command_is_a_json_error(name, monkeypatch, capsys):
    import json
    import os

    from dimmagen.cli import cli

    if os.name == "nt" and name == "SIGTERM":
        pytest.skip("Windows ends a process at once")
    number = getattr(signal, name)
    default = signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL
    signal.signal(number, default)  # a shell lets its background processes ignore SIGINT
    stats = cli.get_command(None, "stats")
    monkeypatch.setattr(stats, "callback", lambda dataset: signal.raise_signal(number))
    code = exit_code("stats", "x", "--json")
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["code"], error["exit_code"]) == ("interrupted", 128 + number)
    assert code == 128 + number


@pytest.mark.needs("signals")  # Windows removes no folder that is a working directory
def test_a_working_directory_that_was_removed_is_told(tmp_path, monkeypatch, capsys):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert exit_code("build-mixhq", "--source", "photos", "--out", "mix") == 1
    assert "the working directory was removed" in capsys.readouterr().err
