"""Training on several workers: what Ray hides is told as in one process."""

import pytest

from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.enhance.distributed import _absolute, _missing, _told
from dimmagen.enhance.training import TrainConfig


class Failed(Exception):
    def __init__(self, *causes):
        super().__init__("workers failed")
        self.worker_failures = dict(enumerate(causes))


class RayTaskError(Exception):
    def __init__(self, cause):
        self.cause = cause


def test_the_error_of_the_worker_that_knows_is_the_one_that_is_told():
    known = UsageError("3 shards are too few for 4 readers", "use fewer --workers")
    assert _told(Failed(RuntimeError("connection closed by peer"), known)) is known
    assert _told(Failed(RayTaskError(known))) is known


def test_an_unknown_failure_is_told_with_what_ray_says():
    told = _told(Failed(RuntimeError("boom")))
    assert type(told) is DimmagenError
    assert "workers failed" in str(told)


@pytest.mark.parametrize(
    ("use_gpu", "told"), [(True, "want 3 GPUs, there are 2"), (False, "want 4 CPUs, there are 3")]
)
def test_too_small_a_cluster_is_told(monkeypatch, use_gpu, told):
    monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": 3.0, "GPU": 2.0})
    assert _missing(3, use_gpu) == told
    assert _missing(2, use_gpu) == ""


def test_local_places_are_made_absolute_and_urls_left(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    config = _absolute(TrainConfig(data="out", validate="memory://pairs"))
    assert config.data == str(tmp_path / "out")
    assert config.validate == "memory://pairs"
    assert config.pairs is None
