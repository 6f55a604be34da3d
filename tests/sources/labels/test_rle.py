"""Run-length masks, against pycocotools."""

import numpy as np
import pytest

from dimmagen.sources.labels import rle

pycocotools = pytest.importorskip("pycocotools.mask", reason="no pycocotools: pip install 'dimmagen[coco]'")


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.98, 1.0])
@pytest.mark.parametrize("size", [(1, 1), (5, 3), (64, 200)])
def test_masks_are_encoded_and_decoded_as_coco_does(size, share):
    mask = np.random.default_rng(3).random(size) < share
    if share == 0.5:
        mask = np.repeat(mask, 1, 0)
        mask[: size[0] // 2] = True  # long runs, whose counts take several characters
    expected = pycocotools.encode(np.asfortranarray(mask.astype(np.uint8)))
    counts = rle.encode(mask)
    assert sum(counts) == mask.size
    assert rle.to_text(counts) == expected["counts"].decode()
    assert rle.from_text(expected["counts"].decode()) == counts
    assert np.array_equal(rle.decode(counts, *size), mask)
    assert np.array_equal(pycocotools.decode({"size": size, "counts": rle.to_text(counts).encode()}), mask)


@pytest.mark.parametrize("counts", [[5], [-1, 7], [3, 4]])
def test_counts_of_another_size_are_refused(counts):
    with pytest.raises(ValueError, match="6 pixels"):
        rle.decode(counts, 2, 3)


@pytest.mark.parametrize("text", ["P", "  ", "oooooooooooooooooooooooo0", "\u0100"])
def test_damaged_text_is_refused(text):
    with pytest.raises(ValueError, match="damaged"):
        rle.from_text(text)


@pytest.mark.parametrize(
    ("counts", "height", "width"),
    [
        ([2**62] * 4 + [9], 3, 3),  # whose sum is 9 where numbers have 64 bits
        ([2**70], 3, 3),
        ([10**12], 10**6, 10**6),
        ([9], -3, -3),
    ],
)
def test_counts_that_would_fill_the_memory_are_refused(counts, height, width):
    with pytest.raises(ValueError, match="run-length mask"):
        rle.decode(counts, height, width)
