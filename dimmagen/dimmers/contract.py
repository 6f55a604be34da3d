"""A contract test for dimmer models, to be run by their authors: `dimmagen.check_dimmer(model)`."""

import inspect
import json
import pickle

import numpy as np

from dimmagen.core.errors import UsageError
from dimmagen.core.promises import check
from dimmagen.dimmers.base import DimmerModel, Draw, FormulaDimmer, kind_faults
from dimmagen.dimmers.dimmer import ImageDimmer


def check_dimmer(model: DimmerModel) -> None:
    """Check that a model keeps the promises on which data sets rely.

    The model must be pure (the same image and draw give the same bytes, and the light image stays
    unchanged), keep shape and type for odd sizes, single pixels and non-contiguous arrays, draw its noise
    from the draw's key alone, not become darker for a larger gamma, have settings that JSON can represent,
    and survive pickling, as workers receive a pickled copy. The first frame of a clip is its image, and what
    a device computes is what the processor does. A formula's class can be registered under its kind.

    Args:
        model: an instance of the registered class, such as `Dusk()`.

    Raises:
        AssertionError: a promise is broken; the message says which and how.

    Example:
        >>> from dimmagen.dimmers.base import DIMMERS
        >>> check_dimmer(DIMMERS["linear"].load(None, {}))
    """
    is_model = hasattr(model, "dim") and not isinstance(model, type)
    check(is_model, f"{model!r} is not a dimmer model: give an instance of its class")
    check(bool(getattr(model, "kind", "")), f"{type(model).__name__} has no kind")
    if FormulaDimmer in inspect.getmro(type(model)):
        faults = list(kind_faults(model.kind, type(model)))
        check(not faults, "; ".join(faults))
    generator = np.random.Generator(np.random.PCG64(7))
    light = generator.integers(0, 256, (37, 51, 3), np.uint8)
    draw = Draw(gamma=1.0, tau=model.tau, exposure=1.0, noise_seed=12345)
    before = light.copy()
    dark = model.dim(light, draw)
    check(dark.dtype == np.uint8 and dark.shape == light.shape, f"dim gave {dark.dtype} {dark.shape}")
    check(np.array_equal(light, before), "dim changed the light image that it was given")
    check(np.array_equal(model.dim(light, draw), dark), "the same image and draw gave other pixels")
    again = pickle.loads(pickle.dumps(model))
    check(np.array_equal(again.dim(light, draw), dark), "a pickled copy gives other pixels")
    check(
        np.array_equal(model.dim(np.asfortranarray(light), draw), dark),
        "another memory layout of the same image gives other pixels",
    )
    check(np.array_equal(model.dim_frame(light, draw, 0), dark), "frame 0 of a clip is not the image of dim")
    frame = model.dim_frame(light, draw, 3)
    check(frame.dtype == np.uint8 and frame.shape == light.shape, f"a frame is {frame.dtype} {frame.shape}")
    check(np.array_equal(model.dim_frame(light, draw, 3), frame), "the same frame came out differently")
    if model.on_device:
        _check_device(model, light, draw, dark)
    for shape in ((1, 1, 3), (1, 9, 3), (9, 1, 3)):
        small = model.dim(np.full(shape, 128, np.uint8), draw)
        check(small.shape == shape, f"an image {shape} became {small.shape}")
    flat = np.full((64, 64, 3), 128, np.uint8)
    low, high = (model.dim(flat, Draw(gamma, 0.0, 1.0, 1)).mean() for gamma in model.gamma_range)
    check(low <= high, f"gamma {model.gamma_range[1]} is darker than {model.gamma_range[0]}")
    check(0 < model.gamma_range[0] <= model.gamma_range[1], f"gamma_range is {model.gamma_range}")
    settings = model.settings()
    check(
        json.loads(json.dumps(settings)) == settings,
        f"JSON does not preserve the settings {settings}",
    )
    for part in model.parts:
        try:
            without = model.switched_off(part)
        except UsageError as error:
            raise AssertionError(f"the part {part} cannot be switched off: {error}") from error
        check(without.settings() != settings, f"without {part} the settings are the same")
    _check_draws(model)


def _check_device(model: DimmerModel, light: np.ndarray, draw: Draw, dark: np.ndarray) -> None:
    """A batch of tensors becomes what the images become one by one."""
    import torch

    lights = torch.from_numpy(np.stack([light, light]).transpose(0, 3, 1, 2).copy())
    exposed = model.expose_tensors(lights, [draw, draw]).numpy()[1].transpose(1, 2, 0)
    check(
        np.array_equal(model.develop(np.ascontiguousarray(exposed)), dark),
        "expose_tensors and develop give other pixels than dim",
    )


def _check_draws(model: DimmerModel) -> None:
    """As data sets are made: every variant is a different image, and every draw is repeatable."""
    dimmer = ImageDimmer(model, "contract", "0" * 64)
    light = np.full((48, 48, 3), 128, np.uint8)
    draws = [dimmer.draw("image", variant, seed=0) for variant in range(3)]
    check(
        draws == [dimmer.draw("image", variant, seed=0) for variant in range(3)], "a draw is not repeatable"
    )
    images = {dimmer.dim(light, draw).tobytes() for draw in draws}
    check(len(images) == 3, "variants of one image are the same dark image")
