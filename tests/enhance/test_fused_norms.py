"""A network whose norms were fused for a GPU computes the same on the processor, without Triton."""

import copy
import sys
import types

import pytest
import torch

from dimmagen.enhance import fused_norms

diffusers = pytest.importorskip("diffusers")


@pytest.fixture
def without_triton(monkeypatch):
    """As on any machine: the operation of the kernels is not there."""
    name = "dimmagen.enhance.triton_norm"
    monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setattr(fused_norms, "_INTERPRETED", False)


def a_unet():
    torch.manual_seed(0)
    options = {"down_block_types": ["DownBlock2D"] * 2, "up_block_types": ["UpBlock2D"] * 2}
    unet = diffusers.UNet2DModel(
        8, 3, 3, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, **options
    )
    for parameter in unet.parameters():
        if parameter.dim() == 1:
            torch.nn.init.normal_(parameter, 0.5, 0.3)
    return unet


def test_on_the_processor_the_blocks_compute_what_they_did_before(without_triton):
    plain = a_unet()
    fused = copy.deepcopy(plain)
    assert fused_norms.fuse_norms(fused)
    features, found = torch.rand(2, 3, 8, 8), []
    for unet in (plain, fused):
        output = unet(features, torch.tensor([10, 700])).sample
        output.square().mean().backward()
        found.append([output, *(parameter.grad for parameter in unet.parameters())])
    assert found[0][0].std() > 0.1
    for one, other in zip(*found, strict=True):
        assert (one - other).norm() <= 1e-4 * one.norm() + 1e-6  # some gradients are zero


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shifted", [False, True])
def test_the_result_is_computed_in_32_bits_and_has_the_type_of_the_features(dtype, shifted, without_triton):
    norm = torch.nn.GroupNorm(4, 8)
    torch.nn.init.normal_(norm.weight)
    features = torch.randn(2, 8, 5, 7).to(dtype)
    shift = torch.randn(2, 8) if shifted else None
    with torch.autocast("cpu", torch.bfloat16):
        result = fused_norms.GroupNormSiLU(norm)(features, shift)
    moved = features.double() + (shift.double()[:, :, None, None] if shifted else 0)
    expected = torch.nn.functional.silu(norm.double()(moved)).to(dtype)
    assert result.dtype == dtype
    exactness = 1e-5 if dtype is torch.float32 else 1e-2
    assert torch.allclose(result.float(), expected.float(), atol=1e-5, rtol=exactness)
