"""Which commit made a file, of the package's own repository and of no other, and of which real pairs."""

import hashlib
import json
import subprocess

import numpy as np

from dimmagen import __version__
from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.enhance.checkpoints import MAX_HEADER
from dimmagen.enhance.provenance import REAL_LIGHTS, _of_repository, maker, pairs_trained_on, real_lights


def git(folder, *words):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", "-C", folder, *identity, *words], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_the_version_is_this_one():
    assert maker()["dimmagen"] == __version__


def test_the_commit_of_a_repository_says_whether_files_were_changed_since(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "code.py").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    git(tmp_path, "tag", "v1")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert _of_repository(tmp_path) == commit
    (tmp_path / "code.py").write_text("2")
    assert _of_repository(tmp_path) == f"{commit}-dirty"


def test_a_repository_around_the_package_is_not_its_own(tmp_path):
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-qm", "one", "--allow-empty")
    (tmp_path / "site-packages").mkdir()
    assert _of_repository(tmp_path / "site-packages") == ""


def test_without_git_the_commit_is_unknown(tmp_path, monkeypatch):
    git(tmp_path, "init", "-q")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _of_repository(tmp_path) == ""


def real_pair(number):
    image = np.zeros((1, 1, 3), np.uint8)
    light = hashlib.sha256(f"light {number}".encode()).hexdigest()
    return RealPair(f"pair{number}", image, image, hashlib.sha256(b"dark").hexdigest(), light)


def test_pairs_that_a_network_or_its_start_was_trained_on_are_found():
    header = {REAL_LIGHTS: real_lights(map(real_pair, (1, 2, 2)), {REAL_LIGHTS: real_lights([real_pair(7)])})}
    assert len(header[REAL_LIGHTS]) == 3
    assert pairs_trained_on(header, [*map(real_pair, (0, 1, 7))]) == ["pair1", "pair7"]
    for strange in ({}, {REAL_LIGHTS: None}, {REAL_LIGHTS: [1, None]}, {REAL_LIGHTS: "abc"}):
        assert pairs_trained_on(strange, [real_pair(1)]) == []


def test_very_many_pairs_fit_into_a_header_and_an_overlap_still_shows():
    pairs = [*map(real_pair, range(60_000))]
    header = {REAL_LIGHTS: real_lights(pairs)}
    assert len(json.dumps(header)) < MAX_HEADER / 2
    assert pairs_trained_on(header, pairs[:100])
    assert len(real_lights(pairs[:1], header)) == len(header[REAL_LIGHTS])
