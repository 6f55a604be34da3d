"""The documentation is true: its Python runs, its commands and layouts exist."""

import importlib.util
import re
import shlex
from pathlib import Path

import click
import pytest

from dimmagen.cli import cli
from dimmagen.export.layouts import LAYOUTS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs/exports").glob("*.md")),
    ROOT / "README.md",
]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def run(code: str) -> None:
    for name in ("datasets", "duckdb"):
        if re.search(rf"(from|import) {name}\b", code) and importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed: pip install 'dimmagen[interop]'")
    exec(compile(code, "documentation", "exec"), {"__name__": "documentation"})


LOADERS = blocks((ROOT / "docs/loaders.md").read_text(), "python")


@pytest.mark.parametrize("code", LOADERS, ids=range(len(LOADERS)))
def test_the_examples_of_the_loaders_page_run(code, pair_set, monkeypatch):
    monkeypatch.chdir(pair_set.parent)
    run(code)


def test_the_snippets_of_a_data_sets_card_run_in_its_folder(pair_set, monkeypatch):
    monkeypatch.chdir(pair_set)
    snippets = blocks((pair_set / "README.md").read_text(), "python")
    assert len(snippets) == 3
    for snippet in snippets:
        run(snippet)


def command_of(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that a command line names, and the rest of the line."""
    command: click.Command = cli
    rest = words[1:]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(click.Context(command), rest[0])
        assert found is not None, f"no command {rest[0]}"
        command, rest = found, rest[1:]
    return command, rest


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_line_in_the_docs_has_options_that_exist(page):
    text = page.read_text() if page.exists() else ""
    for block in blocks(text, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            if not line.startswith("dimmagen "):
                continue
            command, rest = command_of(shlex.split(line, comments=True))
            known = {"--help", *(name for option in command.params for name in option.opts)}
            for word in rest:
                if word.startswith("--"):
                    assert word.split("=")[0] in known, f"{line}: no option {word}"


def test_every_layout_has_its_page_and_is_listed():
    text = (ROOT / "docs/exports.md").read_text()
    assert re.findall(r"\(exports/(.*)\.md\)", text) == list(LAYOUTS)
    assert {page.stem for page in (ROOT / "docs/exports").iterdir()} == set(LAYOUTS)


def test_every_command_has_its_page_with_every_option():
    for name in cli.list_commands(click.Context(cli)):
        page = ROOT / f"docs/commands/{name}.md"
        assert page.exists(), "run python docs/make_command_pages.py"
        text = page.read_text()
        command = cli.get_command(click.Context(cli), name)
        for one in leaves(command):
            for option in (option for option in one.params if isinstance(option, click.Option)):
                assert option.opts[0] in text, (
                    f"{name} {option.opts[0]}: run python docs/make_command_pages.py"
                )


def leaves(command: click.Command) -> list[click.Command]:
    """The command itself, or a group's commands."""
    if not isinstance(command, click.Group):
        return [command]
    context = click.Context(command)
    return [command.get_command(context, name) for name in command.list_commands(context)]
