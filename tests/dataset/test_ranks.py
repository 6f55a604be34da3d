"""Ranks that train together share a pass, and a loader knows its own."""

import os
import pickle

import pytest
import torch

import dimmagen
from dimmagen.core.errors import UsageError
from dimmagen.dataset.ranks import rank_and_ranks
from dimmagen.dataset.reader import open_pairs
from tests.tiny_set import tiny_set


@pytest.fixture(autouse=True)
def unlaunched(monkeypatch):
    """These tests may themselves run in a job of Slurm or MPI."""
    for name in list(os.environ):
        if name.startswith(("OMPI_", "PMI_", "SLURM_")) or name in ("RANK", "WORLD_SIZE"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """4 pairs in 4 shards."""
    return tiny_set(tmp_path_factory.mktemp("tiny") / "out", 2, variants=2, samples_per_shard=1)


def keys_of(batches) -> list[str]:
    return [key for batch in batches for key in batch["key"]]


def test_ranks_share_an_exact_pass(pair_set, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    keys = []
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        share = keys_of(dimmagen.pair_loader(pair_set, batch_size=4, crop=64))
        assert share
        keys += share
    assert sorted(keys) == sorted(open_pairs(pair_set).table["key"].to_pylist())
    monkeypatch.setenv("WORLD_SIZE", "5")
    with pytest.raises(UsageError, match="4 shards for 5 ranks"):
        dimmagen.pair_loader(pair_set, batch_size=4)


@pytest.mark.parametrize(("rank", "ranks"), [("2", "2"), ("-1", "-1"), ("x", "2"), ("0", "0"), ("1", "one")])
def test_variables_that_name_no_rank_are_refused(tiny, monkeypatch, rank, ranks):
    """Rank 2 of 2 got a loader without pairs; the others were Python's errors."""
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", ranks)
    with pytest.raises(UsageError, match=f"RANK={rank} and WORLD_SIZE={ranks} do not name"):
        dimmagen.pair_loader(tiny.out, batch_size=1)


@pytest.mark.parametrize("given", [{"RANK": "", "WORLD_SIZE": ""}, {"RANK": "1"}, {"WORLD_SIZE": "2"}])
def test_without_a_rank_all_pairs_are_read(tiny, monkeypatch, given):
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert len(dimmagen.pair_loader(tiny.out, batch_size=1)) == 4


LAUNCHERS = [
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
]


@pytest.mark.parametrize(("rank", "ranks"), LAUNCHERS)
def test_processes_of_mpirun_and_srun_share_a_pass_and_say_so(tiny, monkeypatch, caplog, rank, ranks):
    """Without a process group, all of them read the same pairs."""
    monkeypatch.setenv(ranks, "2")
    keys = []
    for number in range(2):
        monkeypatch.setenv(rank, str(number))
        keys += keys_of(dimmagen.pair_loader(tiny.out, batch_size=1, crop=8))
        assert f"rank {number} of 2, as {rank} and {ranks} say" in caplog.text
    assert sorted(keys) == sorted(open_pairs(tiny.out).table["key"].to_pylist())
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert len(dimmagen.pair_loader(tiny.out, batch_size=1)) == 4
    monkeypatch.delenv("RANK")
    monkeypatch.setenv(rank, "2")
    with pytest.raises(UsageError, match=f"{rank}=2 and {ranks}=2 do not name"):
        dimmagen.pair_loader(tiny.out, batch_size=1)


def test_the_processes_of_mpirun_are_not_those_of_srun_that_started_its_daemons(tiny, monkeypatch):
    for (rank, ranks), number in zip(LAUNCHERS, "301", strict=True):
        monkeypatch.setenv(rank, number)
        monkeypatch.setenv(ranks, "4")
    assert rank_and_ranks() == (3, 4)


@pytest.mark.parametrize("step", [{}, {"SLURM_STEP_ID": "4294967290", "SLURM_STEP_NUM_TASKS": "1"}])
def test_a_shell_or_a_batch_script_in_an_allocation_of_slurm_is_one_process(tiny, monkeypatch, caplog, step):
    allocation = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_NPROCS": "4", "SLURM_PROCID": "0"}
    for name, value in {**allocation, **step}.items():
        monkeypatch.setenv(name, value)
    assert len(dimmagen.pair_loader(tiny.out, batch_size=1)) == 4
    assert "as SLURM_PROCID" not in caplog.text


def test_the_rank_of_the_process_group_counts_and_not_that_of_the_machine(tiny, monkeypatch):
    """Kubeflow's PyTorchJob writes the rank of the machine: its processes would all read the same pairs."""
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    keys = []
    for rank in range(2):
        monkeypatch.setattr(torch.distributed, "get_rank", lambda rank=rank: rank)
        keys += keys_of(dimmagen.pair_loader(tiny.out, batch_size=1))
    assert sorted(keys) == sorted(open_pairs(tiny.out).table["key"].to_pylist())


def test_readers_that_do_not_know_the_process_group_read_their_own_rank_only(pair_set, monkeypatch):
    """As `spawn` and `forkserver` start them: from a pickle, in a process without the rank's environment."""
    keys = []
    for rank in range(2):
        monkeypatch.setenv("WORLD_SIZE", "2")
        monkeypatch.setenv("RANK", str(rank))
        stream = pickle.dumps(dimmagen.pair_loader(pair_set, batch_size=2, crop=64).pipeline[0].dataset)
        monkeypatch.delenv("WORLD_SIZE")
        monkeypatch.delenv("RANK")
        keys.append({pair["key"] for pair in pickle.loads(stream)})
    assert not keys[0] & keys[1]
    assert sorted(keys[0] | keys[1]) == sorted(open_pairs(pair_set).table["key"].to_pylist())


def test_resampled_passes_have_the_same_number_of_batches_on_every_rank_and_differ(pair_set, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "9")
    passes = []
    for rank in range(2):
        monkeypatch.setenv("RANK", str(rank))
        torch.manual_seed(0)
        loader = dimmagen.pair_loader(pair_set, batch_size=4, crop=64, epoch=5)
        passes += [keys_of(loader), keys_of(loader)]
    assert [len(keys) for keys in passes] == [20] * 4
    assert len({tuple(keys) for keys in passes}) == 4


@pytest.mark.parametrize("workers", [0, 2])
def test_a_pass_of_which_drop_last_leaves_nothing_is_refused(tiny, monkeypatch, workers):
    """A training loop would go through epochs without a step."""
    arguments = {"batch_size": 3, "crop": 8, "workers": workers}
    assert len(dimmagen.pair_loader(tiny.out, **arguments)) == 2
    if not workers:  # one process reads all 4 pairs
        assert len(dimmagen.pair_loader(tiny.out, **arguments, drop_last=True)) == 1
        monkeypatch.setenv("WORLD_SIZE", "2")
        monkeypatch.setenv("RANK", "0")
    with pytest.raises(UsageError, match="`drop_last` leaves no batch of 3 pairs") as caught:
        dimmagen.pair_loader(tiny.out, **arguments, drop_last=True)
    assert caught.value.code == "too-small"
    assert len(dimmagen.pair_loader(tiny.out, **arguments, drop_last=True, epoch=2)) == 2


@pytest.mark.parametrize(("ranks", "told"), [(1, False), (2, False), (3, True)])
def test_ranks_that_will_have_different_numbers_of_batches_are_told(tiny, monkeypatch, caplog, ranks, told):
    """DistributedDataParallel waits forever for the rank that is done."""
    monkeypatch.setenv("WORLD_SIZE", str(ranks))
    monkeypatch.setenv("RANK", "0")
    dimmagen.pair_loader(tiny.out, batch_size=1)
    assert ["a pass has 1 to 2 batches by rank" in message for message in caplog.messages] == [True] * told
    caplog.clear()
    dimmagen.pair_loader(tiny.out, batch_size=1, epoch=3)
    assert not caplog.messages


@pytest.mark.parametrize("epoch", [None, 2])
def test_a_loader_that_was_made_before_the_process_group_is_refused(epoch, pair_set, monkeypatch):
    """As Lightning and `spawn` allow: every rank would read the same pairs."""
    loader = dimmagen.pair_loader(pair_set, batch_size=1, epoch=epoch)
    pairs = len(list(loader))
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="made as rank 0 of 1, and is read by rank 0 of 2"):
        iter(loader)
    made = dimmagen.pair_loader(pair_set, batch_size=1, epoch=epoch)
    assert len(list(made)) == len(made)
    monkeypatch.setenv("WORLD_SIZE", "1")  # the group has ended
    assert len(list(loader)) == pairs
