import os

import lmdb
import pytest

from dimmagen.core.errors import DimmagenError
from dimmagen.export.lmdb import write_lmdb


def test_a_disk_that_cannot_be_mapped_into_memory_is_told_as_such(tmp_path, monkeypatch):
    def refuse(path, **options):
        raise lmdb.InvalidParameterError(f"{path}: Invalid argument")

    monkeypatch.setattr(lmdb, "open", refuse)
    with pytest.raises(DimmagenError, match=r"lq\.lmdb could not be written.*memory") as refused:
        write_lmdb(tmp_path / "lq.lmdb", [("a", b"data", (1, 1))], 4)
    assert refused.value.code == "disk"
    assert not (tmp_path / "lq.lmdb").exists()


def test_an_environment_that_is_too_small_is_told_as_such(tmp_path):
    with pytest.raises(DimmagenError, match="could not be written"):
        write_lmdb(tmp_path / "lq.lmdb", [("a", bytes(2**25), (1, 1))], 1)


def test_a_signal_while_it_is_written_leaves_nothing_of_it(tmp_path):
    def entries():
        yield "a", b"png", (1, 1)
        assert os.listdir(tmp_path) == [".lq.lmdb.tmp"]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_lmdb(tmp_path / "lq.lmdb", entries(), 1000)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_its_files_have_the_permissions_that_the_umask_leaves(tmp_path):
    before = os.umask(0o002)
    try:
        write_lmdb(tmp_path / "lq.lmdb", [("00001", b"x", (1, 1))], 1)
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "lq.lmdb").iterdir()] == [0o664, 0o664]
