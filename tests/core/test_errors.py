"""Errors: every one that the library raises has a documented code and knows nothing of the command line."""

import ast
import re
from pathlib import Path

import click
import pytest

from dimmagen.cli import cli
from dimmagen.core.errors import CODES, DimmagenError

ROOT = Path(__file__).resolve().parents[2]
FILES = [path for path in sorted((ROOT / "dimmagen").rglob("*.py")) if "cli" not in path.parts]
COMMANDS = "|".join(cli.list_commands(click.Context(cli)))
CLASSES = {"DimmagenError", "UsageError"}  # the others have a code of their own


def calls_in(path: Path) -> list[ast.Call]:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return [node for node in nodes if isinstance(node, ast.Call)]


def raised(path: Path) -> list[ast.Call]:
    """Where the two general classes are constructed."""
    return [call for call in calls_in(path) if isinstance(call.func, ast.Name) and call.func.id in CLASSES]


def logged(path: Path) -> list[ast.Call]:
    """Where a message is logged."""
    methods = [call for call in calls_in(path) if isinstance(call.func, ast.Attribute)]
    return [call for call in methods if call.func.attr in {"debug", "info", "warning", "error", "log"}]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_error_of_the_library_has_a_documented_code(path):
    for call in raised(path):
        given = {word.arg: word.value for word in call.keywords}
        assert "code" in given, f"{path.name}:{call.lineno} has no code"
        assert ast.literal_eval(given["code"]) in CODES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_error_or_message_of_the_library_names_an_option_or_a_command(path):
    for call in raised(path) + logged(path):
        texts = [
            node.value
            for node in ast.walk(call)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        for text in texts:
            assert not re.search(r"(^|[\s(`])--[a-z]", text), f"{path.name}:{call.lineno}: {text}"
            assert not re.search(rf"\bdimmagen ({COMMANDS})\b", text), f"{path.name}:{call.lineno}: {text}"


def test_the_codes_are_documented():
    rows = re.findall(
        r"^\| `([a-z-]+)` \| (.+) \|$", (ROOT / "docs/api.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert dict(rows) == CODES


def test_fields_and_code_are_kept():
    error = DimmagenError("it is wrong", "make it right", code="out-of-range", value=3)
    assert (str(error), error.code, error.fields) == (
        "it is wrong: make it right",
        "out-of-range",
        {"value": 3},
    )
    assert DimmagenError("it is wrong").code == "failed"
