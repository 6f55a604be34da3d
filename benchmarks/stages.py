"""What one pair takes, stage by stage, alone on one thread, on real photos of several sizes.

python -m benchmarks.stages [--quick] [--data FOLDER] [--json FILE]
"""

import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from benchmarks.figures import Figure, Options, main
from benchmarks.photos import lights
from dimmagen.core import hashing, storage
from dimmagen.core.threads import use_one_thread
from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.images import codec
from dimmagen.sources.light_image import LightImageRef, load_light_image

STAGES = ("decode", "dim", "encode", "hash", "write")
SIZES = (0.25, 0.5, 1.0, 2.0)  # megapixels; of each the photo that is nearest


def stage_seconds(ref: LightImageRef, dimmer: ImageDimmer, place: Path, variant: int = 0) -> dict[str, float]:
    """Of one pair, the way it is made; `write` is a file of its own, with its sync."""
    moments = [time.perf_counter()]
    light = load_light_image(ref)
    moments.append(time.perf_counter())
    dark = dimmer.dim(light.pixels, dimmer.draw(ref.key, variant))
    moments.append(time.perf_counter())
    file = codec.encode_png(dark)
    moments.append(time.perf_counter())
    for data in (file, light.data):
        hashing.sha256(data)
    for pixels in (dark, light.pixels):
        codec.pixel_sha256(pixels)
    moments.append(time.perf_counter())
    storage.atomic_write(place / f"{ref.key}.png", file)
    moments.append(time.perf_counter())
    steps = (after - before for before, after in pairwise(moments))
    return dict(zip(STAGES, steps, strict=True))


def mean_pair_seconds(refs: Sequence[LightImageRef], dimmer: ImageDimmer, place: Path) -> float:
    """Decode, dim and encode of a pair: the mean over some photos."""
    pairs = [stage_seconds(ref, dimmer, place) for ref in refs]
    return sum(pair[stage] for pair in pairs for stage in ("decode", "dim", "encode")) / len(pairs)


def measure(options: Options) -> Iterator[Figure]:
    use_one_thread()
    dimmer = ImageDimmer.from_profile("lol3")
    known = lights(options)
    with tempfile.TemporaryDirectory() as folder:
        stage_seconds(known[0], dimmer, Path(folder))  # the first call compiles
        for ref in chosen(known):
            values = defaultdict(list)
            for variant in range(options.runs(15)):
                for stage, value in stage_seconds(ref, dimmer, Path(folder), variant).items():
                    values[stage].append(1000 * value)
            for stage in STAGES:
                megapixels = round(ref.width * ref.height / 1e6, 2)
                yield Figure(f"{stage} ({ref.extension}), by megapixels", "ms", values[stage], megapixels)


def chosen(refs: Sequence[LightImageRef]) -> list[LightImageRef]:
    """Of each size the photo that is nearest, each once, from small to large."""

    def nearest(size: float) -> LightImageRef:
        return min(refs, key=lambda ref: abs(ref.width * ref.height - size * 1e6))

    return sorted({nearest(size) for size in SIZES}, key=lambda ref: ref.width * ref.height)


if __name__ == "__main__":
    main("stages", measure, __doc__)
