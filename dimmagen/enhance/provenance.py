"""Which dimmagen made a file (its version, and its commit where that is known), and of which real pairs."""

import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from dimmagen.core.environment import package_version
from dimmagen.dimmers.real_pairs import RealPair

REAL_LIGHTS = "real_lights"  # in the header of a network, of the real pairs that it was trained on
_DIGITS = 16  # of the SHA-256 of a file
_MOST = 10_000  # as a header has to stay short: of more, the first by their hash, in which an overlap shows


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


def real_lights(pairs: Iterable[RealPair], start: Mapping[str, Any] | None = None) -> list[str]:
    """What a network keeps of the real pairs that it is trained on: 16 hex digits for each light image.

    Args:
        pairs: that it is trained on.
        start: header of the network that it is tuned from, whose pairs count as well.
    """
    lights = {pair.light_sha256[:_DIGITS] for pair in pairs} | _known(start or {})
    return sorted(lights)[:_MOST]


def pairs_trained_on(header: Mapping[str, Any], pairs: Sequence[RealPair]) -> list[str]:
    """Names of the pairs whose light images a network, or the one that it was tuned from, was trained on.

    Args:
        header: of the network's file, from :func:`~dimmagen.enhance.checkpoints.load_network`.
        pairs: to look for; a copy under another name is found, another file of the image is not.
    """
    known = _known(header)
    return [pair.name for pair in pairs if pair.light_sha256[:_DIGITS] in known]


def _known(header: Mapping[str, Any]) -> set[str]:
    lights = header.get(REAL_LIGHTS)
    return {one for one in lights if isinstance(one, str)} if isinstance(lights, list) else set()
