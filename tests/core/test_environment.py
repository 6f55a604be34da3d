"""What decides bytes on a machine, by name."""

import pytest

from dimmagen.core.environment import environment


@pytest.fixture(autouse=True)
def fresh():
    environment.cache_clear()
    yield
    environment.cache_clear()


@pytest.mark.parametrize(
    ("name", "value"),
    [("NUMBA_CPU_NAME", "generic"), ("NUMBA_CPU_FEATURES", "-fma"), ("NUMBA_ENABLE_AVX", "0")],
)
def test_another_target_of_numba_is_another_environment(name, value, monkeypatch):
    monkeypatch.delenv(name, raising=False)
    plain = environment()
    assert "numba" not in plain
    environment.cache_clear()
    monkeypatch.setenv(name, value)
    assert environment() == {**plain, "numba": {name: value}}
