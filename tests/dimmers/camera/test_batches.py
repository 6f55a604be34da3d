"""Batches: which kernel dims them, and that all give the same pixels."""

import sys

import numpy as np
import pytest
import torch

import dimmagen
from dimmagen.core.errors import UsageError
from dimmagen.dimmers.base import Draw
from dimmagen.dimmers.camera import batches
from dimmagen.dimmers.dimmer import ImageDimmer
from tests.cameras import camera


@pytest.fixture
def batch() -> tuple[torch.Tensor, list[Draw]]:
    lights = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 3, 6, 9), np.uint8))
    dimmer = ImageDimmer(camera(), "", "")
    return lights, [dimmer.draw(str(number)) for number in range(3)]


def test_a_batch_that_is_large_for_torchs_kernel_is_dimmed_in_parts(batch, monkeypatch):
    lights, draws = batch
    whole = camera().expose_tensors(lights, draws)
    sizes = []
    dim_images = batches.torch_kernel.dim_images
    monkeypatch.setattr(
        batches.torch_kernel,
        "dim_images",
        lambda a, part, *rest: sizes.append(len(part)) or dim_images(a, part, *rest),
    )
    monkeypatch.setattr(batches, "TORCH_PIXELS", 2 * 6 * 9 + 1)
    assert torch.equal(camera().expose_tensors(lights, draws), whole)
    assert sizes == [2, 1]


def test_without_triton_its_kernel_is_refused_by_name_and_the_others_are_not(batch, monkeypatch):
    lights, draws = batch
    monkeypatch.setitem(sys.modules, "triton", None)
    for module in ("fused", "triton_kernel", "triton_tables"):
        monkeypatch.delitem(sys.modules, f"dimmagen.dimmers.camera.{module}", raising=False)
    with pytest.raises(UsageError, match=r"pip install 'dimmagen\[triton\]'") as refused:
        camera().expose_tensors(lights, draws, "triton")
    assert refused.value.code == "missing-package"
    auto, by_torch = (camera().expose_tensors(lights, draws, kernel) for kernel in ("auto", "torch"))
    assert torch.equal(auto, by_torch)


def test_a_kernel_that_does_not_exist_is_refused(batch):
    with pytest.raises(UsageError, match="there is no kernel 'cuda'") as refused:
        camera().expose_tensors(*batch, "cuda")
    assert refused.value.code == "unknown-name"


def test_the_dimmer_of_a_training_loop_passes_its_kernel_on(monkeypatch):
    online = dimmagen.Dimmer.from_profile("lol3", kernel="cuda")
    with pytest.raises(UsageError, match="there is no kernel 'cuda'"):
        online(torch.zeros((1, 3, 4, 4), dtype=torch.uint8))
    by_torch = dimmagen.Dimmer.from_profile("lol3", kernel="torch")
    light = torch.full((1, 3, 4, 4), 200, dtype=torch.uint8)
    draws = by_torch.draws(["a"])
    assert torch.equal(by_torch(light, draws), dimmagen.Dimmer.from_profile("lol3")(light, draws))
