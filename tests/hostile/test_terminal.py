"""Names and settings of strangers are shown by commands, and do nothing else to a terminal or a page."""

import json
import re
import shutil
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

import dimmagen.cli
from dimmagen.dataset.manifest import fingerprint
from tests.commands import exit_code
from tests.dataset_helpers import write_photos

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b31m[bold][red]:smile:\u202e"
SHOWN = r"\x1b]0;owned\x07\x1b[2J\x9b31m[bold][red]:smile:\u202e"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A folder with control characters and rich's markup in its name and in those of its photos, and a data
    set of them."""
    folder = tmp_path_factory.mktemp("hostile") / f"{ESCAPES}[/bold]"  # rich's markup, and two folders
    photos = write_photos(folder / "photos", 2)
    for photo in list(photos.iterdir()):
        photo.rename(photos / f"{ESCAPES}{photo.name}")
    words = ("dim", "--profile", "linear", "--executor", "serial", "--source", photos)
    assert exit_code(*words, "--shards", f"{folder}/out") == 0
    return folder


def printed(capsys, *arguments, code=0):
    """Both streams of a command."""
    found = exit_code(*arguments)
    output = capsys.readouterr()
    assert found == code, output
    return output.out + output.err


def commands(folder):
    out, photos = folder / "out", folder / "photos"
    key = "folder-"
    yield ("inspect", out), 0
    yield ("stats", out), 0
    yield ("verify", out), 0
    yield ("manifest", "diff", out, out / "manifest.json"), 0
    yield ("dim", "--profile", "linear", "--source", photos, "--shards", folder / "new", "--dry-run"), 0
    yield ("build-mixhq", "--source", f"folder={photos}", "--dry-run"), 0
    yield ("peek", out, key), 2
    yield ("peek", folder / "nothing", key), 2
    yield ("dim", "--profile", folder / "no-profile", "--source", photos, "--shards", folder / "new"), 2
    yield ("leaks", out, photos), 1
    yield ("export", "--check", "lol-v1", folder / "nothing"), 2
    yield ("inspect", out, f"--{ESCAPES}"), 2


@pytest.mark.parametrize("number", range(12))
def test_no_command_prints_a_control_character(number, hostile, capsys):
    arguments, code = list(commands(hostile))[number]
    text = printed(capsys, *arguments, code=code)
    assert re.findall(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text) == []


def test_peek_shows_a_name_as_it_is(hostile, capsys):
    key = json.loads((hostile / "out" / "manifest.json").read_text())
    assert key["counts"]["pairs"] == 2
    text = printed(capsys, "peek", hostile / "out", "folder-", code=2)
    first = re.search(r"as in (\S+),", text)[1]
    text = printed(capsys, "peek", hostile / "out", first).replace("\n", "")
    assert SHOWN in re.sub(r"\s", "", text)
    assert "\x1b" not in text


def test_a_card_of_a_stranger_s_set_shows_the_profile_as_text(hostile, tmp_path, capsys):
    out = shutil.copytree(hostile / "out", tmp_path / "out")
    manifest = json.loads((out / "manifest.json").read_text())
    evil = "x`\n\n<img src=x onerror=alert(1)>\n\n```\n# [a](javascript:b)"
    manifest["settings"] |= {"profile": evil}
    manifest["fingerprint"] = fingerprint(manifest["settings"], manifest["environment"])
    (out / "manifest.json").write_text(json.dumps(manifest))
    printed(capsys, "subset", out, "--out", tmp_path / "part", "--min-side", 1)
    text = (tmp_path / "part/README.md").read_text().split("---\n", 2)[2]
    ordinary = (hostile / "out/README.md").read_text().split("---\n", 2)[2]
    pages = [MarkdownIt().enable("table").render(one) for one in (text, ordinary)]
    tags = [re.findall(r"<[a-z0-9]+", page) for page in pages]
    assert tags[0] == tags[1]
    assert "onerror" in pages[0], "the name is shown"


@pytest.mark.parametrize(
    ("setting", "value"), [("variants", "many"), ("image_format", 'png")\nimport os #'), ("profile", None)]
)
def test_a_manifest_with_settings_of_another_kind_is_refused(setting, value, hostile, tmp_path, capsys):
    out = shutil.copytree(hostile / "out", tmp_path / "out")
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["settings"][setting] = value
    manifest["fingerprint"] = fingerprint(manifest["settings"], manifest["environment"])
    (out / "manifest.json").write_text(json.dumps(manifest))
    assert f"not a manifest of this version: {setting}" in printed(capsys, "inspect", out, code=1)


MODULES = sorted(Path(dimmagen.cli.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_commands_print_by_the_two_modules_that_escape(path):
    text = path.read_text()
    assert "click.echo(" not in text or path.stem == "output"
    assert "rich.console" not in text or path.stem == "console"
    assert not re.search(r"(?<![.\w])(?<!def )print\(", text)
