"""The part of a PNG encoder that takes its time, against libraries that do the same.

    python -m benchmarks.png [--quick] [--data FOLDER] [--json FILE]

Of dark pictures of real photos, each row less the row above it: MB/s of that, on one thread, and the size
that is left. Libraries that are not installed (isal, deflate) are left out.
"""

import zlib
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from time import perf_counter

import numpy as np

from benchmarks.figures import Figure, Options, alternately, main
from benchmarks.photos import lights
from dimmagen.core.threads import use_one_thread
from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.images import png_deflate
from dimmagen.images.codec import encode_png
from dimmagen.sources.light_image import load_light_image


def compressors() -> dict[str, Callable[[np.ndarray], bytes]]:
    ng = import_module("zlib_ng.zlib_ng")
    found = {"dimmagen.images.png_deflate": lambda data: b"".join(png_deflate.compress(data))}
    for name, strategy in {
        "run-length": zlib.Z_RLE,
        "Huffman only": zlib.Z_HUFFMAN_ONLY,
        "default": 0,
    }.items():
        found[f"zlib-ng level 1, {name}"] = partial(_zlib, ng, strategy)
    found["zlib level 1, run-length"] = partial(_zlib, zlib, zlib.Z_RLE)
    for name, module, level in (("isal level 1", "isal.isal_zlib", 1), ("libdeflate level 1", "deflate", 1)):
        try:
            library = import_module(module)
        except ImportError:
            continue
        function = library.compress if module.startswith("isal") else library.zlib_compress
        found[name] = partial(_call, function, level)
    return found


def _zlib(library, strategy: int, data: np.ndarray) -> bytes:
    one = library.compressobj(1, zlib.DEFLATED, 15, 9, strategy)
    return one.compress(data) + one.flush()


def _call(function: Callable, level: int, data: np.ndarray) -> bytes:
    return function(data.tobytes(), level)


def measure(options: Options) -> Iterator[Figure]:
    use_one_thread()
    dimmer = ImageDimmer.from_profile("lol3")
    pictures = [_dark(ref, dimmer) for ref in lights(options, 3 if options.quick else 24)]
    filtered = [_filtered(image) for image in pictures]
    known = compressors()
    for name, compress in known.items():
        if any(zlib.decompress(compress(data)) != data.tobytes() for data in filtered):
            raise RuntimeError(f"{name} is not read back")
    size = sum(data.size for data in filtered)
    actions = [partial(_seconds, compress, filtered) for compress in known.values()]
    times = list(alternately([*actions, partial(_seconds, encode_png, pictures)], options.runs(7)))
    for (name, compress), seconds in zip(known.items(), times, strict=False):
        yield Figure(name, "MB/s", [size / 1e6 / one for one in seconds])
        yield Figure(f"{name}, size left", "ratio", [sum(len(compress(data)) for data in filtered) / size])
    pixels = sum(image.size for image in pictures) / 3
    yield Figure("a whole PNG, of 512x512", "ms", [1000 * one / pixels * 512 * 512 for one in times[-1]])


def _dark(ref, dimmer: ImageDimmer) -> np.ndarray:
    return dimmer.dim(load_light_image(ref).pixels, dimmer.draw(ref.key))


def _filtered(pixels: np.ndarray) -> np.ndarray:
    rows = pixels.reshape(len(pixels), -1)
    return np.vstack([rows[:1], rows[1:] - rows[:-1]])


def _seconds(function: Callable, items: list[np.ndarray]) -> float:
    began = perf_counter()
    for item in items:
        function(item)
    return perf_counter() - began


if __name__ == "__main__":
    main("png", measure, __doc__)
