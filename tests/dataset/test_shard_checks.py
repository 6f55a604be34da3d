"""The check of one shard: members and rows that are not those of its record."""

from dataclasses import replace

import pytest

from dimmagen.dataset.checking import Fault, check_pair_shard
from dimmagen.dataset.writer import write_pair_shard
from tests.dataset.test_writer import sample
from tests.dataset_helpers import replace_member


@pytest.mark.parametrize(("extension", "number"), [("labels.json", 2), ("mask.png", 3)])
def test_changed_labels_are_reported(extension, number, tmp_path):
    given = [
        replace(sample(f"folder-{one}-v0"), labels=b"{%d}" % one, labels_extension=extension)
        for one in (1, 2)
    ]
    record = write_pair_shard(str(tmp_path), "train-00000", given)
    before = check_pair_shard(str(tmp_path), record).faults
    names = [f"folder-{one}-v0.{side}" for one in (1, 2) for side in ("dark.png", "light.jpg")]
    assert [fault.what.split(" (")[0].partition(": ")[2] for fault in before] == [
        said
        for name in names
        for said in (
            f"the bytes of {name} are not those of its row",
            f"{name}: is not an image of a known kind",
        )
    ]
    name = replace_member(tmp_path / record.name, 4 + number, b"{")
    after = check_pair_shard(str(tmp_path), record).faults
    what = f"sample folder-2-v0: the bytes of {name} are not those of its row"
    assert after == [
        Fault(record.name, "does not have the SHA-256 of the manifest"),
        *before,
        Fault(record.name, what),
    ]


def test_rows_beyond_those_of_the_record_are_not_read(tmp_path):
    record = write_pair_shard(str(tmp_path), "train-00000", [sample("folder-1-v0"), sample("folder-2-v0")])
    check = check_pair_shard(str(tmp_path), replace(record, samples=1))
    assert check.keys == []
    assert check.faults == [Fault(record.metadata.name, "has 2 rows, the manifest says 1")]
    fewer = check_pair_shard(str(tmp_path), replace(record, samples=3))
    assert fewer.faults[0] == Fault(record.metadata.name, "has 2 rows, the manifest says 3")
    assert fewer.keys == ["folder-1-v0", "folder-2-v0"]
