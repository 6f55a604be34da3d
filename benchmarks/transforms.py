"""LowLight beside the noise and brightness transforms of other libraries: one thread, one image, in turn.

As albumentations' own benchmark: uint8 RGB, one image at a time, images a second, warm. Libraries that are
not installed are left out; torchvision's and kornia's transforms take float tensors, as they require.

    python -m benchmarks.transforms [--quick] [--json FILE]
"""

import importlib
import os
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.figures import Figure, Options, alternately, main, seconds

SIZES = (512, 256)
IMAGES = 20
Step = Callable[[], object]


def measure(options: Options) -> Iterator[Figure]:
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # no question to the network
    import torch

    torch.set_num_threads(1)
    for size in SIZES:
        steps = dict(_steps(size))
        for step in steps.values():
            step()  # the first call compiles, and loads
        actions = [partial(_rate, step, 2 if options.quick else IMAGES) for step in steps.values()]
        for name, values in zip(steps, alternately(actions, options.runs(15)), strict=True):
            yield Figure(f"{name} {size}x{size}", "images/s", values)


def _rate(step: Step, images: int) -> float:
    return images / seconds(lambda: [step() for _ in range(images)])


def _steps(size: int) -> Iterator[tuple[str, Step]]:
    """Each transform with its own type of input of one photo, by name."""
    import numpy as np
    import torch
    from skimage import data, transform

    from dimmagen.transforms import LowLight

    photo = data.astronaut() if size == 512 else transform.resize(data.astronaut(), (size, size))
    light = np.ascontiguousarray(photo if photo.dtype == np.uint8 else np.uint8(np.rint(255 * photo)))
    tensor = torch.from_numpy(light).permute(2, 0, 1).contiguous()
    batch = tensor[None].float() / 255
    yield "LowLight, array", partial(LowLight("lol3"), light)
    yield "LowLight linear, array", partial(LowLight("linear"), light)
    yield "LowLight, uint8 tensor", partial(LowLight("lol3"), tensor)
    if cv2 := _installed("cv2"):
        cv2.setNumThreads(0)
    if albumentations := _installed("albumentations"):
        yield from _albumentations(albumentations, light)
    if v2 := _installed("torchvision.transforms.v2"):
        yield "torchvision GaussianNoise, float tensor", partial(v2.GaussianNoise(), batch[0])
    if kornia := _installed("kornia.augmentation"):
        gauss = kornia.RandomGaussianNoise(std=0.1, p=1.0)
        yield "kornia RandomGaussianNoise, float batch of 1", partial(gauss, batch)
        yield "LowLight for kornia, float batch of 1", partial(LowLight("lol3").for_kornia(), batch)


def _albumentations(library, light) -> Iterator[tuple[str, Step]]:
    from dimmagen.transforms import LowLight

    transforms = {
        "LowLight for albumentations": LowLight("lol3").for_albumentations(),
        "albumentations ISONoise": library.ISONoise(p=1),
        "albumentations ShotNoise": library.ShotNoise(p=1),
        "albumentations GaussNoise": library.GaussNoise(p=1),
        "albumentations RandomBrightnessContrast": library.RandomBrightnessContrast(p=1),
    }
    for name, one in transforms.items():
        yield name, partial(library.Compose([one]), image=light)


def _installed(name: str):
    try:
        return importlib.import_module(name)
    except (ImportError, RuntimeError):  # a torchvision that does not fit torch raises RuntimeError
        return None


if __name__ == "__main__":
    main("transforms", measure, __doc__)
