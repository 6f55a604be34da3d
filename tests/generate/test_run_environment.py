"""The environment of a run names the machine, the libraries of its steps, and the plug-ins that it uses."""

from types import SimpleNamespace

import pytest

from dimmagen.core.environment import environment
from dimmagen.generate import run_environment
from dimmagen.generate.run_environment import environment_for, environment_like
from dimmagen.images.versions import step_library_version


class Plugins:
    """A registry in which these names are from a package of their own."""

    def __init__(self, *names):
        self.names = names

    def plugin(self, name):
        return SimpleNamespace(distribution=f"dimmagen-{name}", version="1.2") if name in self.names else None


@pytest.fixture(autouse=True)
def plugins(monkeypatch):
    registries = {"dimmer": Plugins("tube"), "source": Plugins("moon", "sun", "red moon")}
    monkeypatch.setattr(run_environment, "_REGISTRIES", registries)


def with_steps(**plugins):
    """This machine's environment with the library of the step `icc`."""
    here = environment()
    versions = {**here["versions"], "littlecms": step_library_version("littlecms")}
    return {**here, "versions": versions, **plugins}


def test_without_steps_and_plug_ins_it_is_that_of_the_machine():
    assert environment_for("linear", ["folder"]) == environment_like({}) == environment()


def test_steps_and_plug_ins_are_part_of_it():
    expected = {
        "dimmer tube": "dimmagen-tube 1.2",
        "source moon": "dimmagen-moon 1.2",
        "source sun": "dimmagen-sun 1.2",
    }
    found = environment_for("tube", ["sun", "folder", "moon"], ["exif", "icc"])
    assert found == with_steps(plugins=expected)
    assert list(found["plugins"]) == list(expected)
    assert environment_like(found) == found
    assert environment_for("moon", ["tube"]) == environment()  # of the other registry
    assert environment_for("x", ["red moon"])["plugins"] == {"source red moon": "dimmagen-red moon 1.2"}


def test_of_a_recorded_environment_only_what_can_be_looked_up_here_counts():
    recorded = {
        "machine": "vax",
        "versions": {"numpy": "0.1", "littlecms": "0.1", "other": "3"},
        "plugins": {"source sun": "0.1", "source gone": "1", "bug sun": "1", "nothing": "1"},
    }
    assert environment_like(recorded) == with_steps(plugins={"source sun": "dimmagen-sun 1.2"})
    for strange in ({"plugins": 3, "versions": 3}, {"plugins": ["source sun"], "versions": ["littlecms"]}):
        assert environment_like(strange) == environment()
