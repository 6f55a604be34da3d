"""On a terminal of 80 columns no command prints a longer line: tables, messages, errors and bars."""

import json
import os
import re
import subprocess
import sys

import pytest

from tests.cli.quick_training import QUICK

pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")

SCRIPT = """
import json, sys
from dimmagen.cli import main
for line in json.load(open(sys.argv[1])):
    print("#", len(line), flush=True)
    try:
        main(line.split())
    except SystemExit as end:
        print("##", end.code, flush=True)
"""
DIM = "dim --profile linear --source photos --executor serial"
KEY = "{key}"
COPIED = re.compile(r"  \w+: \w+: /")  # lines for an option file, which name folders and are copied whole
COMMANDS = {
    f"{DIM} --shards made": 0,
    f"{DIM} --shards made --dry-run": 0,
    f"{DIM} --shards made --seed 3": 2,
    f"{DIM} --shards made --add": 0,
    f"{DIM} --shards made --add --seed 3": 2,
    f"{DIM} --shards made --variants 0": 2,
    "build-mixhq --source folder=photos --out mixhq": 0,
    "build-mixhq --source folder=photos --out mixhq --limit 2 --dry-run": 0,
    "build-mixhq --source folder=photos --out mixhq --add": 0,
    "build-mixhq --source folder=photos --out mixhq --add --min-lightness 0.2": 2,
    "plan --profile linear --source photos --calibration-pairs 2 --price-per-core-hour 1": 0,
    "profile list": 0,
    "profile show lol3": 0,
    "profile show no-such-profile": 2,
    "verify shards": 0,
    "verify shards --reproduce 100%": 0,
    "inspect shards --sheet sheet.png": 0,
    f"peek shards {KEY}": 0,
    "stats shards": 0,
    "subset shards --out part --min-side 1": 0,
    "leaks shards photos": 1,
    f"replay {KEY} --data shards": 0,
    "manifest diff shards made": 1,
    "export shards --layout lol-v1 --out lol --validation 1": 0,
    "export shards --layout retinexformer --out retinexformer --validation 1": 0,
    "export --check lol-v1 lol": 0,
    "remove made --list no-such-list": 2,
    "subset shards --out other --source no-such-source": 2,
    "run my-camera --set pears=x": 2,
    f"train --data shards --out trained --iterations 2 --validation-photos 1 {' '.join(QUICK)}": 0,
    "evaluate --network network --pairs pairs": 0,
    "enhance pairs/low/0.png --network network": 0,
    "run no-such-recipe": 2,
    "drim": 2,
    "--version": 0,
}


def on_terminal(words, folder, columns=80):
    """What a process prints on a terminal."""
    main, terminal = os.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm", "NO_COLOR": "1"}
    environment["DIMMAGEN_PROFILES"] = str(folder / "no-profiles")  # not those of who runs the tests
    with subprocess.Popen(
        words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal
    ):
        os.close(terminal)
        parts = []
        try:
            while part := os.read(main, 65536):
                parts.append(part)
        except OSError:  # Linux's way to say that the other end is closed
            pass
    os.close(main)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", b"".join(parts).decode())


@pytest.fixture(scope="module")
def printed(place, tmp_path_factory):
    """What each command prints, and its exit code."""
    from dimmagen.dataset.reader import open_pairs

    key = open_pairs(str(place / "shards")).row(0)["key"]
    lines = [line.replace(KEY, key) for line in COMMANDS]
    file = tmp_path_factory.mktemp("terminal") / "commands.json"
    file.write_text(json.dumps(lines))
    text = on_terminal([sys.executable, "-c", SCRIPT, str(file)], place)
    parts = re.split(r"^# \d+\r\n", text, flags=re.MULTILINE)[1:]
    assert len(parts) == len(lines), text[-2000:]
    ends = [re.split(r"^## (\d+)\r\n", part, flags=re.MULTILINE) for part in parts]
    return {line: (end[0], int(end[1])) for line, end in zip(COMMANDS, ends, strict=True)}


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_fits_into_80_columns(line, printed):
    text, code = printed[line]
    assert code == COMMANDS[line], text
    lines = re.split(r"[\r\n]+", text)
    assert [one for one in lines if len(one) > 80 and not COPIED.match(one)] == []


def test_words_are_whole_and_commands_can_be_copied(printed):
    text, _ = printed[f"{DIM} --shards made"]
    assert "\r\nNext: dimmagen verify made\r\n      dimmagen inspect made --sheet sheet.png\r\n" in text
