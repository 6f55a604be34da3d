"""Every example in a docstring runs and gives what stands below it."""

import doctest
import importlib
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
    for path in (ROOT / "dimmagen").rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.needs("links")
@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_a_module(module, pair_set, tmp_path, monkeypatch):
    """They are run in a folder that holds the finished data sets `out` and `out-again`."""
    (tmp_path / "out").symlink_to(pair_set)
    shutil.copytree(pair_set, tmp_path / "out-again")
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted > 0
    assert result.failed == 0


def test_no_example_is_left_out():
    assert len(MODULES) >= 6
    for module in MODULES:
        assert "+SKIP" not in (ROOT / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8")
