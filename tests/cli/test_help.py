"""The help of every command: whole sentences, defaults, examples that are valid, and lines of 80 columns."""

import ast
import inspect
import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from dimmagen.cli import cli
from dimmagen.core.errors import CODES

MODULES = sorted(Path(__file__).parents[2].glob("dimmagen/cli/*.py"))


def contexts(command: click.Command, context: click.Context) -> dict[str, click.Context]:
    """The context of a command and of every command below it, by full name."""
    found = {context.command_path: context}
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            found |= contexts(inner, click.Context(inner, context, info_name=name))
    return found


ALL = contexts(cli, click.Context(cli, info_name="dimmagen", **cli.context_settings))
LEAVES = {name: one for name, one in ALL.items() if not isinstance(one.command, click.Group)}
OPTIONS = {
    f"{name} {option.opts[0]}": (option, context)
    for name, context in ALL.items()
    for option in context.command.get_params(context)
    if isinstance(option, click.Option)
}


def paragraphs(command: click.Command) -> list[str]:
    return [text.removeprefix("\b\n") for text in inspect.cleandoc(command.help).split("\n\n")]


def examples(command: click.Command) -> list[str]:
    """The command lines in the second paragraph of a help text."""
    heading, *lines = paragraphs(command)[1].splitlines()
    assert re.fullmatch(r"Examples?(, .*)?:", heading)
    return [line.strip() for line in lines]


@pytest.mark.parametrize("name", OPTIONS)
def test_the_help_of_an_option_is_whole_sentences(name):
    option, _ = OPTIONS[name]
    assert re.fullmatch(r"[A-Z].*[^.]\.", option.help or "", re.DOTALL), option.help


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_shows_its_default(name):
    option, context = OPTIONS[name]
    default = option.get_default(context, call=False)
    if isinstance(default, str | int | float | Path) and not option.is_flag:
        assert option.get_help_extra(context).get("default") not in (None, '""')


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_says_what_kind_of_value_it_takes(name):
    option, context = OPTIONS[name]
    if not option.is_flag:
        assert option.make_metavar(context) not in ("TEXT", "PATH RANGE", "FILENAME", "FLOAT RANGE")


@pytest.mark.parametrize("name", ALL)
def test_a_help_begins_with_one_sentence_followed_by_an_example(name):
    command = ALL[name].command
    assert re.fullmatch(r"[A-Z][^.]*(\.\w+[^.]*)*\.", paragraphs(command)[0])
    assert name not in LEAVES or f"{examples(command)[0]} ".startswith(f"{name} ")


@pytest.mark.parametrize("name", ALL)
def test_the_examples_of_a_help_are_valid_command_lines(name):
    for line in examples(ALL[name].command):
        words = shlex.split(line)
        leaf = next(one for one in sorted(LEAVES, key=len, reverse=True) if f"{line} ".startswith(f"{one} "))
        context = LEAVES[leaf]
        given, _, _ = context.command.make_parser(context).parse_args(words[len(leaf.split()) :])
        for parameter in context.command.get_params(context):
            assert parameter.name in given or not parameter.required, parameter.name
            if parameter.name in given and not isinstance(parameter.type, click.Path):
                parameter.type_cast_value(context, given[parameter.name])


@pytest.mark.parametrize("name", ALL)
def test_a_help_fits_into_80_columns(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    result = CliRunner().invoke(cli, [*name.split()[1:], "--help"], prog_name="dimmagen")
    assert result.exit_code == 0
    assert [line for line in result.output.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_every_error_of_the_command_line_has_a_documented_code(path):
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") in ("DimmagenError", "UsageError"):
            given = {keyword.arg: keyword.value for keyword in call.keywords}
            assert "code" in given, f"{path.name}:{call.lineno} has no code"
            codes = {node.value for node in ast.walk(given["code"]) if isinstance(node, ast.Constant)}
            assert codes, f"{path.name}:{call.lineno} has no code"
            assert codes <= set(CODES), f"{path.name}:{call.lineno}: {codes}"


def test_readme_and_help_say_the_same_time_for_a_fit():
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    told = re.search(r"^dimmagen profile fit .*; (.*)$", readme, re.MULTILINE)[1]
    assert f"in {told}." in LEAVES["dimmagen profile fit"].command.help


def sections(name: str) -> dict[str, str]:
    """The text below each heading of a command's help."""
    text = CliRunner().invoke(cli, [*name.split()[1:], "--help"], prog_name="dimmagen").output
    parts = re.split(r"^(\S.*):$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("name", ["dimmagen dim", "dimmagen plan", "dimmagen build-mixhq", "dimmagen train"])
def test_a_command_with_many_options_lists_each_once_under_a_heading(name):
    listed = re.findall(r"^  (?:-\w, )?(--[\w-]+)", "".join(sections(name).values()), re.MULTILINE)
    own = [option for full, (option, _) in OPTIONS.items() if full.startswith(f"{name} ")]
    assert len(listed) == len(set(listed)) == len(own)
    assert set(listed) <= {word for option in own for word in option.opts}


def test_options_of_one_kind_are_together():
    told = sections("dimmagen dim")
    assert "--profile" in told["Options"]
    assert "--resize" in told["Selection of photos"]
    assert "--gamma" in told["Dark images"]
    assert "--workers" in told["Execution"]


def test_every_command_is_under_one_heading():
    listed = re.findall(r"^  ([a-z][\w-]*) ", "".join(sections("dimmagen").values()), re.MULTILINE)
    assert set(listed) == {name.split()[1] for name in ALL if name != "dimmagen"}
    assert len(listed) == len(set(listed))
