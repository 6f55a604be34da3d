"""The dimming kernels: 512x512, uint8 light to uint8 dark, draws included, one thread.

`python -m benchmarks.mdn_kernel` compares the MDN's kernel with other ways to compute it.

    python -m benchmarks.kernel [--quick] [--json FILE]
"""

from collections.abc import Iterator

from benchmarks.figures import Figure, Options, alternately, main, seconds
from benchmarks.mdn_kernel import DRAW, floor_seconds
from dimmagen.dimmers.dimmer import ImageDimmer

MODELS = ("camera", "mdn")


def measure(options: Options) -> Iterator[Figure]:
    import numpy as np
    import torch
    from skimage import data

    torch.set_num_threads(1)
    light = np.ascontiguousarray(data.astronaut())
    pixels = light.shape[0] * light.shape[1]
    models = [ImageDimmer.from_profile("lol3", model=model).model for model in MODELS]
    actions = [lambda model=model: seconds(lambda: model.dim(light, DRAW)) for model in models]
    for action in actions:
        action()  # the first call compiles
    actions.append(lambda: floor_seconds(pixels))
    *times, floors = alternately(actions, options.runs(15))
    for model, values in zip(MODELS, times, strict=True):
        yield Figure(f"{model} 512x512", "ms", [1000 * value for value in values])
    ratios = [time / floor for time, floor in zip(times[MODELS.index("mdn")], floors, strict=True)]
    yield Figure("mdn over its multiply-adds at the peak", "ratio", ratios)


if __name__ == "__main__":
    main("kernel", measure, __doc__)
