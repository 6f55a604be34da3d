"""Counters of a run for Prometheus, exported by the Ray that the run uses; docs/cluster.md shows them."""

import sys
from typing import Any, Literal

Name = Literal["pairs", "files", "bytes", "retries", "lost_workers"]
COUNTERS: dict[Name, str] = {
    "pairs": "Pairs of complete jobs.",
    "files": "Files that were checked by an index pass.",
    "bytes": "Bytes of complete shards.",
    "retries": "Jobs that were given to another worker.",
    "lost_workers": "Workers that were lost.",
}
"""Descriptions by name; Prometheus sees them as `ray_dimmagen_NAME_total`."""
_counters: dict[Name, Any] = {}
_job = ""  # of Ray, whose counters these are


def count(name: Name, number: int = 1) -> None:
    """Add to a counter of this run; does nothing where no Ray is connected, or one without metrics.

    Args:
        name: of a counter.
        number: at least 1.
    """
    global _job
    ray = sys.modules.get("ray")
    if ray is None or number < 1 or not ray.is_initialized():
        return
    try:
        from ray.util.metrics import Counter

        job = ray.get_runtime_context().get_job_id()
        if job != _job:  # another run in this process
            _counters.clear()
            _job = job
        if name not in _counters:
            _counters[name] = Counter(f"dimmagen_{name}", description=COUNTERS[name])
        _counters[name].inc(number)
    except Exception:  # a run does not depend on its metrics, whatever a version of Ray makes of them
        return
