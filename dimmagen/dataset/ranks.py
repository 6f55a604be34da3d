"""Which of the processes that train together this one is."""

import os

import torch.distributed

from dimmagen.core.errors import UsageError


def rank_and_ranks() -> tuple[int, int]:
    """The rank of this process and the number of ranks.

    They are those of torch's process group and, until it is made, those that a launcher such as `torchrun`
    has written to RANK and WORLD_SIZE. Some launchers (Kubeflow's PyTorchJob) write there one rank for all
    processes of a machine, so the group comes first.

    Raises:
        UsageError: the variables do not name a rank.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    rank, ranks = (os.environ.get(name, "").strip() for name in ("RANK", "WORLD_SIZE"))
    if not rank or not ranks:
        return 0, 1
    if not (rank.isdecimal() and ranks.isdecimal() and int(rank) < int(ranks)):
        raise UsageError(
            f"the environment variables RANK={rank} and WORLD_SIZE={ranks} do not name one of several ranks",
            "correct them, unset them, or make the process group first",
            code="usage",
        )
    return int(rank), int(ranks)
