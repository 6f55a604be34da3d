"""Errors that workers raise on other nodes keep their kind; no Ray is started."""

import pytest

pytest.importorskip("ray")

from ray.exceptions import RayTaskError

from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.executors.ray_pool import WorkerPool
from dimmagen.core.executors.ray_tasks import PoolWorker
from dimmagen.images.codec import ImageError


class RayThatRaises:
    """Ray as far as an answer that is an error."""

    import ray.exceptions as exceptions

    def __init__(self, cause):
        self.error = RayTaskError("run", "", cause)

    def get(self, call):
        raise self.error


def answer(cause, on_cluster):
    pool = WorkerPool.__new__(WorkerPool)
    pool._ray, pool._on_cluster = RayThatRaises(cause), on_cluster
    with pytest.raises(DimmagenError) as raised:
        pool._result_of(PoolWorker(None, "node7"), None)
    return raised.value


@pytest.mark.parametrize(
    ("build", "code", "fields"),
    [
        (
            lambda: UsageError("it is wrong", "make it right", code="out-of-range", value=3),
            "out-of-range",
            {"value": 3},
        ),
        (lambda: ImageError("palette", "it is wrong: make it right"), "unreadable-image", {}),
    ],
    ids=["usage", "image"],
)
@pytest.mark.parametrize(("on_cluster", "start"), [(True, "on node node7: "), (False, "")])
def test_an_error_of_a_worker_keeps_its_type_code_and_fields(build, code, fields, on_cluster, start):
    error = answer(build(), on_cluster)
    assert type(error) is type(build())
    assert str(error) == f"{start}it is wrong: make it right"
    assert (error.code, error.fields) == (code, fields)
