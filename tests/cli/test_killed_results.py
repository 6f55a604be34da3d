"""What a command has half written when it is killed is gone after the same command has run again."""

import pytest

from dimmagen.cli import cli
from tests.killing import kill_at_replace, unfinished

NETWORK = ("--network", "network")


@pytest.mark.parametrize(
    "words",
    [
        ("enhance", "pairs/low/0.png", *NETWORK, "--out", "OUT"),
        ("enhance", "pairs/low/0.png", *NETWORK, "--lightness", "auto", "--lightness", "0.3", "--out", "OUT"),
        ("inspect", "shards", "--html", "OUT/page.html"),
        ("leaks", "shards", "pairs/high", "--keys", "OUT/keys.txt"),
    ],
    ids=" ".join,
)
def test_the_next_run_of_a_command_removes_what_a_killed_one_left(words, run, tmp_path, monkeypatch):
    words = [word.replace("OUT", str(tmp_path)) for word in words]
    run("version")  # goes into the folder
    kill_at_replace(monkeypatch, lambda: cli.main(words, standalone_mode=False))
    assert len(unfinished(tmp_path)) == 1
    assert run(*words)[0] == 0
    assert unfinished(tmp_path) == []
    assert any(tmp_path.iterdir())
