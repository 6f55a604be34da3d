"""Which of the processes that train together this one is."""

import logging
import os
from functools import cache

import torch.distributed

from dimmagen.core.errors import UsageError

_OF_TORCH = ("RANK", "WORLD_SIZE")
# What launchers write that do not know torch. mpirun may start its daemons by Slurm, one on each node, whose
# variables its processes inherit, so MPI comes first. SLURM_NTASKS is that of the job: a batch script or a
# shell in an allocation has it as well, and is one process. SLURM_STEP_NUM_TASKS is what `srun` starts.
_OF_OTHERS = (
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
)
_LOG = logging.getLogger(__name__)


def rank_and_ranks() -> tuple[int, int]:
    """The rank of this process and the number of ranks.

    They are those of torch's process group and, until it is made, those that a launcher such as `torchrun`
    has written to RANK and WORLD_SIZE. Some launchers (Kubeflow's PyTorchJob) write there one rank for all
    processes of a machine, so the group comes first. Without them, the variables of Open MPI, of MPICH and
    of a step of Slurm count. A warning says so, since such processes may also have nothing to do with each
    other.

    Raises:
        UsageError: the variables do not name a rank.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    for names in (_OF_TORCH, *_OF_OTHERS):
        rank, ranks = (os.environ.get(name, "").strip() for name in names)
        if rank and ranks:
            found = _parsed(names, rank, ranks)
            if names in _OF_OTHERS and found[1] > 1:
                _warn_of_launcher(names, *found)
            return found
    return 0, 1


def _parsed(names: tuple[str, str], rank: str, ranks: str) -> tuple[int, int]:
    if not (rank.isdecimal() and ranks.isdecimal() and int(rank) < int(ranks)):
        raise UsageError(
            f"the environment variables {names[0]}={rank} and {names[1]}={ranks} do not name one of several "
            "ranks",
            "correct them, unset them, or make the process group first",
            code="usage",
        )
    return int(rank), int(ranks)


@cache
def _warn_of_launcher(names: tuple[str, str], rank: int, ranks: int) -> None:
    """Once per process."""
    _LOG.warning(
        "this process reads the pairs of rank %d of %d, as %s and %s say; where each process should read all "
        "pairs, set RANK=0 and WORLD_SIZE=1",
        rank,
        ranks,
        *names,
    )
