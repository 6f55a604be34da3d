"""A command in a process of its own, under whatever an attack does to it."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The number of tries of each attack; `make test-attacks` sets it.
COUNT = int(os.environ.get("DIMMAGEN_ATTACKS", "3"))
DIM = "dim --profile linear --source photos --shards OUT --variants 2 --samples-per-shard 2 --executor serial"


def dimmagen(
    words: str,
    folder: Path,
    before: Sequence[str] = (),
    environment: Mapping[str, str] = {},
    limit=None,
    python: str = sys.executable,
) -> tuple[int, str]:
    """Run `dimmagen WORDS` in a folder.

    Args:
        words: of the command.
        folder: working directory.
        before: command in front, such as `unshare`.
        environment: added to that of the tests; a name without a value is removed.
        limit: called in the new process before it runs the command.
        python: interpreter.

    Returns:
        The exit code and what was printed.
    """
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
    # Under a limit of file sizes Python leaves bytecode that is cut, and no later process can import it.
    variables["PYTHONDONTWRITEBYTECODE"] = "1"
    variables = {name: value for name, value in variables.items() if value}
    run = subprocess.run(
        [*before, python, "-m", "dimmagen", *words.split()],
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=900,
        preexec_fn=limit,
    )
    return run.returncode, run.stdout


def is_clear(code: int, text: str) -> bool:
    """Whether a failed command ended as it should: an exit code of its own and one line, no traceback."""
    return code in (1, 2) and text.count("Error: ") == 1 and "Traceback" not in text and "Fatal" not in text
