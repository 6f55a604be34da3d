"""Photos for a scan, and the rows that it makes of them."""

import numpy as np
from PIL import Image

from dimmagen.sources import parse_specs
from dimmagen.sources.candidate_files import list_candidate_files
from dimmagen.sources.scan import scan


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def enlarged(pixels, width, height):
    return np.asarray(Image.fromarray(pixels).resize((width, height)))


def rows_of(*texts, workers=2):
    return [one.row for one in scan(list_candidate_files(parse_specs(texts)).files, workers=workers)]
