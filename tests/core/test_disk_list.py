import errno
import gc
import io
import os
import sys
import tempfile
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dimmagen.core import disk_list
from dimmagen.core.disk_list import DiskIntegers, DiskList
from dimmagen.core.errors import DimmagenError


@given(st.lists(st.binary(max_size=9)), st.integers(1, 5))
def test_records_are_read_by_index_and_in_order_while_more_are_added(records, ahead):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disk_list, "_READ_AHEAD", ahead)
        kept = DiskList()
        for count, record in enumerate(records, 1):
            kept.append(record)
            assert len(kept) == count
            assert kept[count - 1] == record
        assert list(kept) == records
        assert [kept[index] for index in range(len(kept))] == records


@pytest.mark.parametrize("index", [-1, 1])
def test_an_index_out_of_range_raises(index):
    kept = DiskList()
    kept.append(b"one")
    with pytest.raises(IndexError):
        kept[index]


@given(st.lists(st.integers(0, 2**64 - 1)), st.integers(0, 9), st.integers(0, 9))
def test_integers_are_sliced_like_a_list(values, start, stop):
    numbers = DiskIntegers()
    for value in values:
        numbers.append(value)
    assert numbers[start:stop].tolist() == values[start:stop]
    assert numbers[:].tolist() == values


@pytest.mark.parametrize(
    ("number", "todo"), [(errno.ENOSPC, "TMPDIR"), (errno.EROFS, "TMPDIR"), (errno.EMFILE, r"ulimit -n")]
)
def test_a_full_folder_for_temporary_files_is_named_with_what_to_do(number, todo, tmp_path, monkeypatch):
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(disk_list.tempfile, "TemporaryFile", lambda **options: Full())
    with pytest.raises(DimmagenError, match=rf"{tmp_path}.*{os.strerror(number)}.*{todo}"):
        DiskList().append(b"record")


def test_a_list_that_is_dropped_warns_of_no_open_file_and_of_no_full_disk():
    """Programs and test suites that make warnings errors would end with it."""
    kept = DiskList()
    kept.append(b"record")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        seen: list[object] = []
        patch.setattr(sys, "unraisablehook", seen.append)
        warnings.simplefilter("error")
        descriptor = kept._data._file.fileno()
        del kept
        gc.collect()
        assert seen == []
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
