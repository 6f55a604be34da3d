"""The network in its three sizes."""

import subprocess
import sys

import pytest
import torch

from dimmagen.core.errors import UsageError
from dimmagen.enhance.network import EnhancementNetwork, parameter_count


def random_compact():
    """A compact network without zero-initialised layers, so that every layer counts."""
    torch.manual_seed(0)
    network = EnhancementNetwork("compact")
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    return network.eval()


def test_output_is_the_dark_image_plus_a_sigmoid_clipped_at_white():
    network = EnhancementNetwork("compact")  # its head is zero except for the bias: sigmoid(0) = 1/2
    with torch.no_grad():
        network.unet.head.bias.zero_()
    inputs = torch.zeros(2, 10, 16, 24)
    inputs[:, 0], inputs[:, 1], inputs[:, 2] = 0.1, 0.3, 0.9
    light = network(inputs, torch.tensor([0, 500]))
    assert light.shape == (2, 3, 16, 24)
    torch.testing.assert_close(light.mean(dim=(0, 2, 3)), torch.tensor([0.6, 0.8, 1.0]))


def test_every_residual_block_depends_on_the_condition():
    network = random_compact()
    inputs = torch.rand(1, 10, 16, 16)
    blocks = [module for module in network.modules() if type(module).__name__ == "ConditionedBlock"]
    assert len(blocks) == 6
    for block in blocks:
        for other in blocks:
            torch.nn.init.zeros_(other.scale_and_shift.weight)
        torch.nn.init.normal_(block.scale_and_shift.weight)
        dim, bright = (network(inputs, torch.tensor([level])) for level in (100, 900))
        assert (dim - bright).abs().max() > 1e-4


def test_compact_has_fewer_than_three_million_parameters():
    assert parameter_count(EnhancementNetwork("compact")) < 3_000_000


@pytest.mark.parametrize(("model", "millions"), [("paper", 40.97), ("small", 12.1)])
def test_diffusers_networks_have_the_published_number_of_parameters(model, millions):
    pytest.importorskip("diffusers")
    with torch.device("meta"):
        network = EnhancementNetwork(model)
    assert parameter_count(network) / 1e6 == pytest.approx(millions, abs=0.05)


def test_small_gives_images_that_depend_on_the_condition():
    pytest.importorskip("diffusers")
    network = EnhancementNetwork("small").eval()
    with torch.inference_mode():
        dim, bright = (
            network(torch.full((1, 10, 16, 24), 0.2), torch.tensor([level])) for level in (100, 900)
        )
    assert dim.shape == (1, 3, 16, 24)
    assert not torch.equal(dim, bright)


def test_without_diffusers_compact_works_and_paper_says_how_to_install_it():
    program = (
        "import sys; sys.modules['diffusers'] = None\n"
        "from dimmagen.core.errors import UsageError\n"
        "from dimmagen.enhance.network import EnhancementNetwork\n"
        "EnhancementNetwork('compact')\n"
        "try: EnhancementNetwork('paper')\n"
        "except UsageError as error: print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "dimmagen[train]" in ran.stdout


def test_an_unknown_architecture_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="compact, small, paper"):
        EnhancementNetwork("huge")
