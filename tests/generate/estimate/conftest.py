"""Light images that the tests of estimates share."""

import pytest

from tests.tiny_set import tiny_lights


@pytest.fixture(scope="module")
def lights(tmp_path_factory):
    return tiny_lights(tmp_path_factory.mktemp("lights"), 5)
