"""Batches: which kernel dims them, and that all give the same pixels."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import dimmagen
from dimmagen.core.errors import UsageError
from dimmagen.dimmers import camera as camera_package
from dimmagen.dimmers.base import Draw
from dimmagen.dimmers.camera import batches
from dimmagen.dimmers.camera.model import CameraModel
from dimmagen.dimmers.dimmer import ImageDimmer
from tests.cameras import camera, structured


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
    monkeypatch.setattr(batches, "TORCH_PIXELS", 1)
    assert torch.equal(camera().expose_tensors(lights, draws), whole)
    assert sizes == [2, 1, 1, 1, 1]


def test_a_batch_of_a_camera_with_structured_noise_is_that_of_its_images(batch):
    lights, draws = batch
    dark = structured().expose_tensors(lights, draws)
    for light, one, drawn in zip(lights, dark, draws, strict=True):
        expected = structured().expose(light.permute(1, 2, 0).numpy(), drawn)
        assert np.array_equal(one.permute(1, 2, 0).numpy(), expected)


def test_without_triton_its_kernel_is_refused_by_name_and_the_others_are_not(batch, monkeypatch):
    lights, draws = batch
    monkeypatch.setitem(sys.modules, "triton", None)
    for module in ("fused", "triton_kernel", "triton_structure", "triton_tables"):  # of an earlier test
        monkeypatch.delitem(sys.modules, f"{camera_package.__name__}.{module}", raising=False)
        monkeypatch.delattr(camera_package, module, raising=False)
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


class FakeFused:
    """In place of Triton's kernel: takes images of up to 9 columns, and dims them to 7."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault, self.checked = fault, 0

    @staticmethod
    def takes(lights):
        return lights.shape[3] <= 9

    def check(self, camera, lights, draws):
        assert (type(camera), type(lights), len(draws)) == (CameraModel, torch.Tensor, 3)
        self.checked += 1
        if self.fault:
            raise self.fault

    def dim(self, camera, lights, draws):
        assert (type(camera), len(draws)) == (CameraModel, 3)
        return torch.full_like(lights, 7)


@pytest.fixture
def fused(monkeypatch):
    """Puts such a kernel in Triton's place."""
    monkeypatch.setattr(batches, "_REFUSED", {})

    def install(made):
        def fused_for(camera, device):
            assert (type(camera), device) == (CameraModel, torch.device("cpu"))
            return made

        module = SimpleNamespace(Fused=FakeFused, fused_for=fused_for)
        monkeypatch.setitem(sys.modules, "dimmagen.dimmers.camera.fused", module)
        return made

    return install


def test_a_kernel_that_runs_dims_the_batch(batch, fused):
    made = fused(FakeFused())
    assert (camera().expose_tensors(*batch, "triton") == 7).all()
    assert made.checked == 1
    assert batches._fused(camera(), *batch, forced=False) is made
    by_torch = camera().expose_tensors(*batch, "torch")
    assert not (by_torch == 7).all()
    assert torch.equal(camera().expose_tensors(*batch), by_torch)  # on the CPU
    assert made.checked == 2
    assert camera().expose_tensors(batch[0][:, :, :0], batch[1], "triton").shape == (3, 3, 0, 9)
    assert made.checked == 2


def test_a_kernel_that_fails_is_left_out_from_then_on_with_one_warning(batch, fused, caplog):
    made = fused(FakeFused(ArithmeticError("it gives other pixels")))
    for _ in range(2):
        assert batches._fused(camera(), *batch, forced=False) is None
    assert made.checked == 1
    [warning] = caplog.messages
    assert warning.startswith(
        "Triton's kernel does not run here (it gives other pixels); images are dimmed by"
    )
    assert list(batches._REFUSED) == [("cpu", True, False, False)]
    with pytest.raises(UsageError, match="does not run here") as refused:
        camera().expose_tensors(*batch, "triton")
    assert (refused.value.code, refused.value.fields) == ("device", {"parameter": "kernel"})
    assert made.checked == 2
    others = camera(spatial=np.zeros(2)), structured(), camera(noise_by_luma=True)
    for other in others:  # other kinds of camera are compiled anew
        assert batches._fused(other, *batch, forced=False) is None
    kinds = {(True, False, False), (False, False, False), (False, False, True), (True, True, False)}
    assert set(batches._REFUSED) == {("cpu", *kind) for kind in kinds}


def test_images_that_are_too_large_for_the_kernel_are_no_reason_to_leave_it_out(batch, fused, caplog):
    made, wide = fused(FakeFused()), torch.cat([batch[0]] * 2, 3)
    assert batches._fused(camera(), wide, batch[1], forced=False) is None
    assert "larger than the kernel's 32-bit offsets" in caplog.text
    assert not batches._REFUSED
    with pytest.raises(UsageError, match="32-bit offsets"):
        camera().expose_tensors(wide, batch[1], "triton")
    assert batches._fused(camera(), *batch, forced=False) is made


def test_triton_that_is_missing_is_no_warning_and_one_that_is_broken_is(batch, fused, monkeypatch, caplog):
    fused(None)
    monkeypatch.setitem(sys.modules, "dimmagen.dimmers.camera.fused", None)
    assert batches._fused(camera(), *batch, forced=False) is None
    assert not caplog.messages
    assert "not installed" in batches._REFUSED["cpu", True, False, False]
    batches._REFUSED.clear()

    class Broken:
        def __getattr__(self, name):
            raise RuntimeError("no driver")

    monkeypatch.setitem(sys.modules, "dimmagen.dimmers.camera.fused", Broken())
    assert batches._fused(camera(), *batch, forced=False) is None
    assert "Triton fails (no driver)" in caplog.text
    assert list(batches._REFUSED) == [("cpu", True, False, False)]
    with pytest.raises(UsageError, match="no driver") as refused:
        camera().expose_tensors(*batch, "triton")
    assert refused.value.code == "device"


def test_fine_chroma_is_taken_from_parts_of_a_batch_too(batch, monkeypatch):
    lights, draws = batch
    model, plain = camera(fine_chroma=0.3), camera()
    filtered = batches.suppress_fine_chroma_of_tensors(lights, 0.3)
    sizes, suppress = [], batches.suppress_fine_chroma_of_tensors
    monkeypatch.setattr(batches, "TORCH_PIXELS", 2 * 6 * 9)
    monkeypatch.setattr(
        batches,
        "suppress_fine_chroma_of_tensors",
        lambda part, share: sizes.append((len(part), share)) or suppress(part, share),
    )
    assert torch.equal(model.expose_tensors(lights, draws), plain.expose_tensors(filtered, draws))
    assert sizes == [(2, 0.3), (1, 0.3)]
    assert batches._filtered(lights, 1.0) is lights
    assert batches._filtered(lights[:0], 0.3).shape == (0, 3, 6, 9)
    monkeypatch.setattr(batches, "TORCH_PIXELS", 1)  # an image at a time, however large
    assert torch.equal(model.expose_tensors(lights, draws), plain.expose_tensors(filtered, draws))
    assert sizes[2:] == [(1, 0.3)] * 3
