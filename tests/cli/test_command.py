"""What every command does: former names of options, and errors that name options instead of arguments."""

import logging
import pickle
import shlex

import click
import pytest
from click.testing import CliRunner

from dimmagen.cli.command import Command, command
from dimmagen.cli.home import expand_home
from dimmagen.cli.subset import subset
from dimmagen.cli.wording import command_message, in_options, message, worded
from dimmagen.core.errors import DimmagenError, UsageError, Ways
from dimmagen.generate.subset import Selection


@command("shake", former_names={"--to": "--out"})
@click.option("--out", "folder", metavar="DIR")
@click.option("--dry-run", is_flag=True)
@click.argument("dataset")
def shake(folder: str | None, dry_run: bool, dataset: str) -> None:
    click.echo(f"{dataset} into {folder}")


def test_a_former_name_is_accepted_with_a_notice():
    for words in (["set", "--to", "there"], ["set", "--to=there"]):
        result = CliRunner().invoke(shake, words)
        assert result.exit_code == 0
        assert result.stdout == "set into there\n"
        assert result.stderr == "Note: --to is now --out; the former name will be removed.\n"


def test_a_path_that_is_given_twice_is_not_dropped_in_silence():
    result = CliRunner().invoke(shake, ["set", "--out", "here", "--out=there"])
    assert result.stdout == "set into there\n"
    assert result.stderr == "Note: --out is given 2 times: only the last one counts.\n"


def test_nothing_is_renamed_after_two_dashes():
    result = CliRunner().invoke(shake, ["--out", "there", "--", "--to"])
    assert result.stdout == "--to into there\n"
    assert result.stderr == ""


def test_the_command_that_a_derived_set_records_is_what_is_typed_today(capsys):
    criteria = {"sources": ("a",), "licence": "CC BY", "gamma": (0.5, 1.0), "lightness": (0.0, 0.25)}
    recorded = Selection(**criteria, min_side=64, keys=("y",), without_keys=("z",)).command()
    words = shlex.split(recorded)[2:]
    assert subset.with_present_names(words) == words
    assert capsys.readouterr().err == ""
    context = click.Context(subset)
    known = {name for one in subset.get_params(context) for name in one.opts}
    assert known.issuperset(word for word in words if word.startswith("--"))


def test_the_present_name_gives_no_notice():
    assert CliRunner().invoke(shake, ["set", "--out", "there"]).stderr == ""


@pytest.mark.parametrize(
    ("word", "becomes"),
    [
        ("~/photos", "HOME/photos"),
        ("coco=~/photos", "HOME"),
        ("--out=~/out", "--out=HOME/out"),
        ("--source=coco=~/p=q", "--source=coco=HOME/p=q"),
        ("train.out=~/run", "train.out=HOME/run"),
        ("a~/b", "a~/b"),
        ("x/y=~/z", "x/y=~/z"),
        ("patience=~", "patience=~"),
        ("~", "~"),
    ],
)
def test_the_home_folder_stands_where_no_shell_puts_it(word, becomes, monkeypatch, tmp_path):
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    wanted = f"coco={tmp_path}/photos" if becomes == "HOME" else becomes.replace("HOME", str(tmp_path))
    assert expand_home(word) == wanted
    assert CliRunner().invoke(shake, [word, "--out", "there"]).stdout in (f"{wanted} into there\n", "")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("choose another `folder`", "choose another --out"),
        ('give `folder="there"`', "give --out there"),
        ("see `dry_run=True`", "see --dry-run"),
        ("give fewer `workers`", "give fewer workers"),
        ("check `dataset`", "check DATASET"),
        ("check it with `verify(out/)`", "check it with dimmagen verify out/"),
        ("check it with `verify(my set)`", "check it with dimmagen verify 'my set'"),
        ("the verdicts of `build_mixhq(dry_run=True)`", "the verdicts of dimmagen build-mixhq --dry-run"),
    ],
)
def test_arguments_in_a_message_become_options(text, shown):
    assert in_options(text, shake) == shown


def test_an_error_inside_a_command_names_its_options():
    @command("fail")
    @click.option("--shards", "out")
    def fail(out: str | None) -> None:
        raise UsageError("the folder is taken", "choose another `out`", code="not-empty")

    with pytest.raises(UsageError) as error:
        fail.main([], standalone_mode=False)
    assert message(error.value) == "the folder is taken: choose another --shards"
    assert error.value.code == "not-empty"
    assert isinstance(fail, Command)


def test_an_error_outside_a_command_has_no_backticks():
    assert message(DimmagenError("it failed", "give another `out`")) == "it failed: give another out"


def test_of_several_ways_those_are_told_that_a_command_has():
    ways = Ways.of("wait", "give `workers=1`", 'use `folder="there"`', "see `verify(x)`", then="try again")
    assert str(ways) == ('wait, give `workers=1`, use `folder="there"`, or see `verify(x)`; then try again')
    error = pickle.loads(pickle.dumps(DimmagenError("it is taken", ways)))
    assert command_message(error, shake) == (
        "it is taken: wait, use --out there, or see dimmagen verify x; then try again"
    )
    assert command_message(error, None) == (
        "it is taken: wait, give workers 1, use folder there, or see dimmagen verify x; then try again"
    )
    assert command_message(DimmagenError("it is taken", Ways.of("give `workers`", "`seed`")), shake) == (
        "it is taken: give workers, or seed"
    )


def test_a_log_message_inside_a_command_names_its_options_but_changes_no_path():
    @command("look")
    @click.option("--follow-links", is_flag=True)
    def look(follow_links: bool) -> None:
        record = logging.makeLogRecord(
            {"msg": "%s: `follow_links=True` reads it", "args": ("`follow_links`",)}
        )
        click.echo(worded(record).getMessage())
        click.echo(record.getMessage())

    shown, unchanged = CliRunner().invoke(look).stdout.splitlines()
    assert shown == "`follow_links`: --follow-links reads it"
    assert unchanged == "`follow_links`: `follow_links=True` reads it"  # as handlers of a user get it


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("%s is left out; `follow_links=True` reads it", "a.jpg is left out"),
        ("%s is left out; `dry_run=True` reads it", "a.jpg is left out; --dry-run reads it"),
        ("it is late; %s is left out", "it is late; a.jpg is left out"),
    ],
)
def test_advice_that_a_command_cannot_take_is_left_out_of_a_log_message(message, shown):
    record = logging.makeLogRecord({"msg": message, "args": ("a.jpg",)})
    with click.Context(shake):
        assert worded(record).getMessage() == shown


def test_several_lines_are_followed_by_another_one():
    assert str(DimmagenError("it differs in\n  this", "choose")) == "it differs in\n  this\nchoose"
