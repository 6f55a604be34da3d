"""What `pip install dimmagen` brings is under no GPL and no AGPL, and docs/licences.md lists it."""

import re
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PAGE = (ROOT / "docs/licences.md").read_text(encoding="utf-8")
# Libraries under the GPL that wheels are known to hold, as their files are named.
_GPL_LIBRARIES = re.compile(r"lib(x264|x265|xvidcore|postproc|gsl|fftw3|readline|vidstab|rubberband)\b", re.I)
_GPL = re.compile(r"(?<![A-Za-z])A?GPL|General Public License", re.I)
_EXCUSED = re.compile(r"LGPL|Lesser|Library General|GCC-exception|Autoconf-exception", re.I)
_SHORT = 120  # characters; longer texts of a licence mention others


def is_gpl(text: str) -> bool:
    """Whether one of the licences of which all hold is the GPL or the AGPL."""
    return any(
        _GPL.search(part) and not _EXCUSED.search(part) and " OR " not in part
        for part in re.split(r" AND |;|,", text)
    )


def stated(package: Distribution) -> list[str]:
    """The licences that a package states."""
    data = package.metadata
    texts = [data.get("License-Expression") or "", data.get("License") or ""]
    texts += [line for line in data.get_all("Classifier") or [] if line.startswith("License ::")]
    return [text for text in texts if text and len(text) <= _SHORT]


def installed(names: list[str]) -> dict[str, Distribution]:
    """The packages of these names and all that they need, as far as they are installed, by name."""
    found: dict[str, Distribution] = {}
    waiting = [Requirement(name) for name in names]
    while waiting:
        needed = waiting.pop()
        name = re.sub(r"[-_.]+", "-", needed.name).lower()
        if name in found or (needed.marker and not needed.marker.evaluate({"extra": ""})):
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue
        waiting += [Requirement(text) for text in found[name].requires or []]
    return found


def gpl_files(package: Distribution) -> list[str]:
    return [str(file) for file in package.files or [] if _GPL_LIBRARIES.search(file.name)]


def test_no_package_that_is_installed_by_default_is_under_the_gpl():
    packages = installed(PROJECT["dependencies"])
    assert len(packages) > 40
    for name, package in packages.items():
        assert not any(map(is_gpl, stated(package))), (name, stated(package))
        assert not gpl_files(package), name


def test_the_extra_for_clips_is_the_one_that_brings_gpl_code():
    """The check above would find it."""
    pytest.importorskip("av")
    assert gpl_files(distribution("av"))
    assert "av" not in installed(PROJECT["dependencies"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GPL-3.0-or-later", True),
        ("License :: OSI Approved :: GNU Affero General Public License v3", True),
        ("MIT AND AGPL-3.0", True),
        ("License :: OSI Approved :: GNU Lesser General Public License v3 (LGPLv3)", False),
        ("BSD-3-Clause AND GPL-3.0-or-later WITH GCC-exception-3.1", False),
        ("MIT", False),
    ],
)
def test_what_counts_as_the_gpl(text, expected):
    assert is_gpl(text) == expected


def test_the_page_lists_every_package_that_is_installed_by_default():
    listed = re.sub(r"[-_.]+", "-", PAGE).lower()
    families = tuple(re.findall(r"`([a-z]+-)`", PAGE))  # of torch's builds for GPUs
    assert families == ("nvidia-", "cuda-")
    for name in installed(PROJECT["dependencies"]):
        if name.startswith(families):
            continue
        assert re.search(rf"(?<![a-z0-9-]){re.escape(name)}(?![a-z0-9-])", listed), name


def test_the_page_lists_every_extra_of_users():
    for extra, names in PROJECT["optional-dependencies"].items():
        if extra in ("dev", "interop"):  # for the tests only
            continue
        assert f"| `{extra}` |" in PAGE
        for name in names:
            assert Requirement(name).name in PAGE
