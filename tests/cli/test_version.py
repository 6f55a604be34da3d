"""`dimmagen --version`: what a bug report needs."""

import platform
from importlib.metadata import version

from click.testing import CliRunner

from dimmagen.cli import cli
from dimmagen.core.environment import environment


def printed() -> list[str]:
    result = CliRunner().invoke(cli, ["--version"])
    assert result.exit_code == 0
    return result.output.splitlines()


def test_the_first_line_is_the_version_alone():
    assert printed()[0] == f"dimmagen, version {version('dimmagen')}"


def test_python_the_system_and_the_processor_are_named():
    lines = printed()
    assert lines[1] == f"Python {platform.python_version()} on {platform.platform()}"
    assert lines[2].split() == [platform.machine(), *environment()["processor_features"]]


def test_every_library_that_decides_bytes_has_a_line_with_its_version():
    recorded = environment()["versions"]
    lines = printed()[3:]
    assert lines == [f"{name} {recorded[name]}" for name in recorded if name not in ("dimmagen", "python")]
    assert f"pillow {version('pillow')}" in lines
    assert f"torch {version('torch')}" in lines
