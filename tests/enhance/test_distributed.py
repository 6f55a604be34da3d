"""Training on several workers: errors are reported as in a single process."""

import pytest

from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.enhance.distributed import _absolute, _missing, _worker_error
from dimmagen.enhance.training import TrainConfig


class Failed(Exception):
    def __init__(self, *causes):
        super().__init__("workers failed")
        self.worker_failures = dict(enumerate(causes))


class RayTaskError(Exception):
    def __init__(self, cause):
        self.cause = cause


def test_the_expected_error_of_a_worker_is_the_one_that_is_raised():
    expected = UsageError("3 shards are too few for 4 readers", "use fewer `workers`")
    assert _worker_error(Failed(RuntimeError("connection closed by peer"), expected)) is expected
    assert _worker_error(Failed(RayTaskError(expected))) is expected


def test_an_unexpected_failure_is_reported_with_the_message_of_ray():
    error = _worker_error(Failed(RuntimeError("boom")))
    assert type(error) is DimmagenError
    assert "workers failed" in str(error)


@pytest.mark.parametrize(
    ("use_gpu", "message"), [(True, "need 3 GPUs, there are 2"), (False, "need 4 CPUs, there are 3")]
)
def test_what_a_cluster_lacks_is_reported(monkeypatch, use_gpu, message):
    monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": 3.0, "GPU": 2.0})
    assert _missing(3, use_gpu) == message
    assert _missing(2, use_gpu) == ""


def test_local_paths_are_made_absolute_and_urls_are_kept(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    config = _absolute(TrainConfig(data="out", validate="memory://pairs"))
    assert config.data == str(tmp_path / "out")
    assert config.validate == "memory://pairs"
    assert config.pairs is None
