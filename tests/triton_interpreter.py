"""Runs a test file in Triton's interpreter, on the processor.

The interpreter is chosen by a variable that Triton reads when it is imported, so another process runs it.
"""

import os
import subprocess
import sys

import pytest

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
# The interpreter takes seconds for what a GPU does at once: `make test` runs one case of each kind.
whole = pytest.mark.skipif(
    INTERPRETED and "DIMMAGEN_TRITON" not in os.environ, reason="one case of several: make test-triton"
)


def run_interpreted(path: str) -> None:
    """Run the tests of a file; fails unless all of them pass."""
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider", path]
    run = subprocess.run(
        command, env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True, timeout=900
    )
    assert run.returncode == 0, run.stdout[-4000:]
    assert " passed" in run.stdout
