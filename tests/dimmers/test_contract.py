"""The contract test finds each promise that a dimmer model breaks, and passes one that keeps them all."""

import itertools
from dataclasses import dataclass
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from dimmagen import check_dimmer
from dimmagen.core.errors import UsageError
from dimmagen.dimmers.base import DimmerModel, FormulaDimmer


class Kept(DimmerModel):
    """Factor and noise by the draw."""

    kind, gamma_range, tau, exposure_spread = "kept", (0.5, 1.5), 1.0, 0.0

    def dim(self, light, draw):
        noise = np.random.default_rng(draw.noise_seed).normal(0, 3 * draw.tau, light.shape)
        return (0.3 * draw.gamma * draw.exposure * light + noise).clip(0, 255).astype(np.uint8)

    def settings(self):
        return {"factor": 0.3}


class OfFloats(Kept):
    def dim(self, light, draw):
        return super().dim(light, draw) / 255


class Cropping(Kept):
    def dim(self, light, draw):
        return super().dim(light, draw)[:36]


class Changing(Kept):
    def dim(self, light, draw):
        if light.shape[0] == 37:
            light //= 2
        return super().dim(light, draw)


class Counting(Kept):
    count = itertools.count()

    def dim(self, light, draw):
        return super().dim(light, draw) + np.uint8(next(self.count) % 2)


class Forgetful(Kept):
    def __init__(self):
        self.offset = np.uint8(1)

    def __getstate__(self):
        return {"offset": np.uint8(0)}

    def dim(self, light, draw):
        return super().dim(light, draw) // 2 + self.offset


class OfMemory(Kept):
    def dim(self, light, draw):
        return super().dim(light.ravel("K").reshape(light.shape), draw)


class OfLargeImages(Kept):
    def dim(self, light, draw):
        dark = super().dim(light, draw)
        return dark if min(light.shape[:2]) > 1 else dark[:, :8]


class Darkening(Kept):
    def dim(self, light, draw):
        return super().dim(light, SimpleNamespace(**{**vars_of(draw), "gamma": 1 / draw.gamma}))


class Backwards(Darkening):
    gamma_range = (1.5, 0.5)


class FromZero(Kept):
    gamma_range = (0.0, 1.0)


class OfTuples(Kept):
    def settings(self):
        return {"factors": (0.3, 0.4)}


class Unswitched(Kept):
    parts = ("noise",)

    def switched_off(self, *parts):
        return self


class Stuck(Kept):
    parts = ("noise",)

    def switched_off(self, *parts):
        raise UsageError("it has none", "", code="usage")


class WithoutNoise(Kept):
    def dim(self, light, draw):
        return (0.3 * light).astype(np.uint8)


class OtherFrames(Kept):
    def dim_frame(self, light, draw, frame):
        return self.dim(light, draw.of_frame(frame + 1))


class SmallFrames(Kept):
    def dim_frame(self, light, draw, frame):
        return self.dim(light[frame:], draw)


class CountingFrames(Kept):
    count = itertools.count()

    def dim_frame(self, light, draw, frame):
        return self.dim(light, draw) + np.uint8(next(self.count) if frame else 0)


class OtherOnDevice(Kept):
    on_device = True

    def expose_tensors(self, lights, draws):
        return lights // 3


class Nameless(Kept):
    kind = ""


@dataclass(frozen=True)
class Formula(FormulaDimmer):
    strength: float = 0.3
    kind = "formula"

    def dim(self, light, draw):
        noise = np.random.default_rng(draw.noise_seed).normal(0, 3 * draw.tau, light.shape)
        return (self.strength * draw.gamma * light + noise).clip(0, 255).astype(np.uint8)


class WithoutEffect(Formula):
    strength = 0.1


class Undecorated(Formula):
    strength: float = 0.1


def vars_of(draw):
    return {name: getattr(draw, name) for name in ("gamma", "tau", "exposure", "noise_seed")}


def test_a_model_that_keeps_its_promises_passes():
    check_dimmer(Kept())
    check_dimmer(Formula(0.2))


class Noting(Kept):
    """Notes what it is asked for; its parts change its settings."""

    gamma_range, parts = (1.25, 1.25), ("noise", "level")
    asked: ClassVar[list] = []
    switched: ClassVar[list] = []

    def __init__(self, without=()):
        self.without = without

    def dim(self, light, draw):
        self.asked.append((light.shape, light.dtype, draw.gamma, draw.tau))
        return super().dim(light, draw)

    def switched_off(self, *parts):
        self.switched.append(parts)
        return Noting(parts)

    def settings(self):
        return {"without": list(self.without)}


def test_models_are_tried_with_images_of_many_sizes_with_each_part_and_at_both_ends_of_gamma():
    Noting.asked.clear()
    Noting.switched.clear()
    check_dimmer(Noting())
    assert {dtype for _, dtype, *_ in Noting.asked} == {np.dtype(np.uint8)}
    shapes = [shape for shape, *_ in Noting.asked]
    large, small = [(37, 51, 3)] * 7, [(1, 1, 3), (1, 9, 3), (9, 1, 3)]
    assert shapes == [*large, *small, *[(64, 64, 3)] * 2, *[(48, 48, 3)] * 3]
    assert Noting.asked[10][2:] == Noting.asked[11][2:] == (1.25, 0.0)
    assert Noting.switched == [("noise",), ("level",)]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (OfFloats, "dim gave float64"),
        (Cropping, r"dim gave uint8 \(36, 51, 3\)"),
        (Changing, "dim changed the light image"),
        (Counting, "the same image and draw gave other pixels"),
        (Forgetful, "a pickled copy gives other pixels"),
        (OfMemory, "another memory layout"),
        (OfLargeImages, r"an image \(1, 9, 3\) became \(1, 8, 3\)"),
        (Darkening, "gamma 1.5 is darker than 0.5"),
        (Backwards, r"gamma_range is \(1.5, 0.5\)"),
        (FromZero, r"gamma_range is \(0.0, 1.0\)"),
        (OfTuples, "JSON does not preserve the settings"),
        (Unswitched, "without noise the settings are the same"),
        (Stuck, "the part noise cannot be switched off: it has none"),
        (OtherFrames, "frame 0 of a clip is not the image"),
        (SmallFrames, r"a frame is uint8 \(34, 51, 3\)"),
        (CountingFrames, "the same frame came out differently"),
        (OtherOnDevice, "expose_tensors and develop give other pixels"),
        (Nameless, "Nameless has no kind"),
        (WithoutEffect, "strength = 0.1 has no effect without its type: strength: float"),
        (Undecorated, "Undecorated is not a dataclass: put @dataclass"),
        (WithoutNoise, "variants of one image are the same dark image"),
    ],
)
def test_a_broken_promise_is_named(model, said):
    with pytest.raises(AssertionError, match=said):
        check_dimmer(model())


def test_a_draw_that_is_not_repeatable_is_found(monkeypatch):
    numbers = itertools.count()
    monkeypatch.setattr(
        "dimmagen.dimmers.dimmer.ImageDimmer.draw",
        lambda self, *_, **__: SimpleNamespace(gamma=1.0, tau=1.0, exposure=1.0, noise_seed=next(numbers)),
    )
    with pytest.raises(AssertionError, match="a draw is not repeatable"):
        check_dimmer(Kept())
