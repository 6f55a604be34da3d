"""The contract test of networks, and the registry, find what a half-written network lacks."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from dimmagen import check_network
from dimmagen.core.errors import DimmagenError
from dimmagen.enhance.inputs import CHANNELS
from dimmagen.enhance.network import ARCHITECTURES, Architecture, EnhancementNetwork


class Two(nn.Module):
    """Two convolutions."""

    def __init__(self, padding=1, channels=3):
        super().__init__()
        self.first = nn.Conv2d(CHANNELS, 8, 3, padding=padding)
        self.second = nn.Conv2d(8, channels, 3, padding=1)

    def forward(self, inputs, condition):
        return self.second((self.first(inputs) + condition[:, None, None, None] / 1000).relu())


class Unpadded(Two):
    def __init__(self):
        super().__init__(padding=0)


class Gray(Two):
    def __init__(self):
        super().__init__(channels=1)


class OfTuples(Two):
    def forward(self, inputs, condition):
        return (super().forward(inputs, condition),)


class Embedded(Two):
    def forward(self, inputs, condition):
        one_hot = nn.functional.one_hot(condition, 1000).sum()
        return super().forward(inputs, condition) + one_hot


class Whole(Two):
    def forward(self, inputs, condition):
        return super().forward(inputs, condition) + 10 * inputs[:, :3].mean((2, 3), keepdim=True)


class OfBatches(Two):
    def forward(self, inputs, condition):
        return super().forward(inputs, condition) + 10 * inputs[:, :3].mean(0, keepdim=True)


class Noisy(Two):
    def forward(self, inputs, condition):
        return super().forward(inputs, condition) + torch.rand(())


class Detached(Two):
    def forward(self, inputs, condition):
        return super().forward(inputs, condition).detach()


class Unsaved(Two):
    def __init__(self):
        super().__init__()
        self.level = torch.rand(())

    def forward(self, inputs, condition):
        return super().forward(inputs, condition) + self.level


def of(build, **changes):
    made = Architecture(build, 1, 2, 200, learning_rate=1e-3, finetuning_rate=1e-4)
    return replace(made, **changes)


@pytest.mark.parametrize("architecture", [of(Two), of(Two, multiple=4, margin=3), ARCHITECTURES["compact"]])
def test_a_network_that_keeps_its_promises_passes(architecture):
    state = torch.get_rng_state()
    check_network(architecture)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_network_that_sees_the_whole_image_passes_as_such():
    check_network(of(Whole), local=False)


@pytest.mark.parametrize(
    ("architecture", "said"),
    [
        (Two, "the class Two is not an Architecture"),
        (of(Two()), "build is not a function that makes a network"),
        (of(Two, multiple=0), "its multiple is 0, not a whole number from 1"),
        (of(Two, margin=2.5), "its margin is 2.5"),
        (of(Two, learning_rate=0), "its learning_rate is not above 0"),
        (of(Two, inputs_of="photo"), "its inputs_of is 'photo'"),
        (of(lambda: Two().forward), "gives method, not a module of torch"),
        (of(Unpadded, multiple=8), r"give \(2, 3, 6, 6\), not \(2, 3, 8, 8\)"),
        (of(Gray), r"give \(2, 1, 1, 1\), not \(2, 3, 1, 1\)"),
        (of(OfTuples), "give tuple, not a tensor"),
        (of(Embedded), "with the condition 1000 give RuntimeError"),
        (of(Noisy), "in eval mode the same inputs give another"),
        (of(OfBatches), "an image depends on others of its batch"),
        (of(Unsaved), r"something is not in state_dict\(\)"),
        (of(Two, margin=1), "inside its margin of 1 pixels: give a larger margin"),
        (of(Whole), "local=False"),
        (of(Detached), "the result has no gradient"),
    ],
)
def test_a_broken_promise_is_named(architecture, said):
    with pytest.raises(AssertionError, match=said):
        check_network(architecture)


@pytest.mark.parametrize(
    ("build", "said"),
    [(Gray, r"gives \(2, 1, 8, 8\), not a tensor of \(2, 3, 8, 8\)"), (OfTuples, "gives tuple")],
)
def test_a_result_of_another_shape_is_not_repeated_over_the_channels(build, said, monkeypatch):
    monkeypatch.setitem(ARCHITECTURES._loaded, "gray", of(build))
    with pytest.raises(DimmagenError, match=f"the architecture gray {said}") as caught:
        EnhancementNetwork("gray")(torch.rand(2, CHANNELS, 8, 8), torch.tensor([3, 4]))
    assert caught.value.code == "plugin-broken"


def test_a_class_alone_is_refused_by_the_registry(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES._loaded, "two", Two)
    with pytest.raises(DimmagenError, match="the architecture two cannot be used: the class Two is no"):
        EnhancementNetwork("two")
