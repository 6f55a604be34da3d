"""Training on several workers: errors are reported as in a single process."""

import os
import tempfile
from contextlib import nullcontext
from pathlib import Path

import pytest

from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.enhance import distributed
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


@pytest.mark.needs("fork")
def test_a_folder_for_temporary_files_goes_with_the_run_or_with_the_next(monkeypatch):
    # A place where no Ray of another test removes what it finds.
    parent = tempfile.mkdtemp(prefix="t", dir="/tmp")
    monkeypatch.setattr(tempfile, "tempdir", parent)
    left = Path(tempfile.mkdtemp(prefix="dimmagen-ray-"))  # of a run that was killed
    (left / "owner").touch()
    monkeypatch.setattr(distributed, "connect_ray", lambda *_: nullcontext())
    monkeypatch.setattr(distributed, "_missing", lambda *_: "need 9 CPUs, there are 2")
    with pytest.raises(UsageError, match="need 9 CPUs"):
        distributed.run_distributed(
            TrainConfig(data="out", device="cpu"), Path("run"), "never", 9, None, None
        )
    os.rmdir(parent)


def test_local_paths_are_made_absolute_and_urls_are_kept(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    config = _absolute(TrainConfig(data="out", validate="memory://pairs"))
    assert config.data == str(tmp_path / "out")
    assert config.validate == "memory://pairs"
    assert config.pairs is None
