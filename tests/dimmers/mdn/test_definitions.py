"""The parts of the paper's dimmer and of its fit, each by its definition on a few numbers."""

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import norm

from dimmagen.dimmers import noise
from dimmagen.dimmers.base import Draw
from dimmagen.dimmers.mdn import fit
from dimmagen.dimmers.mdn.definition import dim_plainly
from dimmagen.dimmers.mdn.fit import NetworkFit, fit_network
from dimmagen.dimmers.mdn.illumination import light_levels, repair_published
from dimmagen.dimmers.mdn.model import DeterministicModel, MdnFiles, MdnModel
from dimmagen.dimmers.mdn.network import (
    MixtureDensityNetwork,
    PixelTable,
    held_out_likelihood,
    negative_log_likelihood,
    pair_likelihood,
    recoloured,
    sample,
)
from dimmagen.dimmers.mdn.reference import ReferenceModel
from dimmagen.dimmers.profile import save_profile
from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.images import retinex
from tests.dimmers.mdn.networks import random_network
from tests.dimmers.mdn.pairs import a_pair

a_network = partial(random_network, gain=2.0)


# --- the network --------------------------------------------------------------------------------------


def mixtures_of(network: MixtureDensityNetwork, x: np.ndarray) -> tuple[np.ndarray, ...]:
    """Means, deviations and weights (N, 3, 4), in float64."""
    tensors = {name: value.astype(np.float64) for name, value in network.tensors().items()}
    h = x
    for layer in range(3):
        h = np.maximum(h @ tensors[f"hidden.{layer}.weight"].T + tensors[f"hidden.{layer}.bias"], 0)
    out = (h @ tensors["head.weight"].T + tensors["head.bias"]).reshape(-1, 3, 3, 4)
    weights = np.exp(out[:, 2]) / np.exp(out[:, 2]).sum(2, keepdims=True)
    return out[:, 0] + x[:, :3, None], np.log1p(np.exp(out[:, 1])) + network.sigma_floor, weights


def test_the_network_gives_the_mixtures_of_its_layers():
    network, x = a_network(), np.random.default_rng(0).random((20, 5))
    means, sigmas, log_weights = (one.detach().numpy() for one in network(torch.from_numpy(x).float()))
    expected = mixtures_of(network, x)
    assert means == pytest.approx(expected[0], abs=1e-5)
    assert sigmas == pytest.approx(expected[1], abs=1e-5)
    assert np.exp(log_weights) == pytest.approx(expected[2], abs=1e-5)
    again = MixtureDensityNetwork.from_tensors(network.tensors(), 0.01)
    assert torch.equal(again(torch.from_numpy(x).float())[0], network(torch.from_numpy(x).float())[0])
    assert (again.training, again.sigma_floor, again.head.weight.requires_grad) == (False, 0.01, False)
    assert {one.dtype for one in network.tensors().values()} == {np.dtype(np.float32)}
    assert MixtureDensityNetwork().sigma_floor == 0.0


def test_the_likelihood_sums_over_the_channels():
    network, x = a_network(), np.random.default_rng(0).random((20, 5))
    target = np.random.default_rng(1).random((20, 3))
    means, sigmas, weights = mixtures_of(network, x)
    expected = -np.log((weights * norm.pdf(target[:, :, None], means, sigmas)).sum(2)).sum(1)
    found = negative_log_likelihood(network, torch.from_numpy(x).float(), torch.from_numpy(target).float())
    assert found.detach().numpy() == pytest.approx(expected, rel=1e-4)


def test_colours_are_drawn_from_the_component_that_a_word_chooses():
    network, x = a_network(), np.random.default_rng(0).random((40, 5))
    words = np.random.default_rng(1).integers(0, 65536, (40, 8))
    words[0, :3], words[1, :3] = 0, 65535
    means, sigmas, weights = mixtures_of(network, x)
    found = sample(network(torch.from_numpy(x).float()), torch.from_numpy(words)).detach().numpy()
    for pixel in range(40):
        for channel in range(3):
            below = weights[pixel, channel].cumsum()[:3]
            chosen = int(((words[pixel, channel] + 0.5) / 65536 >= below).sum())
            normal = noise.NORMAL_QUANTILES[words[pixel, 3 + channel]]
            expected = means[pixel, channel, chosen] + sigmas[pixel, channel, chosen] * normal
            assert found[pixel, channel] == pytest.approx(expected, abs=1e-4)


def test_a_table_has_the_coloured_pixels_of_all_pairs_and_batches_of_any_of_them():
    pairs = [a_pair(0), a_pair(1)]
    pairs[0].light[0, 0], pairs[1].dark[2, 3] = 0, 0
    table = PixelTable(pairs)
    kept = [(pair.dark.any(2) & pair.light.any(2), pair) for pair in pairs]
    assert np.array_equal(table.light.numpy(), np.concatenate([pair.light[mask] for mask, pair in kept]))
    assert np.array_equal(table.dark.numpy(), np.concatenate([pair.dark[mask] for mask, pair in kept]))
    assert len(table) == sum(int(mask.sum()) for mask, _ in kept)
    rows = torch.tensor([5, 0, 7])
    x, target = table.batch(rows, torch.Generator().manual_seed(3))
    dithered = torch.rand((3, 3), generator=torch.Generator().manual_seed(3)) - 0.5
    colour, light = retinex.split(table.light[rows].float() / 255)
    dark_colour, dark = retinex.split((table.dark[rows].float() + dithered).abs() / 255)
    torch.testing.assert_close(x, torch.cat([colour, light, dark], 1))
    torch.testing.assert_close(target, dark_colour)
    generator, same = (torch.Generator().manual_seed(3) for _ in range(2))
    x, target = table.batch(rows, generator, 0.3)
    other_dark, other_light = recoloured(table.dark[rows].float(), table.light[rows].float(), 0.3, same)
    dithered = torch.rand((3, 3), generator=same) - 0.5
    torch.testing.assert_close(x[:, :3], retinex.split(other_light / 255)[0])
    torch.testing.assert_close(target, retinex.split((other_dark + dithered).abs() / 255)[0])


def test_half_of_the_pixels_get_another_colour_unless_it_clips_or_is_black():
    light = torch.tensor([[200.0, 150, 100], [250, 250, 250], [1, 0, 0], [30, 40, 50]]).repeat(200, 1)
    dark = torch.tensor([[40.0, 30, 20], [50, 50, 50], [1, 0, 0], [1, 0, 0]]).repeat(200, 1)
    found_dark, found_light = recoloured(dark, light, 0.5, torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(1)
    factor = torch.exp(0.5 * torch.randn(dark.shape, generator=generator))
    chosen = torch.rand(len(dark), generator=generator) < 0.5
    for row in range(len(dark)):
        one_dark, one_light = (dark[row] * factor[row]).round(), (light[row] * factor[row]).round()
        fits = one_light.max() <= 255 and one_light.sum() > 0 and one_dark.sum() > 0
        changed = bool(chosen[row]) and bool(fits)
        assert torch.equal(found_dark[row], one_dark if changed else dark[row])
        assert torch.equal(found_light[row], one_light if changed else light[row])


def test_the_held_out_likelihood_is_the_mean_over_pixels_in_any_number_of_parts():
    network, pair = a_network(), a_pair(size=(140, 130))  # more than one part of 16,384 pixels
    table, generator = PixelTable([pair]), torch.Generator().manual_seed(5)
    rows = torch.randperm(len(table), generator=generator)
    losses = [negative_log_likelihood(network, *table.batch(part, generator)) for part in rows.split(16384)]
    expected = float(torch.cat(losses).detach().mean())
    assert held_out_likelihood(network, table, 5) == pytest.approx(expected, abs=1e-6)
    assert held_out_likelihood(network, table) == held_out_likelihood(network, table, 0) != expected
    found = pair_likelihood(network.tensors(), 0.01, pair.light, pair.dark)
    assert found == pytest.approx(held_out_likelihood(network, table), abs=1e-6)


# --- the fit of the network ---------------------------------------------------------------------------


def test_the_lowest_eighth_of_few_pairs_and_a_quarter_of_many_are_held_out():
    fitting, held, words = fit._hold_out([a_pair(n) for n in range(3)], 0)
    assert (len(fitting), len(held), words) == (3 * 14 * 12, 3 * 2 * 12, "the lowest eighth of each picture")
    assert np.array_equal(held.light[:24].numpy(), a_pair(0).light[14:].reshape(-1, 3))
    assert np.array_equal(fitting.light[:168].numpy(), a_pair(0).light[:14].reshape(-1, 3))
    for count, number in ((4, 1), (7, 1), (8, 2)):
        pairs = [a_pair(n) for n in range(count)]
        fitting, held, words = fit._hold_out(pairs, 3)
        chosen = sorted(np.random.default_rng(3).permutation(count)[:number])
        assert words == "pairs " + ", ".join(f"p{index}" for index in chosen)
        assert np.array_equal(held.dark.numpy(), PixelTable([pairs[index] for index in chosen]).dark.numpy())
        assert len(fitting) == (count - number) * 192
    eight = [a_pair(n, (2, 2)) for n in range(35)]
    assert fit._hold_out(eight, 0)[2].startswith("pairs ")
    assert fit._hold_out([*eight, a_pair(99, (2, 2))], 0)[2] == "9 of the pairs"


def test_what_is_held_out_has_colours_where_the_lowest_part_or_whole_pairs_are_black():
    def blackened(number: int, rows: int) -> RealPair:
        pair = a_pair(number)
        dark = pair.dark.copy()
        dark[16 - rows :] = 0
        return replace(pair, dark=dark)

    fitting, held, words = fit._hold_out([blackened(0, 8), a_pair(1), blackened(2, 16)], 0)
    assert (len(fitting), len(held), words) == (
        (7 + 14) * 12,
        (1 + 2) * 12,
        "the lowest eighth of each picture",
    )
    pairs = [blackened(number, 16 * (number == 2)) for number in range(5)]
    for seed in range(5):  # whichever is drawn
        _, held, words = fit._hold_out(pairs, seed)
        assert len(held) == 192
        assert words != "pairs p2"


def test_parts_of_a_pair_have_its_name_and_hashes():
    pair = a_pair(3, (17, 12))
    top, bottom = fit._cut(pair)
    assert (len(top.dark), len(top.light), len(bottom.dark), len(bottom.light)) == (14, 14, 3, 3)
    for part in (top, bottom):
        assert (part.name, part.dark_sha256, part.light_sha256) == (
            pair.name,
            pair.dark_sha256,
            pair.light_sha256,
        )


def test_the_initial_network_weighs_the_dark_input_ten_times_and_leaves_torchs_generator_alone():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    found = fit._initial(7)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(7)
    plain = MixtureDensityNetwork(0.01)
    weight, expected = found.hidden[0].weight, plain.hidden[0].weight
    assert torch.equal(weight[:, :4], expected[:, :4])
    assert torch.equal(weight[:, 4], 10 * expected[:, 4])
    assert torch.equal(found.head.weight, plain.head.weight)
    assert found.sigma_floor == 0.01


def test_a_fit_is_checked_every_so_many_steps_and_at_the_end_and_keeps_the_best(monkeypatch):
    told, nats = [], iter([2.0, 1.0, 3.0])
    checked = []

    def held_out(network, table):
        checked.append(network.tensors())
        return next(nats)

    monkeypatch.setattr(fit, "held_out_likelihood", held_out)
    assert fit.CHECK_EVERY == 100
    monkeypatch.setattr(fit, "CHECK_EVERY", 4)
    monkeypatch.setattr(fit, "BATCH", 4)
    monkeypatch.setattr(fit, "time", SimpleNamespace(perf_counter=iter((5.0, 6.0, 8.0, 9.0)).__next__))
    found = fit_network([a_pair(0)], 3, told.append, steps=10)
    assert found.curve == [(4, 2.0, 1.0), (8, 1.0, 3.0), (10, 3.0, 4.0)]
    assert found.nats == 1.0
    assert told == pytest.approx(np.arange(1, 11) / 10)
    for name, tensor in found.network.tensors().items():
        assert np.array_equal(tensor, checked[1][name])
        assert not np.array_equal(tensor, checked[2][name])
    assert found.network.sigma_floor == 0.01
    assert found.held_out == "the lowest eighth of each picture"
    monkeypatch.undo()
    many = [a_pair(n, (4, 4)) for n in range(8)]
    assert fit_network(many, 5, steps=1).held_out == fit._hold_out(many, 5)[2]
    assert NetworkFit(found.network, [(1, 5.0, 0.1), (2, 4.0, 0.2)], "").nats == 4.0


def test_a_step_is_adams_with_a_falling_rate_and_limited_gradients(monkeypatch):
    """Two steps, made again with the parts that the paper and the module name."""
    monkeypatch.setattr(fit, "BATCH", 64)
    found = fit_network([a_pair(0)], 3, steps=2)
    fitting, held, _ = fit._hold_out([a_pair(0)], 3)
    generator, network = torch.Generator().manual_seed(3), fit._initial(3)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    for step in range(2):
        optimizer.param_groups[0]["lr"] = 2e-3 * (1 + np.cos(np.pi * step / 2)) / 2
        rows = torch.randint(len(fitting), (64,), generator=generator)
        loss = negative_log_likelihood(network, *fitting.batch(rows, generator, 0.3)).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    for name, tensor in found.network.tensors().items():
        assert tensor == pytest.approx(network.tensors()[name], abs=1e-6)
    assert found.nats == pytest.approx(held_out_likelihood(network, held), abs=1e-5)


# --- the models ---------------------------------------------------------------------------------------


def files_of(published: bool = False) -> MdnFiles:
    levels = np.arange(256, dtype=np.float32)
    return MdnFiles(
        a_network().tensors(),
        0.1 + levels / 2000,
        0.05 - levels / 10000,
        published,
        0.02,
        0.7,
        0.4,
        (0.5, 1.5),
    )


@pytest.mark.parametrize("kind", [MdnModel, DeterministicModel])
def test_darkness_and_its_deviation_follow_the_draw(kind):
    model, files = kind(files_of()), files_of()
    mean, std = model.phi(Draw(gamma=1.2, tau=0.5, exposure=0.8, noise_seed=1))
    assert mean == pytest.approx(1.2 * 0.8 * files.mean, rel=1e-6)
    assert std == pytest.approx(0.5 * files.std, rel=1e-6)
    assert (mean.dtype, std.dtype) == (np.float32, np.float32)
    assert (model.gamma_range, model.tau, model.exposure_spread, model.sigma_floor) == (
        (0.5, 1.5),
        0.7,
        0.4,
        0.02,
    )
    repaired = kind(files_of(published=True))
    assert np.array_equal(repaired.mean, repair_published(files.mean))
    assert np.array_equal(repaired.std, repair_published(files.std))
    assert not np.array_equal(repaired.mean, model.mean)


def test_images_are_dimmed_as_defined_however_they_lie_in_memory():
    light = np.random.default_rng(0).integers(0, 256, (11, 13, 3)).astype(np.uint8)
    light[0, 0], light[0, 1] = 0, 255
    drawn = Draw(1.3, 0.8, 0.9, 2**50 + 3)
    model = MdnModel(files_of())
    found = model.dim(light, drawn)
    assert (found.dtype, found.shape) == (np.uint8, light.shape)
    assert (found != dim_plainly(model, light, drawn)).mean() < 0.02
    assert np.array_equal(model.dim(np.asfortranarray(light), drawn), found)


def test_without_noise_an_image_has_the_mean_colour_and_the_mean_darkness():
    light = np.random.default_rng(0).integers(0, 256, (11, 13, 3)).astype(np.uint8)
    light[0, 0] = 0
    model, drawn = DeterministicModel(files_of()), Draw(1.3, 0.8, 0.9, 5)
    found = model.dim(light, drawn)
    colour, lit = retinex.split(light.reshape(-1, 3) / 255)
    dark = model.phi(drawn)[0][light_levels(light).ravel()].clip(0, 1)[:, None] * lit
    means, _, weights = mixtures_of(a_network(), np.column_stack([colour, lit, dark]))
    mean = (means * weights).sum(2).clip(0)
    total = mean.sum(1, keepdims=True)
    expected = 3 * dark * np.where(total > 0, mean / np.maximum(total, 1e-30), colour) * 255
    assert found.dtype == np.uint8
    assert np.abs(found.reshape(-1, 3) - expected.clip(0, 255)).max() < 0.52
    assert np.array_equal(model.dim(np.asfortranarray(light), drawn), found)


def test_published_statistics_are_stored_as_such(tmp_path):
    profile = save_profile(tmp_path / "mine", files_of(published=True).models(), "mdn", {})
    for kind in ("mdn", "deterministic"):
        assert np.array_equal(profile.model(kind).mean, repair_published(files_of().mean))


def test_the_reference_is_the_authors_transform_pixel_by_pixel(monkeypatch):
    monkeypatch.setattr("dimmagen.dimmers.mdn.reference.CHUNK", 50)
    light = np.random.default_rng(0).integers(0, 256, (9, 14, 3)).astype(np.uint8)
    light[0, 0], light[0, 1], light[0, 2] = 0, 255, (0, 200, 10)
    model, files = ReferenceModel(files_of()), files_of()
    for gamma, tau, exposure in ((1.0, 0.05, 1.0), (2.0, 1.0, 0.7), (9.0, 1.0, 1.0)):
        found = model.dim(light, Draw(gamma, tau, exposure, 2**40 + 3)).reshape(-1, 3).astype(int)
        image = light.reshape(-1, 3) / 255
        colour = image / (image.sum(1, keepdims=True) + 1e-4)
        lit = image[:, :1] / (3 * colour[:, :1] + 1e-4)
        words = noise.random_words(0, len(image), 2**40 + 3, 0)
        level = np.floor(lit[:, 0].astype(np.float32) * 255).astype(int)
        normal = noise.NORMAL_QUANTILES[words[:, 6]]
        phi = gamma * exposure * files.mean[level] + tau * files.std[level] * normal
        dark = phi.clip(0, 1)[:, None] * lit
        means, sigmas, weights = mixtures_of(a_network(floor=0.02), np.column_stack([colour, lit, dark]))
        drawn = np.empty_like(colour)
        for pixel, channel in np.ndindex(drawn.shape):
            below = weights[pixel, channel].cumsum()[:3]
            chosen = int(((words[pixel, channel] + 0.5) / 65536 >= below).sum())
            one = noise.NORMAL_QUANTILES[words[pixel, 3 + channel]]
            drawn[pixel, channel] = means[pixel, channel, chosen] + sigmas[pixel, channel, chosen] * one
        drawn = (drawn + max(gamma - 1.2, 0) * colour).clip(0)
        drawn /= drawn.sum(1, keepdims=True).clip(1e-8)
        exact = 3 * dark * drawn * 255
        near_step = (np.abs(exact - np.rint(exact)) < 2e-2) & (
            exact > 0
        )  # where a rounding of float32 decides
        assert np.array_equal(found[~near_step], (exact.astype(int) % 256)[~near_step])
        assert near_step.mean() < 0.3
    assert (exact > 256).any()  # some wrap around
    pair = a_pair()
    expected = pair_likelihood(files.network, 0.02, pair.light, pair.dark)
    assert model.negative_log_likelihood(pair.light, pair.dark) == pytest.approx(expected, abs=1e-6)
    assert MdnModel(files).negative_log_likelihood(pair.light, pair.dark) == pytest.approx(expected, abs=1e-6)
