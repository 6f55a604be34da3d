"""Loaders whose workers lack shared memory, sockets or open files say so, and wait for nothing."""

import multiprocessing.util
import subprocess
import sys
import tempfile

import pytest
import torch

import dimmagen
from dimmagen.core.errors import DimmagenError
from dimmagen.dataset.loader_items import collate
from tests.tiny_set import tiny_set


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """4 pairs in 4 shards, of 12x16 and of 13x16 pixels."""
    return tiny_set(tmp_path_factory.mktemp("tiny") / "out", 2, variants=2, samples_per_shard=1)


def test_a_loader_without_room_in_shared_memory_says_what_to_do(tiny, monkeypatch):
    """Containers have 64 MB of it; torch's error was that of a file `/torch_1_2_3`."""

    def full(*_):
        raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1_2_3>: No space left")

    said = r"shared memory .* is full: give fewer `workers` or `workers=0`, or the container more of it"
    with pytest.raises(DimmagenError, match=said):
        next(iter(dimmagen.pair_loader(tiny.out, batch_size=1, transform=full)))
    monkeypatch.setattr(torch.Tensor, "share_memory_", full)
    with pytest.raises(DimmagenError, match=said):
        dimmagen.pair_loader(tiny.out, batch_size=1, workers=1)


@pytest.mark.skipif(sys.platform == "win32", reason="there, processes are not connected by sockets")
@pytest.mark.parametrize("name", ["nowhere", "folder-of-a-job/" * 9])
def test_workers_that_cannot_hand_over_their_batches_are_refused_and_not_waited_for(
    tiny, tmp_path, monkeypatch, name
):
    """Of an error of the thread that sends batches, such as `AF_UNIX path too long`, no one is told."""
    if len(name) > 100:
        if hasattr(multiprocessing.util, "_get_base_temp_dir"):
            pytest.skip("this Python takes another folder for its sockets itself")
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / name))
    monkeypatch.setitem(multiprocessing.current_process()._config, "tempdir", None)
    with pytest.raises(DimmagenError, match=r"`workers=0`.*TMPDIR") as refused:
        dimmagen.pair_loader(tiny.out, batch_size=1, workers=1)
    assert str(tmp_path) in str(refused.value)
    assert (refused.value.code, refused.value.fields["parameter"]) == ("machine", "workers")


@pytest.mark.needs("shm", "limits")
def test_more_batches_than_this_process_may_have_open_say_what_to_do(tiny):
    """Each tensor of a batch from a worker is an open file: a list of a hundred batches has too many."""
    program = (
        "import resource, sys, dimmagen\n"
        "if __name__ == '__main__':\n"
        "    loader = dimmagen.pair_loader(\n"
        "        sys.argv[1], batch_size=1, crop=4, workers=1, persistent_workers=True)\n"
        "    kept = [*loader]\n"
        "    resource.setrlimit(resource.RLIMIT_NOFILE, (99, 99))\n"
        "    try:\n"
        "        for _ in range(30):\n"
        "            kept += loader\n"
        "    except dimmagen.DimmagenError as error:\n"
        "        print(error.code, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tiny.out], capture_output=True, text=True, timeout=300
    )
    assert done.stdout.startswith("machine this process has too many open files"), done.stderr
    assert "ulimit -n" in done.stdout


@pytest.mark.needs("shm")
def test_a_worker_makes_the_whole_batch_in_shared_memory(tiny, monkeypatch):
    """Of what is put there later, by the thread that sends it, no error is told: it is waited for forever."""
    pairs = dimmagen.PairDataset(tiny.out, crop=8)
    monkeypatch.setattr(torch.utils.data, "get_worker_info", object)  # as in a worker
    batch = collate([pairs[0], pairs[1]])
    assert [name for name, value in batch.items() if hasattr(value, "shape") and not value.is_shared()] == []
    assert (batch["variant"].dtype, batch["gamma"].dtype) == (torch.int64, torch.float32)
