"""Profiles of a user, and one that is saved."""

import pytest

from dimmagen.dimmers.profile import save_profile
from tests.dimmers.profiles.made import models


@pytest.fixture(autouse=True)
def user_profiles(tmp_path, monkeypatch):
    monkeypatch.setenv("DIMMAGEN_PROFILES", str(tmp_path / "profiles"))


@pytest.fixture
def saved(tmp_path):
    return save_profile(tmp_path / "phone", models(), "mdn", {"made": "in a test"})
