"""Fixtures shared by all tests."""

import os
import random
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

_ROOT = Path(__file__).resolve().parents[1]
os.environ["DIMMAGEN_CACHE"] = "off"  # what one test has scanned is no verdict for another


def pytest_configure() -> None:
    """Let tests of properties have the same examples in each run, and none fail since it had to wait."""
    from hypothesis import HealthCheck, settings

    settings.register_profile(
        "tests",
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put modules with slow tests first, so that no process is left alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes by their argument: packed ones have a time in them, and all processes name a test alike."""
    return argname if isinstance(val, bytes) else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """Give a module to one process, which makes its fixtures once; an `xdist_group` remains its own."""
    if config.getvalue("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadGroupScheduling

    class ByModule(LoadGroupScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return super()._split_scope(nodeid).partition("::")[0]

    return ByModule(config, log)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests that are marked with `needs` where this system lacks it.

    What a test draws does not depend on those that this process has run before.
    """
    random.seed(0)
    np.random.seed(0)
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(0)
    skip_without(*(need for mark in item.iter_markers("needs") for need in mark.args))


def skip_without(*needs: str) -> None:
    """Skip, with the reason, if this system lacks something of :data:`tests.systems.SYSTEM`."""
    from tests.systems import SYSTEM, is_here

    for need in needs:
        if not is_here(need):
            pytest.skip(f"this system has no {SYSTEM[need][0]}, which it needs")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real test images and weights; skips with a message if it is missing.

    For comparisons with published weights and numbers, and for real in addition to synthetic data; whatever
    can be tested on synthetic data or on photos of a package must not use it.
    """
    folder = Path(os.environ.get("DIMMAGEN_TEST_DATA", _ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no shared test data at {folder}; set DIMMAGEN_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def clips(tmp_path_factory) -> Path:
    """A folder of three synthetic clips, for reading only."""
    from tests.made_clips import write_clips

    return write_clips(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="session")
def published_dimmer(tmp_path_factory) -> Path:
    """A synthetic dimmer in the format published by the authors of the paper, for reading only."""
    from tests.made_weights import write_published_dimmer

    return write_published_dimmer(tmp_path_factory.mktemp("published") / "3shot")


@pytest.fixture(scope="session")
def made_lpips(tmp_path_factory) -> Path:
    """A folder with a file of synthetic LPIPS weights for AlexNet, for reading only."""
    from tests.made_weights import write_lpips_weights

    return write_lpips_weights(tmp_path_factory.mktemp("lpips"))


@pytest.fixture(scope="module")
def short_fits():
    """Profiles are fitted in a second, and not well; whole fits take a minute."""
    from tests.quick_fits import cut_fits

    with pytest.MonkeyPatch.context() as patch:
        cut_fits(patch)
        yield


@pytest.fixture(scope="module")
def one_ray():
    """A Ray of this machine with three processors for the runs of a module, in place of one for each run."""
    from dimmagen.core.executors import ray_cluster, ray_pool

    with ray_cluster.connect_ray(3, None) as ray, pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray_pool, "connect_ray", lambda *_: nullcontext(ray))
        yield


@pytest.fixture(scope="session")
def pair_set(tmp_path_factory) -> Path:
    """A finished data set, for reading only: 6 photos (JPEG and PNG), 2 variants, 12 pairs in 4 shards."""
    from tests.dataset_helpers import make, write_photos

    folder = tmp_path_factory.mktemp("pair_set")
    make(write_photos(folder / "photos", 6), folder / "out", variants=2)
    return folder / "out"


@pytest.fixture(scope="session")
def s3_server():
    """A local S3 server; skips with a message if its packages are not installed."""
    for package in ("moto", "flask", "flask_cors", "s3fs", "boto3"):
        pytest.importorskip(package, reason=f"no {package}: pip install 'dimmagen[s3]' 'moto[server]'")
    from tests.s3_server import S3Server

    with S3Server() as server:
        yield server


@pytest.fixture
def bucket(s3_server, monkeypatch):
    """An empty bucket on that server, with the environment variables to access it."""
    from tests.s3_server import Bucket

    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_MAX_ATTEMPTS", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_ENDPOINT_URL": s3_server.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    s3_server.faults.clear()
    s3_server.buckets += 1
    _forget_s3_clients()
    yield Bucket(s3_server, f"bucket-{s3_server.buckets}")
    s3_server.faults.clear()
    _forget_s3_clients()


def _forget_s3_clients() -> None:
    """Clear the clients that s3fs caches, with the credentials and retry settings of another test."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
