"""Fixtures of the tests of enhancing."""

import pytest
import torch

from dimmagen.enhance.network import EnhancementNetwork


@pytest.fixture(scope="session")
def network():
    """A compact network without a zero layer, so that its whole receptive field counts."""
    torch.manual_seed(1)
    network = EnhancementNetwork("compact")
    for parameter in network.parameters():
        if parameter.dim() > 1:
            torch.nn.init.kaiming_normal_(parameter, nonlinearity="linear")
    return network.eval()
