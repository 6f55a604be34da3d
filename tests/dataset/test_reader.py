"""Pairs are found by the beginning of their keys."""

from dataclasses import replace

import pyarrow as pa
import pytest

from dimmagen.core.errors import UsageError
from dimmagen.dataset.reader import PairSet, open_pairs


@pytest.fixture
def pairs(pair_set) -> PairSet:
    keys = ["coco-aa-v1", "coco-aa-v10", "coco-ab-v1"]
    return replace(open_pairs(pair_set), table=pa.table({"key": keys}))


def test_a_pair_is_found_by_its_key_or_by_the_only_one_that_begins_so(pairs):
    assert pairs.find("coco-aa-v1") == {"key": "coco-aa-v1"}  # also the beginning of another one
    assert pairs.find("coco-ab") == {"key": "coco-ab-v1"}
    with pytest.raises(UsageError, match=r"2 keys begin with 'coco-aa'.*coco-aa-v1, coco-aa-v10"):
        pairs.find("coco-aa")
    with pytest.raises(UsageError, match=r"has no pair 'clic'.*its first key is coco-aa-v1"):
        pairs.find("clic")
