"""Networks with random weights, for the tests of the mixture density network."""

import torch

from dimmagen.dimmers.mdn.network import MixtureDensityNetwork


def random_network(seed: int = 0, gain: float = 1.0, floor: float = 0.01) -> MixtureDensityNetwork:
    """A network whose initial weights are multiplied by a gain; torch's own random state stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = MixtureDensityNetwork(floor)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter *= gain
    return made
