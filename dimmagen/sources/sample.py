"""Photos that are part of the scikit-image package: enough for a first try without a download."""

from pathlib import Path

import skimage

from dimmagen.sources import rules
from dimmagen.sources.base import StillSource

# Its natural photos; motorcycle_right shows the scene of motorcycle_left from almost the same position.
PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")


class SamplePhotos(StillSource):
    """Needs no path: the photos are where scikit-image is installed."""

    name = "sample"
    title = "scikit-image's sample photos"
    terms = "public domain or CC0, see skimage.data; motorcycle: Middlebury stereo data set, 2014"
    extensions: tuple[str, ...] = PHOTOS  # the candidates among the files of scikit-image's data folder
    default_path = str(Path(skimage.__file__).parent / "data")

    def rule(self, facts: rules.Facts) -> rules.Verdict:
        return rules.folder(facts)
