"""What of the environment decides which Ray is used, who may use it, and what is said where it cannot be."""

import os
import subprocess
import sys

import pytest

from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.executors import ray_cluster
from dimmagen.core.executors.ray_cluster import connect_ray
from dimmagen.generate.run import Execution


def test_a_cluster_in_ray_address_is_refused_by_name_where_no_address_is_given(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    with pytest.raises(UsageError, match=r'RAY_ADDRESS is head:6379.*`address="head:6379"`'):
        Execution("ray")
    with pytest.raises(UsageError, match="unset RAY_ADDRESS"), connect_ray(1, None):
        pass
    Execution("serial")
    Execution("ray", address="other:6379")


@pytest.mark.parametrize("value", ["", "local"])
def test_a_ray_address_that_means_this_machine_is_no_contradiction(value, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", value)
    Execution("ray")


MISMATCH = """Version mismatch: The cluster was started with:
    Ray: 2.52.0
    Python: 3.11.7
This process on node 192.0.2.2 was started with:
    Ray: 2.60.0
"""
NO_TOKEN = "Token authentication is enabled but no authentication token was found. Ensure that ..."


@pytest.mark.parametrize(
    ("reason", "told", "todo"),
    [
        (MISMATCH, "Ray: 2.52.0 Python: 3.11.7", "install the cluster's versions of Ray and Python here"),
        (NO_TOKEN, "there is no token", "give the cluster's token in"),
        ("Failed to connect", "RAY_AUTH_MODE is disabled", "if the cluster wants a token"),
        ("", "ConnectionError", "if the cluster wants a token"),
        ("Could not find any running Ray instance. Please", "none runs on this machine", "such as head:6379"),
        ("Invalid address format: head", "is not an address", "such as head:6379"),
    ],
    ids=["version", "no token", "wrong token", "no words", "none", "no address"],
)
def test_what_ray_refuses_is_one_line_with_the_way_out(reason, told, todo, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setattr(ray_cluster, "check_answers", lambda address: None)

    class Ray:
        import ray.exceptions as exceptions

        @staticmethod
        def init(**options):
            raise ConnectionError(reason)

    with pytest.raises(UsageError) as raised:
        ray_cluster._init(Ray, None, "head:6379", "")
    message = str(raised.value)
    assert message.startswith("the Ray cluster at head:6379 could not be joined (")
    assert told in message
    assert todo in message
    assert "\n" not in message


def test_what_keeps_ray_from_starting_is_one_line_with_the_way_out():
    class Ray:
        import ray.exceptions as exceptions

        @staticmethod
        def init(**options):
            raise Exception("The current node timed out\nduring startup.")

    with pytest.raises(
        DimmagenError, match=r"be started \(The current node timed out during .*serial.*training `workers=1`"
    ):
        ray_cluster._init(Ray, 1, None, "")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere Ray does not use /dev/shm")
def test_without_shared_memory_ray_keeps_its_store_in_its_folder(tmp_path, monkeypatch):
    given = {}

    class Ray:
        import ray.exceptions as exceptions

        @staticmethod
        def init(**options):
            given.update(options)

    for shared, store in ((tmp_path, None), (tmp_path / "absent", "/folder")):
        monkeypatch.setattr(ray_cluster, "_SHARED_MEMORY", str(shared))
        ray_cluster._init(Ray, 1, None, "/folder")
        assert given["_plasma_directory"] == store


_CLIENT = """
import os, sys
os.environ["RAY_NUM_REDIS_GET_RETRIES"] = "2"  # it asks once a second, by default for 20 seconds
import ray
ray.init(address=sys.argv[1], logging_level="ERROR")
print(ray.get(ray.remote(lambda: "it ran").remote()))
"""
_HOST = f"""
import os, subprocess, sys
import ray  # has read the settings before
from dimmagen.core.executors.ray_cluster import connect_ray
before = dict(os.environ)
for turn in range(2):
    with connect_ray(1, None) as ray:
        address = ray.get_runtime_context().gcs_address
        print(ray.get(ray.remote(lambda: 42).remote()), "RAY_AUTH_TOKEN" in os.environ)
        if turn:
            stranger = [sys.executable, "-c", {_CLIENT!r}, address]
            print("stranger:", subprocess.run(stranger, capture_output=True, text=True).stdout)
assert dict(os.environ) == before | {{"RAY_CLIENT_MODE": "0"}} or dict(os.environ) == before
"""


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.xdist_group("ray")
def test_a_ray_of_this_machine_obeys_nobody_without_its_token(tmp_path):
    """Although the user has switched tokens off, and has no home to keep one in."""
    variables = {name: value for name, value in os.environ.items() if name != "HOME"}
    variables |= {"RAY_AUTH_MODE": "disabled", "HOME": str(tmp_path / "none")}
    done = subprocess.run(
        [sys.executable, "-c", _HOST], env=variables, capture_output=True, text=True, timeout=600
    )
    assert done.stdout.split("\n")[:3] == ["42 False", "42 False", "stranger: "], done.stderr
    assert not (tmp_path / "none").exists()
