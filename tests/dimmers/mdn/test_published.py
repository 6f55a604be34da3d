"""The authors' published dimmers are read safely and reproduced."""

import pickle
import shutil

import numpy as np
import pytest
import torch
from scipy.stats import chi2
from simulated_camera import simulated_light

from dimmagen.core.errors import DimmagenError, MachineError, UsageError
from dimmagen.core.hashing import sha256
from dimmagen.dimmers.base import Draw
from dimmagen.dimmers.mdn import reference
from dimmagen.dimmers.mdn.model import MdnFiles, MdnModel
from dimmagen.dimmers.mdn.network import MixtureDensityNetwork
from dimmagen.dimmers.mdn.published import read_published
from dimmagen.images.codec import decode_rgb8

DIMMERS = ["3shot", "5shot", "8shot", "480shot", "fsd/6shot"]
DRAWS = 4
# For two histograms of one distribution, Pearson's two-sample statistic follows a chi-square distribution
# with one degree of freedom less than bins. In 36 comparisons (2 dimmers, 2 images, 3 gammas, 3 channels), a
# correct transform falls below this limit for one in 300 choices of the seeds; the seeds are fixed, and the
# minimum is 0.13.
LEAST_PROBABILITY = 1e-4
FEW = 200  # counts in both histograms: rarer bins are pooled


@pytest.fixture
def published(published_dimmer, tmp_path):
    """A copy of a synthetic dimmer that a test may damage."""
    return shutil.copytree(published_dimmer, tmp_path / "published")


def files_of(folder) -> MdnFiles:
    models, _ = read_published(folder)
    network, statistics = models[0].files["mdn.safetensors"], models[0].files["illumination.safetensors"]
    return MdnFiles(network, **statistics, published=True, sigma_floor=0.0, tau=0.05, exposure_spread=0.0)


@pytest.mark.parametrize("dimmer", DIMMERS)
def test_the_imported_network_reproduces_the_authors_numbers(shared_data, dimmer):
    folder = shared_data / "dimmers_reference" / dimmer
    golden = np.load(folder / "golden.npz")
    network = MixtureDensityNetwork.from_tensors(files_of(folder).network, 0.0)
    means, sigmas, log_weights = network(torch.from_numpy(golden["x"]))
    for channel, colour in enumerate(("red", "green", "blue")):
        assert np.abs(means[:, channel].numpy() - golden[f"{colour}_mu"]).max() < 1e-5
        assert np.abs(sigmas[:, channel].numpy() - golden[f"{colour}_sigma"]).max() < 1e-5
        assert np.abs(log_weights[:, channel].exp().numpy() - golden[f"{colour}_pi"]).max() < 1e-5


def mixtures_by_definition(state: dict, x: np.ndarray) -> dict[str, np.ndarray]:
    """The published layers as 1x1 convolutions, applied one by one in NumPy: (N, 3, 4) each.

    The light pixel's colour is added to mu; a softplus is applied to sigma, and a softmax to pi.
    """

    def layer(name, inputs):
        return inputs @ state[f"{name}.weight"].double().numpy()[:, :, 0, 0].T + state[f"{name}.bias"].numpy()

    hidden = x.astype(np.float64)
    for index in range(3):
        hidden = np.maximum(layer(f"backbone.{2 * index}", hidden), 0)
    heads = {
        head: np.stack([layer(f"{colour}_{head}", hidden) for colour in ("red", "green", "blue")], 1)
        for head in ("mu", "sigma.0", "pi.0")
    }
    weights = np.exp(heads["pi.0"])
    return {
        "mu": heads["mu"] + x[:, :3, None],
        "sigma": np.log1p(np.exp(heads["sigma.0"])),
        "pi": weights / weights.sum(2, keepdims=True),
    }


def test_an_imported_network_agrees_with_its_published_layers(published):
    state = torch.load(published / "mdn.pt", weights_only=True)
    x = np.random.default_rng(0).random((500, 5), np.float32)
    expected = mixtures_by_definition(state, x)
    network = MixtureDensityNetwork.from_tensors(files_of(published).network, 0.0)
    means, sigmas, log_weights = (value.numpy() for value in network(torch.from_numpy(x)))
    np.testing.assert_allclose(means, expected["mu"], atol=1e-5)
    np.testing.assert_allclose(sigmas, expected["sigma"], atol=1e-5)
    np.testing.assert_allclose(np.exp(log_weights), expected["pi"], atol=1e-5)


def reference_by_definition(folder, light: np.ndarray, gamma: float, seed: int) -> np.ndarray:
    """The transform as listed in docs/profiles.md, in NumPy with other random numbers: uint8 (N, 3)."""
    random = np.random.default_rng(seed)
    state = torch.load(folder / "mdn.pt", weights_only=True)
    image = light.reshape(-1, 3) / 255
    colour = image / (image.sum(1, keepdims=True) + 1e-4)
    illumination = image[:, 0] / (3 * colour[:, 0] + 1e-4)
    level = (255 * illumination).astype(int)
    mean, std = (np.load(folder / f"{name}.npy")[level] for name in ("mean", "std"))
    dark = illumination * np.clip(gamma * mean + 0.05 * std * random.standard_normal(len(image)), 0, 1)
    mixtures = mixtures_by_definition(state, np.column_stack([colour, illumination, dark]).astype(np.float32))
    below = mixtures["pi"].cumsum(2)[:, :, :-1]
    chosen = (random.random(colour.shape)[:, :, None] > below).sum(2)[:, :, None]
    mu, sigma = (np.take_along_axis(mixtures[name], chosen, 2)[:, :, 0] for name in ("mu", "sigma"))
    drawn = mu + sigma * random.standard_normal(colour.shape) + max(gamma - 1.2, 0) * colour
    drawn = np.clip(drawn, 0, None)
    drawn = drawn / np.clip(drawn.sum(1, keepdims=True), 1e-8, None)
    return ((3 * 255 * dark[:, None] * drawn).astype(np.int64) % 256).astype(np.uint8)


def least_probability_by_definition(folder, gamma: float, kind=reference.ReferenceModel) -> float:
    """Lowest of the three channels: one dark image of a model against one of the definition."""
    light = simulated_light(3, 200, 280)
    light[:40] = 255, 130, 1  # light level 128.67; some dark pixels exceed white
    light[40:80, :, 0] = 0  # the illumination, taken from the red channel, is 0
    dark = kind(files_of(folder)).dim(light, Draw(gamma, 0.05, 1.0, 1000)).reshape(-1, 3)
    defined = reference_by_definition(folder, light, gamma, seed=7)
    least = 1.0
    for channel in range(3):
        one, other = (
            np.bincount(image[:, channel], minlength=256).astype(float) for image in (dark, defined)
        )
        least = min(least, probability(one, other / other.sum()))
    return least


@pytest.fixture
def uneven(published):
    """The synthetic dimmer with a darkness that differs between even and odd levels, to reveal a wrong
    level."""
    np.save(published / "mean.npy", np.load(published / "mean.npy") + np.float32([0, 0.03] * 128))
    return published


@pytest.mark.parametrize("gamma", [0.3, 1.0, 2.0, 9.0])
def test_reference_mode_reproduces_the_histograms_of_its_definition(uneven, gamma):
    assert least_probability_by_definition(uneven, gamma) > LEAST_PROBABILITY


def test_those_histograms_reveal_an_omitted_step_and_the_default_transform(uneven, monkeypatch):
    assert least_probability_by_definition(uneven, 1.0, MdnModel) < 1e-12
    monkeypatch.setattr(reference, "BLEND_FROM", 3.0)
    assert least_probability_by_definition(uneven, 2.0) < 1e-12


def probability(counts: np.ndarray, golden: np.ndarray) -> float:
    """Probability of a larger Pearson statistic, for histograms of one distribution with equal totals."""
    expected = golden * counts.sum()
    rare = counts + expected <= FEW
    pairs = np.array([np.append(side[~rare], side[rare].sum()) for side in (counts, expected)])
    pairs = pairs[:, pairs.sum(0) > 0]
    statistic = ((pairs[0] - pairs[1]) ** 2 / pairs.sum(0)).sum()
    return float(chi2.sf(statistic, pairs.shape[1] - 1))


def least_probability(
    shared_data, dimmer: str, image: int, gamma: float, kind=reference.ReferenceModel
) -> float:
    """Lowest of the three channels: DRAWS dark images against the authors' histogram of the same number."""
    folder = shared_data / "dimmers_reference" / dimmer
    golden = np.load(folder / "golden.npz")
    light, _ = decode_rgb8((shared_data / "lol" / "dev15" / "high" / f"{image}.png").read_bytes())
    model = kind(files_of(folder))
    darks = [model.dim(light, Draw(gamma, 0.05, 1.0, 1000 + draw)) for draw in range(DRAWS)]
    least = 1.0
    for channel in range(3):
        counts = sum(np.bincount(dark[..., channel].ravel(), minlength=256) for dark in darks)
        histogram = golden[f"hist_{image}_g{gamma}"][channel]
        least = min(least, probability(np.asarray(counts, float), histogram))
    return least


@pytest.mark.parametrize("gamma", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("image", [97, 482])
@pytest.mark.parametrize("dimmer", ["3shot", "480shot"])
def test_reference_mode_reproduces_the_authors_histograms(shared_data, dimmer, image, gamma):
    assert least_probability(shared_data, dimmer, image, gamma) > LEAST_PROBABILITY


def test_the_histograms_reveal_an_omitted_step(shared_data, monkeypatch):
    monkeypatch.setattr(reference, "BLEND_FROM", 3.0)
    assert least_probability(shared_data, "3shot", 482, 2.0) < 1e-12


def test_the_histograms_distinguish_the_default_transform_from_the_reference(shared_data):
    assert least_probability(shared_data, "3shot", 482, 1.0, MdnModel) < 1e-12


def test_both_kinds_have_the_authors_settings_and_the_files_their_hashes(published):
    models, hashes = read_published(published)
    assert [model.kind for model in models] == ["mdn", "deterministic"]
    for model in models:
        settings = {"published": True, "sigma_floor": 0.0, "tau": 0.05, "exposure_spread": 0.0}
        assert model.settings == {**settings, "gamma_low": 0.3, "gamma_high": 2.0}
    names = ("mdn.pt", "mean.npy", "std.npy")
    assert hashes == {name: sha256((published / name).read_bytes()) for name in names}


def test_weights_are_loaded_as_such_whatever_the_default_of_torch_is(published, monkeypatch):
    load, asked = torch.load, []
    monkeypatch.setattr(torch, "load", lambda path, **options: asked.append(options) or load(path, **options))
    read_published(published)
    assert asked == [{"map_location": "cpu", "weights_only": True}]


@pytest.mark.parametrize(("module", "file"), [(torch, "mdn.pt"), (np, "mean.npy")])
def test_a_machine_in_trouble_is_not_taken_for_a_damaged_file(published, module, file, monkeypatch):
    def failing(*_, **__):
        raise MemoryError

    monkeypatch.setattr(module, "load", failing)
    with pytest.raises(MachineError, match=file):
        read_published(published)


@pytest.mark.parametrize("state", [[1.0, 2.0], {"red_mu.weight": torch.zeros(1)}, "names"])
def test_something_else_than_the_layers_of_a_dimmer_is_refused(published, state):
    if state == "names":
        state = torch.load(published / "mdn.pt", weights_only=True)
        state["extra"] = torch.zeros(1)
    torch.save(state, published / "mdn.pt")
    with pytest.raises(DimmagenError, match="is not the state dict of a dimmer") as error:
        read_published(published)
    assert (error.value.code, error.value.fields) == ("wrong-format", {"path": str(published / "mdn.pt")})


def test_several_arrays_in_place_of_one_are_refused(published):
    with open(published / "mean.npy", "wb") as file:
        np.savez(file, a=np.zeros(256))
    with pytest.raises(DimmagenError, match="holds NpzFile, not 256 floats"):
        read_published(published)


def test_statistics_of_another_length_are_refused(published):
    np.save(published / "mean.npy", np.zeros(255))
    with pytest.raises(DimmagenError, match=r"mean\.npy holds float64 \(255,\), not 256 floats"):
        read_published(published)


def test_statistics_with_nan_are_refused(published):
    np.save(published / "std.npy", np.full(256, np.nan))
    with pytest.raises(DimmagenError, match=r"std\.npy holds NaN"):
        read_published(published)


class Bomb:
    """An object that creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickle_in_place_of_an_array_is_not_executed(published):
    trap = published / "trap"
    np.save(published / "mean.npy", np.array([Bomb(trap)], dtype=object), allow_pickle=True)
    with pytest.raises(DimmagenError, match="pickles are refused"):
        read_published(published)
    assert not trap.exists()


def test_a_network_file_that_would_run_code_is_not_loaded(published):
    trap = published / "trap"
    torch.save({"backbone.0.weight": Bomb(trap)}, published / "mdn.pt")
    with pytest.raises(DimmagenError, match="could run code"):
        read_published(published)
    (published / "mdn.pt").write_bytes(pickle.dumps(Bomb(trap)))
    with pytest.raises(DimmagenError, match=r"mdn\.pt"):
        read_published(published)
    assert not trap.exists()


def test_a_network_of_another_shape_is_refused(published):
    state = torch.load(published / "mdn.pt", weights_only=True)
    state["red_mu.weight"] = state["red_mu.weight"][:2]
    torch.save(state, published / "mdn.pt")
    with pytest.raises(DimmagenError, match=r"mdn\.pt.*head\.weight"):
        read_published(published)


def test_a_network_with_nan_is_refused(published):
    state = torch.load(published / "mdn.pt", weights_only=True)
    state["backbone.2.bias"][3] = float("inf")
    torch.save(state, published / "mdn.pt")
    with pytest.raises(DimmagenError, match=r"hidden\.1\.bias holds NaN or infinity"):
        read_published(published)


def test_a_truncated_network_file_is_refused(published):
    data = (published / "mdn.pt").read_bytes()
    (published / "mdn.pt").write_bytes(data[: len(data) // 2])
    with pytest.raises(DimmagenError, match="is not a PyTorch state dict"):
        read_published(published)


def test_a_folder_without_statistics_is_refused(published):
    (published / "std.npy").unlink()
    with pytest.raises(UsageError, match=r"has no std\.npy"):
        read_published(published)
