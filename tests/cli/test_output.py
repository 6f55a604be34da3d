"""What commands print goes through one place, which escapes what strangers wrote."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import dimmagen.cli
from dimmagen.cli.output import echo


def test_control_characters_are_escaped_and_lines_are_kept(capsys):
    echo("a \x1b[31mred\x1b[0m name\nand a line")
    assert capsys.readouterr().out == "a \\x1b[31mred\\x1b[0m name\nand a line\n"


def test_no_command_prints_in_another_way():
    printing = r"click\.echo\(|click\.secho\((?!printable)|(?<![\w.])print\(|from rich\.console import"
    direct = re.compile(printing)
    places = [
        f"{path.name}:{number}"
        for path in sorted(Path(dimmagen.cli.__file__).parent.glob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if direct.search(line) and path.name not in ("output.py", "console.py")
    ]
    assert places == []


@pytest.mark.needs("full-device")
@pytest.mark.parametrize("buffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_result_that_the_disk_has_no_room_for_is_one_message(buffered, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", buffered)
    words = [sys.executable, "-m", "dimmagen", "profile", "show", "linear", "--json"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            words, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, timeout=600
        )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: No space left on device")
    assert done.stderr.count("No space left on device") == 1


@pytest.mark.skipif(os.name == "nt", reason="the streams are closed by a POSIX shell")
def test_a_command_works_where_its_streams_are_closed(tmp_path):
    """As services start it; without a replacement the log file would have the number of standard output."""
    for words, code in ((["list"], 0), (["show", "nowhere", "--log-file", "log"], 2)):
        words = [sys.executable, "-m", "dimmagen", "profile", *words]
        done = subprocess.run(["sh", "-c", '"$@" <&- >&- 2>&-', "sh", *words], cwd=tmp_path, timeout=600)
        assert done.returncode == code
    assert "nowhere" in (tmp_path / "log").read_text()
