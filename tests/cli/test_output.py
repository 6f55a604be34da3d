"""What commands print goes through one place, which escapes what strangers wrote."""

import re
from pathlib import Path

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
