"""The deflate encoder against zlib, which must decompress all of its output."""

import hashlib
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dimmagen.images.png_deflate import _BLOCK, compress


def check(data):
    stream = b"".join(compress(data))
    assert zlib.decompress(stream) == data.tobytes()
    assert len(stream) <= 1.02 * data.size + 200
    return stream


@given(arrays.arrays(np.uint8, st.integers(1, 2000), elements=st.integers(0, 255)))
def test_any_bytes_are_read_back(data):
    check(data)


@pytest.mark.parametrize("size", [1, 3, 4, 5, _BLOCK - 1, _BLOCK, _BLOCK + 1, 3 * _BLOCK + 2])
@pytest.mark.parametrize("kind", ["zeros", "noise", "dark", "all alike but one"])
def test_blocks_of_any_length_are_read_back(kind, size):
    generator = np.random.default_rng(size)
    data = {
        "zeros": np.zeros(size, np.uint8),
        "noise": generator.integers(0, 256, size, dtype=np.uint8),
        "dark": np.abs(generator.normal(0, 3, size)).astype(np.uint8),
        "all alike but one": np.full(size, 200, np.uint8),
    }[kind]
    data[-1] = 7
    check(data)


@pytest.mark.parametrize("symbols", [17, 20, 24])
def test_codes_that_would_be_too_long_are_shortened(symbols):
    """Frequencies that are Fibonacci numbers give the deepest possible tree; the limit is 15 bits."""
    frequencies = [1, 1]
    while len(frequencies) < symbols:
        frequencies.append(frequencies[-1] + frequencies[-2])
    data = np.repeat(np.arange(symbols, dtype=np.uint8), frequencies)
    assert len(data) < _BLOCK
    check(np.random.default_rng(0).permutation(data))


def test_the_size_of_skewed_bytes_reaches_their_entropy():
    data = np.random.default_rng(0).geometric(0.5, 500_000).astype(np.uint8)
    _, counts = np.unique(data, return_counts=True)
    share = counts / data.size
    entropy = -(share * np.log2(share)).sum() / 8 * data.size  # powers of two: Huffman codes reach it
    assert len(check(data)) < 1.01 * entropy


def test_the_bytes_are_the_same_on_every_machine():
    data = (np.arange(300_000) ** 2 // 77 % 251).astype(np.uint8)
    assert (
        hashlib.sha256(b"".join(compress(data))).hexdigest()
        == "2d7f2ecb4ec08e80e9d4e2faf731f33f68cdce9fd229462c2a7243f212454bd9"
    )
