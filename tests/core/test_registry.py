"""Registries: built-in, registered, plug-in and unknown names."""

import importlib.metadata
import math
import pickle

import pytest

from dimmagen.core import registry as registry_module
from dimmagen.core.errors import DimmagenError, UnknownNameError, UsageError
from dimmagen.core.registry import Plugin, Registry, nearest


def made(**builtin: str) -> Registry:
    return Registry("thing", "dimmagen.things", builtin)


@pytest.fixture
def plugins(monkeypatch):
    """Entry points as if installed by a package: a list of (name, value)."""
    there: list[tuple[str, str]] = []

    class Distribution:
        name, version = "dimmagen-things", "1.2"

    def entry_points(group):
        points = [importlib.metadata.EntryPoint(name, value, group) for name, value in there]
        return [point._for(Distribution()) for point in points]

    monkeypatch.setattr(registry_module, "entry_points", entry_points)
    return there


def test_names_are_in_order_built_in_registered_plugged_in(plugins):
    plugins += [("zebra", "math:pi"), ("ape", "math:e")]
    things = made(second="math:tau", first="math:inf")
    things.register("yak")(1)
    assert list(things) == ["second", "first", "yak", "ape", "zebra"]
    assert len(things) == 5
    assert things["ape"] == pytest.approx(2.718, abs=1e-3)
    assert list(things) == ["second", "first", "yak", "ape", "zebra"]


def test_only_a_plugin_has_a_package(plugins):
    plugins.append(("ape", "math:e"))
    things = made(first="math:inf")
    things.register("yak")(1)
    assert things.plugin("ape") == Plugin("dimmagen-things", "1.2")
    assert things.plugin("first") is things.plugin("yak") is things.plugin("no") is None


def test_an_unknown_name_is_an_error_with_the_nearest_known_one():
    with pytest.raises(
        UnknownNameError, match=r"there is no thing 'coo': did you mean coco\? choose one of coco, clic"
    ):
        made(coco="math:pi", clic="math:e")["coo"]
    assert "coo" not in made(coco="math:pi")


def test_upper_and_lower_case_do_not_hide_what_is_meant():
    known = ["lol3", "lol5", "Camera", "mdn"]
    assert nearest("LOL3", known) == ["lol3"]
    assert nearest("camera", known) == ["Camera"]
    assert nearest("CAMRA", known) == ["Camera"]
    assert nearest("x", known) == []


@pytest.mark.parametrize("name", ["", "Upper", "two words", "../up", "-dash"])
def test_an_invalid_name_is_rejected(name):
    with pytest.raises(UsageError, match="cannot be the name of a thing"):
        made().register(name)(1)


@pytest.mark.parametrize("taken", ["first", "yak"])
def test_a_taken_name_is_rejected(taken):
    things = made(first="math:pi")
    things.register("yak")(1)
    with pytest.raises(UsageError, match=f"two things named '{taken}'"):
        things.register(taken)(2)


@pytest.mark.parametrize(
    ("added", "name", "said"),
    [
        ([("first", "math:e")], "first", r"two things named 'first' \(math:pi, math:e\): rename one"),
        ([("ape", "math:e"), ("ape", "math:inf")], "ape", r"two things named 'ape' \(math:e, math:inf\)"),
        ([("yak", "math:e")], "yak", r"two things named 'yak' \(one that is registered, math:e\)"),
        ([("No Ape", "math:e")], "No Ape", r"'No Ape' cannot be the name of a thing \(math:e\)"),
    ],
)
def test_a_plugin_of_a_wrong_name_is_refused_by_it_and_hides_no_other(plugins, added, name, said):
    plugins += [*added, ("bee", "math:tau")]
    things = made(first="math:pi", second="math:nan")
    things.register("yak")(1)
    assert things["bee"] > 6
    assert {"first", "second", "yak", "bee", name} == {*things}
    assert len(things) == len({*things})
    for _ in range(2):
        with pytest.raises(UsageError, match=said):
            things[name]


def test_a_plugin_that_registers_its_object_itself_is_one(plugins):
    plugins += [("ape", "math:pi")]
    things = made()
    things.register("ape")(math.pi)
    assert things["ape"] == math.pi


def test_those_that_can_be_used_are_listed_beside_the_errors_of_the_others(plugins):
    plugins += [("ape", "no_such_module:thing"), ("bee", "math:e"), ("cow", "math:pi"), ("second", "math:e")]
    builtin = {"first": "math:e", "second": "math:e"}
    things: Registry = Registry("thing", "dimmagen.things", builtin, faults=small)
    found, failures = things.usable()
    assert list(found) == ["first", "bee"]
    assert [(name, error.code) for name, error in failures.items()] == [
        ("second", "name-taken"),
        ("ape", "plugin-broken"),
        ("cow", "plugin-broken"),
    ]


def test_a_plugin_that_cannot_be_imported_is_named_with_the_cause(plugins):
    plugins.append(("ape", "no_such_module:thing"))
    things = made(first="math:pi")
    assert "ape" in things
    assert things["first"]
    with pytest.raises(DimmagenError, match=r"the thing ape cannot be loaded.*no_such_module"):
        things["ape"]


def test_a_class_is_instantiated_where_the_registry_asks_for_it():
    things: Registry = Registry(
        "thing", "dimmagen.things", {"built": "collections:Counter"}, instantiate=True
    )
    assert things["built"] == {}

    @things.register("mine")
    class Mine:
        pass

    assert isinstance(things["mine"], Mine)


def small(name, number):
    if number > 3:
        yield f"{number} is more than 3"


def test_an_object_that_is_not_complete_is_refused_where_it_is_used_by_what_it_lacks(plugins):
    plugins += [("ape", "math:e"), ("bee", "math:pi")]
    things: Registry = Registry("thing", "dimmagen.things", {"first": "math:tau"}, faults=small)
    things.register("yak")(7)
    assert things["ape"] < 3
    assert {"bee", "yak"} <= {*things}
    for _ in range(2):
        with pytest.raises(
            DimmagenError, match=r"the thing bee of math:pi cannot be used: 3\.14.* more than 3"
        ):
            things["bee"]
    with pytest.raises(DimmagenError, match=r"the thing yak cannot be used: 7 is more than 3: correct it"):
        things["yak"]
    with pytest.raises(DimmagenError, match="the thing first"):
        things["first"]


def test_an_object_whose_own_code_fails_when_it_is_looked_at_is_refused(plugins):
    plugins.append(("ape", "math:sin"))
    things: Registry = Registry("thing", "dimmagen.things", faults=small)
    with pytest.raises(DimmagenError, match="the thing ape of math:sin cannot be used: TypeError"):
        things["ape"]


def test_an_error_keeps_its_code_and_fields_when_pickled():
    error = UnknownNameError("there is none", "give another", name="x")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.code, again.fields) == (
        UnknownNameError,
        "there is none: give another",
        "unknown-name",
        {"name": "x"},
    )
