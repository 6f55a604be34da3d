"""What a Ray of this machine leaves behind: nothing."""

import os
import tempfile

import pytest

from dimmagen.core.executors.ray_cluster import connect_ray


@pytest.mark.ray
@pytest.mark.parametrize("length", [0, 60])
def test_a_ray_of_this_machine_leaves_no_folder(length, monkeypatch):
    """Neither in the folder for temporary files nor, where its path is too long for a socket, in /tmp."""
    parent = tempfile.mkdtemp(prefix="t", dir="/tmp", suffix="x" * length)
    monkeypatch.setattr(tempfile, "tempdir", parent)
    made, make = [], tempfile.TemporaryDirectory

    def noted(*arguments, **options):
        made.append(make(*arguments, **options))
        return made[-1]

    monkeypatch.setattr(tempfile, "TemporaryDirectory", noted)
    with connect_ray(1, None):
        (session,) = made
        assert os.listdir(session.name)
        assert os.path.dirname(session.name) == ("/tmp" if length else parent)
    assert not os.path.exists(session.name)
    assert os.listdir(parent) == []
    os.rmdir(parent)
