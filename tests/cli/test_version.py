"""`dimmagen --version`: what a bug report needs."""

import platform
from importlib.metadata import version

from click.testing import CliRunner

from dimmagen.cli import cli
from dimmagen.cli.version import PLUGIN_GROUPS
from dimmagen.core.environment import environment
from dimmagen.dimmers.base import DIMMERS
from dimmagen.enhance.network import ARCHITECTURES
from dimmagen.export.layouts import LAYOUTS
from dimmagen.metrics.base import METRICS
from dimmagen.sources import SOURCES
from dimmagen.sources.archive_formats import ARCHIVES


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


def test_an_installed_plug_in_has_a_line_with_its_package_and_version(tmp_path, monkeypatch):
    info = tmp_path / "dimmagen_flickr-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dimmagen-flickr\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[dimmagen.sources]\nflickr = nowhere:Flickr\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert printed()[-1] == "dimmagen.sources flickr: dimmagen-flickr 1.2"


def test_plug_ins_of_every_registry_are_listed():
    registries = (SOURCES, ARCHIVES, DIMMERS, LAYOUTS, ARCHITECTURES, METRICS)
    assert tuple(registry.group for registry in registries) == PLUGIN_GROUPS
