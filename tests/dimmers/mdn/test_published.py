"""The authors' published dimmers are read safely and reproduced."""

import pickle
import shutil

import numpy as np
import pytest
import torch
from scipy.stats import chi2

from dimmagen.core.errors import DimmagenError, UsageError
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
def published(shared_data, tmp_path):
    """A copy of the 3-pair dimmer that a test may damage."""
    for name in ("mdn.pt", "mean.npy", "std.npy"):
        shutil.copy(shared_data / "dimmers_reference" / "3shot" / name, tmp_path / name)
    return tmp_path


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
    with pytest.raises(DimmagenError, match=r"head\.weight"):
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
