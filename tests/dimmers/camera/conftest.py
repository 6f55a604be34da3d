"""What the tests of the camera model share."""

import numpy as np
import pytest


@pytest.fixture
def random() -> np.random.Generator:
    """Numbers that are the same for each test."""
    return np.random.default_rng(0)
