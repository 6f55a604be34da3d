"""Triton's kernel in Triton's interpreter, which runs it on the CPU: the same pixels as the CPU's kernel."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from dimmagen.core.errors import UsageError
from dimmagen.dimmers.base import Draw
from dimmagen.dimmers.camera import batches
from dimmagen.dimmers.dimmer import ImageDimmer
from tests.cameras import camera, structured
from tests.triton_interpreter import INTERPRETED, run_interpreted, whole

triton = pytest.importorskip("triton")

interpreted = pytest.mark.skipif(not INTERPRETED, reason="runs in Triton's interpreter")
SEEDS = (1, 2**63 - 1, 0xFFFFFFFF00000000 >> 1)
MODELS = {
    "lol3": lambda: ImageDimmer.from_profile("lol3").model,
    "lol480": lambda: ImageDimmer.from_profile("lol480").model,
    "all parts, wide correlation": camera,
    "white": lambda: camera().switched_off("spatial"),
    "correlated, symmetric": lambda: camera().switched_off("skew", "toe"),
    "long filters, bands": structured,
    "long filters": lambda: structured().switched_off("banding"),
    "bands of near correlation": lambda: camera(banding=structured().banding),
    "highlights": lambda: camera(headroom=1.4, fine_chroma=0.4),
    "noise by luma": lambda: camera(noise_by_luma=True),
    "noise by luma, long filters": lambda: structured(noise_by_luma=True, headroom=1.4),
    "one factor": lambda: camera().switched_off("response", "tails"),
}
SIZES = ((1, 1), 1), ((17, 33), 3), ((2, 67), 1)
# Each variant of the kernels that is compiled, and each size.
FEW = {
    ("all parts, wide correlation", SIZES[1]),
    ("white", SIZES[2]),
    ("correlated, symmetric", SIZES[2]),
    ("long filters", SIZES[0]),
    ("noise by luma, long filters", SIZES[2]),
    ("one factor", SIZES[0]),
}


def marked(*values: object, few: bool):
    """A case of a test, and whether `make test` runs it."""
    return pytest.param(*values, marks=() if few else whole)


@pytest.mark.slow
@pytest.mark.skipif(INTERPRETED, reason="this is the other run")
def test_in_the_interpreter():
    run_interpreted(__file__)


def _batch(size: tuple[int, int], count: int) -> tuple[np.ndarray, list[Draw]]:
    lights = np.random.default_rng(1).integers(0, 256, (count, *size, 3), np.uint8)
    return lights, [Draw(1.7 - number / 2, 2.0, 0.8, SEEDS[number]) for number in range(count)]


def _same(dark: torch.Tensor, model, lights: np.ndarray, draws: list[Draw]) -> bool:
    expected = np.stack([model.expose(light, draw) for light, draw in zip(lights, draws, strict=True)])
    return np.array_equal(dark.permute(0, 2, 3, 1).numpy(), expected)


@interpreted
@pytest.mark.parametrize(
    ("name", "size", "count"),
    [marked(name, *size, few=(name, size) in FEW) for name in MODELS for size in SIZES],
)
def test_pixels(name, size, count):
    model = MODELS[name]()
    lights, draws = _batch(size, count)
    tensor = torch.from_numpy(lights).permute(0, 3, 1, 2)  # colours last in memory
    assert _same(model.expose_tensors(tensor, draws, "triton"), model, lights, draws)


@interpreted
def test_pixels_of_any_strides_and_of_long_strips():
    from dimmagen.dimmers.camera.fused import Fused
    from dimmagen.dimmers.camera.triton_kernel import LONG

    model = camera()
    lights, draws = _batch((18, 5), 2)
    wide = torch.zeros((2, 3, 18, 11), dtype=torch.uint8)
    wide[..., 1::2] = torch.from_numpy(lights).permute(0, 3, 1, 2)
    dark = Fused(model, wide.device).dim(model, wide[..., 1::2], draws, steps=LONG)
    assert _same(dark, model, lights, draws)


@interpreted
@pytest.mark.parametrize(
    "name",
    [
        marked(name, few=name in ("lol480", "noise by luma, long filters"))
        for name in MODELS
        if name != "one factor"
    ],
)
def test_tables(name):
    rows, doubts, expected = _tables(MODELS[name]())
    assert np.array_equal(rows[~doubts], expected[~doubts])
    assert doubts.sum() <= 1


def _tables(model) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of 8 draws as made by Triton, whether they are in doubt, and as made by numpy."""
    from dimmagen.dimmers.camera import fused, triton_tables

    dimmer = ImageDimmer(replace(model, balance_spread=(0.06, 0.03), noise_spread=0.05), "", "")
    draws = [dimmer.draw(str(number)) for number in range(8)]
    balance = np.stack([draw.balance for draw in draws])
    shifts = model.light_shifts(np.array([draw.gamma * draw.exposure for draw in draws]), balance)
    tau, seeds = np.array([draw.tau for draw in draws]), np.array([draw.noise_seed for draw in draws])
    numbers = torch.from_numpy(triton_tables.draw_numbers(shifts, tau, seeds))
    rows, doubts = triton_tables.make_rows(fused.Fused(model, torch.device("cpu")).numbers, numbers)
    return rows.numpy(), doubts.numpy().any(axis=1), np.stack([fused.row_of(model, draw) for draw in draws])


@interpreted
def test_a_table_that_rounding_errors_could_change_is_made_by_numpy(monkeypatch):
    from dimmagen.dimmers.camera import fused, triton_tables

    model = camera()
    monkeypatch.setattr(
        triton_tables, "_SIGMA_UNITS", triton.language.constexpr(256.001)
    )  # as if log were wrong
    rows, _, expected = _tables(model)
    assert not np.array_equal(rows, expected)
    monkeypatch.setattr(triton_tables, "_FACTOR_DOUBT", triton.language.constexpr(0.5))
    assert _tables(model)[1].all()
    _, draws = _batch((3, 3), 2)
    made = fused.Fused(model, torch.device("cpu")).rows(model, draws)
    assert np.array_equal(made.numpy(), np.stack([fused.row_of(model, draw) for draw in draws]))


@interpreted
@pytest.mark.parametrize(
    ("module", "constant", "value"),
    [
        ("triton_kernel", "_ROUNDING", 0),
        marked("triton_kernel", "_BEND_SHIFT", 12, few=False),
        marked("triton_tables", "_SIGMA_UNITS", 257.0, few=False),
    ],
)
def test_a_kernel_that_gives_other_pixels_is_seen_at_its_first_use_and_not_used(
    module, constant, value, monkeypatch, caplog
):
    from dimmagen.dimmers.camera import fused, triton_kernel, triton_tables

    modules = {"triton_kernel": triton_kernel, "triton_tables": triton_tables}
    model = camera().switched_off("spatial")
    lights, draws = _batch((3, 3), 2)
    tensor = torch.from_numpy(lights).permute(0, 3, 1, 2)
    monkeypatch.setattr(modules[module], constant, triton.language.constexpr(value))
    monkeypatch.setattr(fused, "_checked", set())
    monkeypatch.setattr(batches, "_REFUSED", {})
    with pytest.raises(UsageError, match="other pixels than torch") as refused:
        model.expose_tensors(tensor, draws, "triton")
    assert refused.value.code == "device"
    with caplog.at_level(logging.WARNING):
        assert batches._fused(model, tensor, draws, forced=False) is None
        assert batches._fused(model, tensor, draws, forced=False) is None
    assert caplog.text.count("other pixels than torch") == 1  # told once


@interpreted
def test_images_that_32_bits_cannot_address_are_left_to_torch():
    from dimmagen.dimmers.camera.triton_kernel import takes

    assert takes(torch.empty((2, 3, 9, 9), dtype=torch.uint8))
    assert takes(torch.empty((1, 3, 9, 9), dtype=torch.uint8).expand(2**40, 3, 9, 9))
    assert not takes(torch.empty((1,), dtype=torch.uint8).expand(1, 3, 2**15, 2**15))


@pytest.mark.skipif(INTERPRETED or torch.cuda.is_available(), reason="Triton runs here")
def test_on_a_cpu_triton_is_refused():
    lights, draws = _batch((2, 2), 1)
    with pytest.raises(UsageError, match=r'use `kernel="torch"`') as refused:
        camera().expose_tensors(torch.from_numpy(lights).permute(0, 3, 1, 2), draws, "triton")
    assert refused.value.code == "device"
