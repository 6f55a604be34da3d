"""The loss: mean squared error and a frozen LPIPS."""

import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from skimage import data
from torch.nn import functional

from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.enhance.losses import EnhancementLoss
from dimmagen.images import codec
from dimmagen.metrics.lpips import LPIPS, load_lpips
from tests.made_weights import lpips_weights


def as_tensor(path):
    pixels = codec.decode_rgb8(path.read_bytes())[0]
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None] / 255


@pytest.mark.parametrize(("backbone", "published"), [("alex", 0.811164), ("vgg", 0.569921)])
def test_distance_is_that_of_the_lpips_package(shared_data, backbone, published):
    """The numbers are what lpips 0.1.4 gives: `LPIPS(net=backbone)(light, dark, normalize=True)`."""
    light, dark = (as_tensor(shared_data / "lol/dev15" / side / "482.png") for side in ("high", "low"))
    with torch.inference_mode():
        assert float(load_lpips(backbone, shared_data / "weights")(light, dark)) == pytest.approx(
            published, abs=2e-5
        )


def lpips_by_definition(weights, first, second):
    """Zhang et al., Equation 1, layer by layer, with the strides and paddings of torchvision's AlexNet."""
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])

    def features(image):
        x = (2 * image - 1 - shift[:, None, None]) / scale[:, None, None]
        for layer, stride, padding in ((0, 4, 2), (3, 1, 2), (6, 1, 1), (8, 1, 1), (10, 1, 1)):
            if layer in (3, 6):
                x = functional.max_pool2d(x, kernel_size=3, stride=2)
            names = (f"features.{layer}.{part}" for part in ("weight", "bias"))
            x = functional.relu(functional.conv2d(x, *map(weights.get, names), stride, padding))
            yield x / x.pow(2).sum(1, keepdim=True).sqrt()

    total = 0.0
    for index, (one, other) in enumerate(zip(features(first), features(second), strict=True)):
        head = weights[f"lin{index}.weight"].flatten()
        total += ((one - other).pow(2) * head[None, :, None, None]).sum(1).mean((1, 2))
    return total


def test_distance_is_that_of_its_definition():
    photos = (data.astronaut()[:96, 100:228], data.coffee()[:96, 100:228])
    first, second = (torch.from_numpy(photo.transpose(2, 0, 1).copy())[None] / 255 for photo in photos)
    expected = float(lpips_by_definition(lpips_weights(), first, second))
    assert expected > 0.1
    assert float(LPIPS("alex", lpips_weights())(first, second)) == pytest.approx(expected, rel=1e-4)


class Package:
    def __init__(self, error):
        self.error = error

    def LPIPS(self, **_):
        raise self.error


@pytest.mark.parametrize(
    "error", [RuntimeError("operator torchvision::nms does not exist"), OSError("Name or service not known")]
)
def test_a_package_that_fails_is_reported_with_both_alternatives(monkeypatch, error):
    monkeypatch.setitem(sys.modules, "lpips", Package(error))
    with pytest.raises(UsageError) as raised:
        load_lpips("vgg")
    for part in (str(error), "`lpips_weights`", '`perceptual="none"`'):
        assert part in str(raised.value)


def test_other_weights_have_another_hash(made_lpips):
    network, again = load_lpips("alex", made_lpips), load_lpips("alex", made_lpips)
    assert network.sha256() == again.sha256()
    with torch.no_grad():
        again.heads[2].weight[0, 5] += 1
    assert network.sha256() != again.sha256()


def test_equal_images_have_no_distance_and_a_finite_gradient(made_lpips):
    image = torch.zeros(1, 3, 64, 64, requires_grad=True)
    distance = load_lpips("alex", made_lpips)(image, torch.zeros(1, 3, 64, 64))
    distance.sum().backward()
    assert float(distance.detach()) == 0
    assert torch.isfinite(image.grad).all()


def test_the_extractor_is_never_trained(made_lpips):
    lpips = load_lpips("alex", made_lpips)
    loss = EnhancementLoss(lpips, 0.1).train()
    assert not lpips.training
    assert not any(parameter.requires_grad for parameter in loss.parameters())


def test_loss_is_the_squared_error_plus_the_weighted_distance(made_lpips):
    lpips = load_lpips("alex", made_lpips)
    output, target = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)
    value, parts = EnhancementLoss(lpips, 0.05)(output, target)
    error = float(((output - target) ** 2).mean())
    assert float(parts["mse"]) == pytest.approx(error, rel=1e-5)
    assert float(value) == pytest.approx(error + 0.05 * float(lpips(output, target).mean()), rel=1e-5)
    assert float(EnhancementLoss()(output, target)[0]) == pytest.approx(error, rel=1e-5)


def test_the_lpips_packages_weights_are_found_under_its_names(made_lpips, monkeypatch):
    """The package's names, as its 0.1.4 has them: `net.slice2.3.weight`, `lin0.model.1.weight`."""
    state = load_file(made_lpips / "lpips_alexnet.safetensors")
    slices = {0: 1, 3: 2, 6: 3, 8: 4, 10: 5}
    renamed = {"scaling_layer.shift": torch.zeros(1)}
    for name, tensor in state.items():
        kind, *rest = name.split(".")
        if kind == "features":
            renamed[f"net.slice{slices[int(rest[0])]}.{'.'.join(rest)}"] = tensor
        else:
            renamed[f"{kind}.model.1.weight"] = tensor
            renamed[f"lins.{kind[3]}.model.1.weight"] = tensor

    class Package:
        @staticmethod
        def LPIPS(net, verbose):
            network = torch.nn.Module()
            network.state_dict = lambda: renamed
            return network

    monkeypatch.setitem(sys.modules, "lpips", Package)
    first, second = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64)
    expected = load_lpips("alex", made_lpips)(first, second)
    assert torch.equal(load_lpips("alex")(first, second), expected)


def test_without_weights_the_error_names_every_alternative(monkeypatch):
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(UsageError, match=r"`lpips_weights`.*lpips and torchvision.*`perceptual=.none.`"):
        load_lpips("vgg")


def test_a_missing_file_and_weights_of_another_network_are_refused(tmp_path):
    with pytest.raises(UsageError, match="no LPIPS weights"):
        load_lpips("vgg", tmp_path / "absent.safetensors")
    save_file({"features.0.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(DimmagenError, match="not the weights of LPIPS with vgg"):
        load_lpips("vgg", tmp_path / "other.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"junk")
    with pytest.raises(DimmagenError, match="not a safetensors file"):
        load_lpips("vgg", tmp_path / "broken.safetensors")


def test_a_network_of_the_wrong_shape_is_refused():
    with pytest.raises(DimmagenError):
        LPIPS("alex", {"features.0.weight": torch.from_numpy(np.zeros((64, 3, 3, 3), np.float32))})
