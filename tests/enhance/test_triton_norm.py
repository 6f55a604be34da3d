"""Triton's norms give what torch's do: on a GPU where there is one, otherwise in Triton's interpreter."""

import copy

import pytest
import torch
from torch.nn import functional

from dimmagen.enhance import fused_norms
from tests.triton_interpreter import INTERPRETED, run_interpreted, whole

triton = pytest.importorskip("triton")

ON_GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if ON_GPU else "cpu")
runs = pytest.mark.skipif(not (INTERPRETED or ON_GPU), reason="runs in Triton's interpreter")


@pytest.mark.slow
@pytest.mark.skipif(INTERPRETED or ON_GPU, reason="this is the other run")
def test_in_the_interpreter():
    run_interpreted(__file__)


def both(size, groups, shifted, dtype=torch.float32, mean=0.0, channels_last=True):
    """(result, gradients) of Triton's norm, and of torch's in 64 bits."""
    from dimmagen.enhance.triton_norm import group_norm_silu

    draws = torch.Generator().manual_seed(0)
    features, upper = (torch.randn(size, generator=draws).to(DEVICE, dtype) for _ in range(2))
    features = 2 * features + mean
    if channels_last:
        features = features.to(memory_format=torch.channels_last)
    shift = torch.randn(size[:2], generator=draws).to(DEVICE)
    weight, bias = (torch.randn(size[1], generator=draws).to(DEVICE) for _ in range(2))
    given = [features, weight, bias, *([shift] if shifted else [])]
    ours = [tensor.clone().requires_grad_() for tensor in given]
    result, *_ = group_norm_silu(ours[0], ours[3] if shifted else None, ours[1], ours[2], groups, 1e-5)
    found = [result, *torch.autograd.grad(result, ours, upper)]
    exact = [tensor.double().requires_grad_() for tensor in given]
    moved = exact[0] + exact[3][:, :, None, None] if shifted else exact[0]
    expected = functional.silu(functional.group_norm(moved, groups, exact[1], exact[2], 1e-5))
    return found, [expected, *torch.autograd.grad(expected, exact, upper.double())]


def errors(found, expected):
    return [
        ((one.double() - other).norm() / other.norm()).item()
        for one, other in zip(found, expected, strict=True)
    ]


@runs
@pytest.mark.parametrize(
    ("size", "groups", "shifted"),
    [
        ((2, 64, 9, 7), 4, False),
        ((2, 96, 12, 11), 4, True),  # channels that do not fill a program
        ((1, 640, 5, 4), 32, True),  # groups of 20
        ((3, 24, 1, 1), 8, True),
        ((1, 64, 46, 47), 8, True),  # more parts of an image than are read at once
        pytest.param((1, 64, 70, 71), 32, True, marks=whole),
    ],
)
def test_the_result_and_its_gradients_are_those_of_torch(size, groups, shifted):
    assert max(errors(*both(size, groups, shifted))) < 2e-6


@runs
def test_features_far_from_zero_lose_no_more_than_their_own_rounding():
    assert max(errors(*both((2, 64, 20, 30), 8, True, mean=100.0))) < 1e-4


@runs
def test_bfloat16_is_rounded_once():
    found, expected = both((2, 64, 20, 13), 8, True, torch.bfloat16)
    assert [tensor.dtype for tensor in found] == [torch.bfloat16] * 2 + [torch.float32] * 3
    of_features, of_parameters = errors(found, expected)[:2], errors(found, expected)[2:]
    assert max(of_features) < 4e-3
    assert max(of_parameters) < 2e-6


@runs
def test_features_with_the_channels_first_are_taken_too():
    found, expected = both((2, 64, 9, 7), 8, True, channels_last=False)
    assert found[0].is_contiguous(memory_format=torch.channels_last)
    assert max(errors(found, expected)) < 2e-6


@runs
def test_torch_takes_it_as_an_operation_of_its_own():
    from dimmagen.enhance.triton_norm import group_norm_silu

    draws = torch.Generator().manual_seed(0)
    features = torch.randn((2, 64, 5, 3), generator=draws).to(DEVICE, memory_format=torch.channels_last)
    weight, bias = (torch.randn(64, generator=draws).to(DEVICE) for _ in range(2))
    given = [tensor.requires_grad_() for tensor in (features, torch.randn(2, 64).to(DEVICE), weight, bias)]
    torch.library.opcheck(group_norm_silu, (*given, 4, 1e-5))
    torch.library.opcheck(group_norm_silu, (given[0], None, *given[2:], 4, 1e-5))


@runs
@whole  # the interpreter has one order only
def test_the_same_bits_each_time():
    once, again = (both((2, 64, 70, 71), 32, True)[0] for _ in range(2))
    assert all(map(torch.equal, once, again))


@runs
def test_the_kernels_are_found_to_agree_with_torch(monkeypatch):
    assert fused_norms._agrees(DEVICE)
    monkeypatch.setattr(functional, "silu", functional.relu)
    assert not fused_norms._agrees(DEVICE)


def plain_and_fused(groups):
    """The same network twice, whose norms have so many groups."""
    from dimmagen.enhance.network import EnhancementNetwork

    pytest.importorskip("diffusers")
    torch.manual_seed(0)
    plain = EnhancementNetwork("small").to(DEVICE).train()
    for norm in plain.modules():
        if isinstance(norm, torch.nn.GroupNorm):
            norm.num_groups = groups
    for parameter in plain.parameters():
        if parameter.dim() == 1:
            torch.nn.init.normal_(parameter, 0.5, 0.3)
    fused = copy.deepcopy(plain)
    assert fused_norms.fuse_norms(fused.unet)
    return plain, fused


@runs
@pytest.mark.parametrize("groups", [2, pytest.param(32, marks=whole)])
def test_a_fused_network_computes_the_same_and_keeps_its_names(groups):
    plain, fused = plain_and_fused(groups)
    assert not fused_norms.fuse_norms(fused.unet)
    assert [name for name, _ in fused.named_parameters()] == [name for name, _ in plain.named_parameters()]
    inputs, condition = torch.rand(1, 10, 16, 16, device=DEVICE), torch.tensor([300], device=DEVICE)
    found = []
    for network in (plain, fused):
        output = network(inputs, condition)
        (output - 0.5).square().mean().backward()
        found.append([output, *(parameter.grad for parameter in network.parameters())])
    for one, other in zip(*found, strict=True):
        assert (one - other).norm() <= 1e-3 * one.norm() + 1e-9  # some are zero
