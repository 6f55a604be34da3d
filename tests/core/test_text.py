"""Text of strangers is shown, and does nothing else."""

import html
import os
import re
import shlex
from types import SimpleNamespace

import pytest
from markdown_it import MarkdownIt

from dimmagen.core.text import markdown, one_line, printable, shell_word


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ü 猫.jpg", "plain ü 猫.jpg"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b]0;title\x07\x1b[2J", r"\x1b]0;title\x07\x1b[2J"),
        ("back\rover\x08\x7f\x9b31m", r"back\x0dover\x08\x7f\x9b31m"),
        ("gpj.\u202etxt", r"gpj.\u202etxt"),
        ("caf\udce9", r"caf\udce9"),
    ],
)
def test_control_characters_are_escaped_and_nothing_else(text, shown):
    assert printable(text) == shown
    assert printable(text).encode()


def test_one_line_stays_one_line():
    assert one_line("a\nb\u2028c\td") == r"a\x0ab\u2028c\x09d"


@pytest.mark.parametrize(
    "text",
    [
        "<img src=x onerror=alert(1)>",
        "[click](javascript:alert(1))",
        "`code` and **bold**",
        "| a | cell |",
        "line\n# heading",
        "&lt;b&gt;",
    ],
)
def test_markdown_of_a_stranger_says_just_what_it_says(text):
    shown = MarkdownIt().enable("table").render(f"| a |\n|---|\n| {markdown(text)} |\n")
    (cell,) = re.findall(r"<td>(.*)</td>", shown)
    assert html.unescape(cell) == one_line(text)


@pytest.mark.skipif(os.name == "nt", reason="shells of Windows quote in another way")
@pytest.mark.parametrize("path", ["out", "-out", "my photos/o'ut", "a;b", "$HOME", "s3://bucket/out"])
def test_a_path_in_a_printed_command_is_one_word_and_no_option(path):
    [word] = shlex.split(shell_word(path))
    assert word == (f"./{path}" if path.startswith("-") else path)
    assert shell_word("out/set-1") == "out/set-1"


@pytest.mark.parametrize(
    ("path", "word"),
    [("out", "out"), (r"C:\sets\out", r"C:\sets\out"), ("my photos", '"my photos"'), ("R&D\\", '"R&D\\\\"')],
)
def test_a_path_in_a_command_for_windows_is_one_word_of_its_shells(path, word, monkeypatch):
    monkeypatch.setattr("dimmagen.core.text.os", SimpleNamespace(name="nt"))
    assert shell_word(path) == word
