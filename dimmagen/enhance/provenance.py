"""Which dimmagen made a file: its version, and its commit where that is known."""

import json
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from dimmagen.core.environment import package_version


def maker() -> dict[str, str]:
    """`dimmagen` (the version) and `commit`: 40 hex digits, with `-dirty` where files were changed since.

    The commit is empty where the package neither runs in its repository nor was installed from one.
    """
    return {"dimmagen": package_version("dimmagen"), "commit": _commit()}


@cache
def _commit() -> str:
    return _of_repository(Path(__file__).parents[2]) or _of_installation()


def _of_repository(root: Path) -> str:
    """The commit that is checked out at a folder; empty if the folder is not the root of a repository."""
    if not (root / ".git").exists():  # not that of somebody's project around the package
        return ""
    words = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        result = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""


def _of_installation() -> str:
    """The commit that pip recorded where it installed from a repository."""
    try:
        text = distribution("dimmagen").read_text("direct_url.json")
        recorded = json.loads(text or "{}")
    except (PackageNotFoundError, ValueError):
        return ""
    return str(recorded.get("vcs_info", {}).get("commit_id", ""))
