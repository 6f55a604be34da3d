"""Command lines, run in this process."""

from typing import Any

import pytest

from dimmagen.cli import main


def exit_code(*words: Any) -> int:
    """The exit code of a command line: its words without the program's name, as text or paths or numbers."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(ended.value.code or 0)


def run_command(capture: Any, *words: Any) -> tuple[int, str, str]:
    """Exit code, output and messages of a command line, which never ends with a traceback.

    Args:
        capture: pytest's `capsys` or `capfd`.
        words: see :func:`exit_code`.
    """
    code = exit_code(*words)
    captured = capture.readouterr()
    assert "Traceback" not in captured.err
    return code, captured.out, captured.err
