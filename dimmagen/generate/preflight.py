"""What must hold on a machine before it makes a shard of a run: it is of the class of the machine that began
the run, and it sees the same folder.
"""

from collections.abc import Callable
from typing import TypeVar

from dimmagen.core.errors import DimmagenError
from dimmagen.dataset.manifest import Run, changes
from dimmagen.generate.resume import DatasetFolder
from dimmagen.generate.run_environment import environment_like

Worker = TypeVar("Worker")


def build_after_preflight(run: Run, out: str, build_worker: Callable[[], Worker]) -> Worker:
    """Build a worker, here, whose shards are what the run's manifest will say of them.

    Args:
        run: as it was begun by the driver.
        out: folder or fsspec URL of the data set.
        build_worker: called when all is well.

    Raises:
        DimmagenError: this machine has other library versions or processor features than the driver's, or
            `out` is another folder here.
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
