"""Tensors and settings of a model are read as they were saved, or refused."""

import errno

import numpy as np
import pytest
from safetensors.numpy import save_file

from dimmagen.core.errors import DimmagenError, MachineError
from dimmagen.dimmers import stored_model
from dimmagen.dimmers.stored_model import MAX_HEADER, check_settings, read_tensors

SHAPES = {"a": (2, 3), "b": (1,)}  # 28 bytes


@pytest.fixture
def path(tmp_path):
    """A file of tensors of these shapes."""
    save_file(
        {name: np.ones(shape, np.float32) for name, shape in SHAPES.items()}, tmp_path / "a.safetensors"
    )
    return tmp_path / "a.safetensors"


def test_tensors_of_the_expected_shapes_are_read(path):
    found = read_tensors(path, SHAPES)
    assert {name: array.shape for name, array in found.items()} == SHAPES
    assert {float(array.min()) for array in found.values()} == {1.0}


@pytest.mark.parametrize(
    ("excess", "said"), [(0, "is not a safetensors"), (1, "more than 28 bytes of tensors")]
)
def test_a_file_that_is_larger_than_its_tensors_and_any_header_is_not_read(excess, said, path):
    with open(path, "r+b") as file:
        file.truncate(28 + MAX_HEADER + excess)
    with pytest.raises(DimmagenError, match="is not a safetensors file") as caught:
        read_tensors(path, SHAPES)
    assert ("more than 28 bytes of tensors" in caught.value.what) == bool(excess)
    assert (caught.value.code, caught.value.fields) == ("damaged", {"path": str(path)})


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ({"a": (3, 2), "b": (1,)}, r"a\.safetensors: a is float32 \(2, 3\), not float32 \(3, 2\)"),
        ({"a": (2, 3), "c": (1,)}, r"a\.safetensors has missing or unexpected tensors: b, c"),
    ],
)
def test_other_tensors_are_refused_with_their_file(shapes, said, path):
    with pytest.raises(DimmagenError, match=said) as caught:
        read_tensors(path, shapes)
    assert caught.value.fields == {"path": str(path)}


def test_trouble_of_the_machine_is_told_as_such_with_the_file(path, monkeypatch):
    def fail(path):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(stored_model, "load_file", fail)
    with pytest.raises(MachineError, match=r"a\.safetensors: "):
        read_tensors(path, SHAPES)


RANGES = {"whole": (1, 3), "real": (0.5, 2.0), "flag": (False, True)}
SETTINGS = {"whole": 2, "real": 1.0, "flag": True}


@pytest.mark.parametrize(
    "changed",
    [{}, {"whole": 1}, {"whole": 3}, {"real": 0.5}, {"real": 2.0}, {"real": 1}, {"flag": False}],
)
def test_settings_within_their_ranges_are_accepted(changed, tmp_path):
    check_settings(tmp_path, {**SETTINGS, **changed}, RANGES)


@pytest.mark.parametrize(
    ("name", "value", "span"),
    [
        ("whole", 0, "1 to 3"),
        ("whole", 4, "1 to 3"),
        ("whole", 2.0, "1 to 3"),
        ("whole", True, "1 to 3"),
        ("whole", None, "1 to 3"),
        ("real", 0.49, "0.5 to 2.0"),
        ("real", 2.01, "0.5 to 2.0"),
        ("real", float("nan"), "0.5 to 2.0"),
        ("real", "1.0", "0.5 to 2.0"),
        ("real", True, "0.5 to 2.0"),
        ("flag", 1, "False to True"),
        ("flag", 0.0, "False to True"),
        ("other", 0, "0 to 0"),
        ("other", None, "0 to 0"),
    ],
)
def test_a_setting_of_another_type_or_beyond_its_range_is_refused_by_name(name, value, span, tmp_path):
    with pytest.raises(DimmagenError) as caught:
        check_settings(tmp_path, {**SETTINGS, name: value}, RANGES)
    assert caught.value.what.endswith(f"profile.json: {name} is {value!r}, not a number from {span}")
    assert caught.value.fields["name"] == name


@pytest.mark.parametrize("name", sorted(RANGES))
def test_a_setting_that_is_missing_is_refused_by_name(name, tmp_path):
    rest = {one: value for one, value in SETTINGS.items() if one != name}
    with pytest.raises(DimmagenError, match=f"{name} is None, not a number"):
        check_settings(tmp_path, rest, RANGES)
