import os

import pytest

from dimmagen.core.errors import DimmagenError
from dimmagen.evaluation.pair_comparison import measure_each


def end_the_process(_):
    os._exit(1)


def test_a_process_that_is_killed_is_told_as_such():
    with pytest.raises(DimmagenError, match="a process that measures pairs was killed"):
        list(measure_each(end_the_process, [1, 2], 2))


def test_more_workers_than_pairs_need_no_process_each():
    assert list(measure_each(str, [5], 10**15)) == ["5"]
