"""How a run is executed where the user leaves it open, and what does not go together."""

import pytest

from dimmagen.core.errors import UsageError
from dimmagen.generate import execution
from dimmagen.generate.execution import Execution, choose_execution


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """16 processors and two GPUs."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(execution, "processor_count", lambda: 16)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    return torch


def test_one_worker_for_each_processor_of_this_machine_or_as_many_as_the_cluster_has():
    assert choose_execution("ray") == Execution("ray", 16)
    assert choose_execution("ray", address="head:6379") == Execution("ray", None, "head:6379")
    assert choose_execution("ray", 3, "head:6379") == Execution("ray", 3, "head:6379")


def test_gpus_share_the_processors_and_a_serial_run_has_them_all(machine, monkeypatch):
    assert choose_execution("ray", device="cuda") == Execution("ray", 2, device="cuda", threads=8)
    assert choose_execution("serial", device="cuda").threads == 16
    assert choose_execution("ray", device="cuda", threads=3).threads == 3
    monkeypatch.setattr(
        machine.cuda, "device_count", lambda: 0
    )  # where the command runs; the nodes have them
    joined = choose_execution("ray", address="head:6379", device="cuda")
    assert (joined.workers, joined.threads) == (None, 16)
    with pytest.raises(UsageError, match="torch sees no GPU here"):
        choose_execution("ray", device="cuda")


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"threads": 2}, "`threads` is for GPU workers"),
        ({"executor": "serial", "address": "head:6379"}, '`address` is for `executor="ray"`'),
        ({"executor": "serial", "worker_timeout": 9.0}, '`worker_timeout` is for `executor="ray"`'),
    ],
)
def test_what_does_not_go_together_is_refused(options, fault):
    with pytest.raises(UsageError, match=fault):
        choose_execution(**{"executor": "ray", **options})


def test_few_pairs_are_made_by_this_process_and_more_by_ray():
    chosen = choose_execution("auto")
    assert chosen.for_pairs(5, 5, [(1000, 1000)] * 5) == Execution("serial", 16)
    assert chosen.for_pairs(500, 5, [(1000, 1000)] * 5) == Execution("ray", 16)
    assert chosen.for_pairs(500, 500, [(100, 100)] * 500).executor == "serial"
    assert chosen.for_pairs(0, 0, []).executor == "serial"
    assert choose_execution("ray").for_pairs(1, 1, [(1, 1)]).executor == "ray"


def test_a_choice_of_workers_is_one_of_ray():
    for choice in ({"workers": 1}, {"address": "head:6379"}, {"worker_timeout": 9.0}, {"device": "cuda"}):
        assert choose_execution("auto", **choice).executor == "ray"


def test_a_choice_does_not_read_more_sizes_than_it_needs():
    def sizes():
        yield 10_000, 10_000
        raise AssertionError("read on")

    assert choose_execution("auto").for_pairs(9, 9, sizes()).executor == "ray"


def test_photos_are_scanned_in_threads_or_on_the_cluster_of_the_run():
    here = choose_execution("ray", 3).of_index_pass(rescan=True)
    assert (here.executor, here.workers, here.address, here.rescan) == ("serial", 3, None, True)
    there = choose_execution("ray", 3, "head:6379", worker_timeout=9.0).of_index_pass()
    assert (there.executor, there.workers, there.address, there.worker_timeout) == (
        "ray",
        3,
        "head:6379",
        9.0,
    )
    on_gpus = choose_execution("ray", 2, device="cuda").of_index_pass()
    assert on_gpus.workers is None  # not the number of GPUs


def test_each_gpu_has_at_least_one_thread_and_whole_ones(monkeypatch):
    for processors, threads in ((17, 8), (1, 1)):
        monkeypatch.setattr(execution, "processor_count", lambda count=processors: count)
        found = choose_execution("ray", device="cuda").threads
        assert (found, type(found)) == (threads, int)


def test_a_lost_cluster_and_photos_that_are_to_be_read_again_are_told_to_the_index_pass():
    there = choose_execution("ray", 3, "head:6379", on_cluster_lost=print)
    assert there.on_cluster_lost is print
    assert there.of_index_pass(rescan=True).on_cluster_lost is print
    for one in (there, choose_execution("ray", 3)):
        assert [one.of_index_pass().rescan, one.of_index_pass(rescan=True).rescan] == [False, True]
