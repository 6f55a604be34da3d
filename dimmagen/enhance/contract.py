"""The contract of a network, as a test that its author runs: `dimmagen.check_network(architecture)`."""

import torch
from torch import Tensor, nn

from dimmagen.core.promises import check
from dimmagen.enhance.inputs import CHANNELS, CONDITION_STEPS
from dimmagen.enhance.network import Architecture, architecture_faults

_TOLERANCE = 1e-3  # of residuals, whose sigmoid is rounded to 256 levels


def check_network(architecture: Architecture, local: bool = True) -> None:
    """Check that a network keeps the promises that training, checkpoints and tiles rely on.

    It gives a finite residual of the size of its inputs for every multiple of pixels and every condition; in
    eval mode the same each time, for each image of a batch on its own, and the same as a new network that
    loads its weights; a step of training reaches weights; and inside the margin of a tile the result is that
    of the whole image.

    Args:
        architecture: as registered, such as `TWO_CONVOLUTIONS`.
        local: False for a network that sees the whole image by design (attention, a norm over the image),
            whose tiles differ.

    Raises:
        AssertionError: a promise is broken; the message says which one and how.

    Example:
        >>> from dimmagen.enhance.network import ARCHITECTURES
        >>> check_network(ARCHITECTURES["compact"])
    """
    faults = list(architecture_faults("", architecture))
    check(not faults, "; ".join(faults))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = architecture.build()
        check(
            isinstance(network, nn.Module), f"build() gives {type(network).__name__}, not a module of torch"
        )
        with torch.no_grad():  # what is initially zero would hide everything behind it
            for parameter in network.parameters():
                parameter.add_(0.02 * torch.randn_like(parameter))
        _check_sizes(network.eval(), architecture.multiple)
        _check_repeatable(network, architecture)
        if local:
            _check_tiles(network, architecture)
        _check_step(network.train(), architecture.multiple)


def _check_sizes(network: nn.Module, multiple: int) -> None:
    for rows, columns in ((1, 1), (2, 1), (3, 4)):
        for level in (0, CONDITION_STEPS):
            inputs = torch.rand(2, CHANNELS, rows * multiple, columns * multiple)
            shown = f"inputs {tuple(inputs.shape)} with the condition {level}"
            try:
                residual = _residual(network, inputs, level)
            except Exception as error:
                raise AssertionError(f"{shown} give {type(error).__name__}: {error}") from error
            wanted = (2, 3, *inputs.shape[2:])
            check(isinstance(residual, Tensor), f"{shown} give {type(residual).__name__}, not a tensor")
            check(tuple(residual.shape) == wanted, f"{shown} give {tuple(residual.shape)}, not {wanted}")
            check(residual.is_floating_point(), f"{shown} give {residual.dtype}, not floats")
            check(bool(residual.isfinite().all()), f"{shown} give numbers that are not finite")


def _check_repeatable(network: nn.Module, architecture: Architecture) -> None:
    side = 4 * architecture.multiple
    inputs = torch.rand(2, CHANNELS, side, side)
    residual = _residual(network, inputs, 300)
    check(
        _same(_residual(network, inputs, 300), residual), "in eval mode the same inputs give another result"
    )
    check(_same(_residual(network, inputs[:1], 300), residual[:1]), "an image depends on others of its batch")
    other = architecture.build()
    other.load_state_dict(network.state_dict())
    check(
        _same(_residual(other.eval(), inputs, 300), residual),
        "a new network with the same weights gives another result: something is not in state_dict()",
    )


def _check_tiles(network: nn.Module, architecture: Architecture) -> None:
    margin, multiple = architecture.margin, architecture.multiple
    begin = -(-(margin + 1) // multiple) * multiple
    side = 3 * begin
    inputs = torch.rand(1, CHANNELS, side, side)
    whole = _residual(network, inputs, 300)
    tile = _residual(network, inputs[:, :, begin:, : 2 * begin], 300)
    inside = tile[:, :, margin:, : 2 * begin - margin]
    difference = (inside - whole[:, :, begin + margin :, : 2 * begin - margin]).abs().max().item()
    check(
        difference <= _TOLERANCE,
        f"a tile differs by {difference:.2g} from the whole image inside its margin of {margin} pixels: "
        "give a larger margin, or check_network(..., local=False) if the network sees the whole image",
    )


def _check_step(network: nn.Module, multiple: int) -> None:
    inputs = torch.rand(2, CHANNELS, 4 * multiple, 4 * multiple)
    residual = network(inputs, torch.full((2,), 300))
    check(residual.requires_grad, "no weight can be trained: the result has no gradient")
    residual.square().mean().backward()
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    check(all(bool(one.isfinite().all()) for one in gradients), "a gradient is not finite")
    check(any(bool(one.any()) for one in gradients), "all gradients are zero")


def _residual(network: nn.Module, inputs: Tensor, level: int) -> Tensor:
    with torch.no_grad():
        residual: Tensor = network(inputs, torch.full((len(inputs),), level))
    return residual


def _same(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-4, atol=_TOLERANCE)
