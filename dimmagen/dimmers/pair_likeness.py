"""Whether two images show one scene although noise, or what moved in it, hides most of their structure."""

import numpy as np
from scipy import fft

from dimmagen.dimmers.pair_alignment import PairDetail

_NEAR = 3  # pixels (of large images: blocks of them): shifts of one tripod
_APART = 12  # pixels from no shift, from which on a peak is not the flank of the one there
# Of the highest peak near no shift to the highest elsewhere: 1.6 or more for simulated pairs with much noise
# or a moved part, up to 1.13 for 507 pairs of two scenes, mirrored and turned images of three cameras.
LEAST_RATIO = 1.4


def agree_in_place(detail: PairDetail) -> bool:
    """Whether the structures of two images correlate best without a shift, and far less with any other one.

    Noise lowers the correlation of a pair but not the place of its peak; those of two scenes have any place.
    Black areas of the dark image count: without them, no shift would have most in common in any case.
    """
    structures = detail.windowed()
    height, width = structures[0].shape
    spectra = [fft.rfft2(one) for one in structures]
    correlation = fft.irfft2(spectra[0] * spectra[1].conj(), (height, width))
    centred = np.roll(correlation, (height // 2, width // 2), (0, 1))
    inner, outer = (
        np.s_[height // 2 - radius : height // 2 + radius + 1, width // 2 - radius : width // 2 + radius + 1]
        for radius in (_NEAR, _APART)
    )
    near = float(centred[inner].max())
    centred[outer] = 0.0
    return near > LEAST_RATIO * float(centred.max())
