"""A third-party trainer learns from an export, and validates on it, without any changes."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dimmagen.dataset.reader import open_pairs
from dimmagen.export.layouts import LAYOUTS
from dimmagen.export.writing import export_pairs

PROGRAM = Path(__file__).with_name("basicsr_training.py")


@pytest.mark.skipif(
    importlib.util.find_spec("basicsr") is None,
    reason="basicsr-fixed is not installed: pip install --no-deps basicsr-fixed",
)
def test_basicsr_trains_on_an_export_and_its_validation_psnr_rises(pair_set, tmp_path):
    """From files and from LMDB, one after the other in one process, which takes long to start."""
    words = ["60"]
    for layout, backend in (("basicsr-lmdb", "lmdb"), ("basicsr", "disk")):
        export_pairs(open_pairs(pair_set), LAYOUTS[layout], tmp_path / backend, validation=1)
        words += [str(tmp_path / backend), backend]
    done = subprocess.run(
        [sys.executable, PROGRAM, *words],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for before, after in json.loads(done.stdout.splitlines()[-1]):
        assert after > before + 2, done.stdout
