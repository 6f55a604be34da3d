"""The lists of an export of any number of pairs are those that its check expects."""

import pytest

from dimmagen.export.listings import FILE_LIST, META_INFO, PAIR_LIST, numbered
from dimmagen.export.lmdb import META, write_lmdb
from dimmagen.export.stores import LMDB

NAMES = [f"{number:05d}.png" for number in (1, 2, 99_998, 99_999, 100_000, 100_001)]
SIZES = dict.fromkeys(NAMES, (4, 6))


@pytest.mark.parametrize("listing", [META_INFO, FILE_LIST, PAIR_LIST])
def test_numbers_of_six_digits_follow_those_of_five(listing, tmp_path):
    place = ("LOLv1/train/low", "LOLv1/train/high")
    for folder in place:
        (tmp_path / folder).mkdir(parents=True)
        for name in NAMES:
            (tmp_path / folder / name).touch()
    listing.write(tmp_path, "train", place, SIZES)
    assert not list(listing.faults(tmp_path, "train", place, dict(sorted(SIZES.items()))))


def test_so_do_the_keys_of_an_lmdb(tmp_path):
    write_lmdb(tmp_path / "lq.lmdb", [(name.removesuffix(".png"), b"png", (4, 6)) for name in NAMES], 2**10)
    with LMDB.entries(tmp_path / "lq.lmdb") as entries:
        sizes = {name: (4, 6) for name, _ in entries}
    assert not list(LMDB.faults(tmp_path, "lq.lmdb", sizes))
    assert (tmp_path / "lq.lmdb" / META).read_text().splitlines()[-1] == "100001.png (4,6,3) 1"


def test_other_names_are_in_the_order_of_their_letters():
    assert numbered(["b.png", "aa.png", "10.png", "9.png"]) == ["10.png", "9.png", "aa.png", "b.png"]
    assert numbered(["100000.png", "99999.png", "a.png"]) == ["100000.png", "99999.png", "a.png"]
