import pytest
from hypothesis import given
from hypothesis import strategies as st

from dimmagen.core import disk_map
from dimmagen.core.disk_map import DiskMap

NAMES = st.text(st.characters(), max_size=2)  # few enough to occur twice; any characters


@given(st.lists(st.tuples(NAMES, st.binary(max_size=3))), NAMES, st.integers(1, 4))
def test_a_name_has_its_records_in_the_order_in_which_they_were_added(records, other, recent):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disk_map, "_LEAST_RECENT", recent)
        kept = DiskMap()
        for count, (name, record) in enumerate(records, 1):
            kept.add(name, record)
            assert len(kept) == count
            assert kept.find(name)[-1] == count - 1
        for name in {other, *(name for name, _ in records)}:
            numbers = [number for number, (one, _) in enumerate(records) if one == name]
            assert kept.find(name) == numbers
            assert (name in kept) is bool(numbers)
            assert kept.last(name) == (records[numbers[-1]][1] if numbers else None)
        assert list(kept) == records
        assert [kept[number] for number in range(len(kept))] == [record for _, record in records]


def test_names_of_one_hash_are_told_apart(monkeypatch):
    monkeypatch.setattr(disk_map, "text_hash", lambda text: 7)
    monkeypatch.setattr(disk_map, "_LEAST_RECENT", 0)
    kept = DiskMap()
    for name in ("a", "b", "a"):
        kept.add(name, name.encode())
    assert (kept.find("a"), kept.find("b"), kept.find("c")) == ([0, 2], [1], [])


def test_a_lone_surrogate_is_a_name_like_any_other():
    kept = DiskMap()
    kept.add("\udc80", b"a byte that is not UTF-8")
    assert dict(kept) == {"\udc80": b"a byte that is not UTF-8"}
    assert kept.last("\udc80") == b"a byte that is not UTF-8"
