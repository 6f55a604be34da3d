"""Checks on a machine before it makes a shard of a run.

The machine must have the same environment as the one that began the run, and access to the same folder.
"""

from collections.abc import Callable
from typing import TypeVar

from dimmagen.core.errors import DimmagenError
from dimmagen.dataset.manifest import Run, changes
from dimmagen.generate.resume import DatasetFolder
from dimmagen.generate.run_environment import environment_like

Worker = TypeVar("Worker")


def build_after_preflight(run: Run, out: str, build_worker: Callable[[], Worker]) -> Worker:
    """Build a worker on this machine if its shards will be what the run's manifest will say.

    Args:
        run: as begun by the driver.
        out: folder or fsspec URL of the data set.
        build_worker: called when all checks pass.

    Raises:
        DimmagenError: this machine's library versions or processor features differ from the driver's, or
            `out` is another folder on this machine.
    """
    if differences := changes(run, Run(run.settings, environment_like(run.environment))):
        lines = "".join(f"\n    {difference}" for difference in differences)
        raise DimmagenError(
            f"this machine differs from the one that began the run, so its shards may differ:{lines}\n"
            "Install the same versions on every node, and run on one kind of processor",
            code="other-environment",
            differences=differences,
        )
    if not DatasetFolder(out).is_begun(run):
        raise DimmagenError(
            f"{out} is not the folder that the run was begun in",
            "give an `out` folder that every node sees under this path, or a URL",
            code="missing-path",
            path=out,
        )
    return build_worker()
