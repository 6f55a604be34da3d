"""Philox4x32-10 against the published known answers (Random123's kat_vectors)."""

import numpy as np
import pytest

from dimmagen.core.philox import philox4x32, split_key


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_known_answers(counter, key, answer):
    words = philox4x32(*(np.uint32(word) for word in counter + key))
    assert [int(word) for word in words] == answer


def test_a_key_is_split_into_its_halves():
    assert split_key(0x0123456789ABCDEF) == (0x89ABCDEF, 0x01234567)
