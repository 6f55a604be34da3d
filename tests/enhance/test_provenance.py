"""Which commit made a file: of the package's own repository, and of no other."""

import subprocess

from dimmagen import __version__
from dimmagen.enhance.provenance import _of_repository, maker


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
