"""Fit a profile to pairs: the MDN, the illumination statistics, and the files that hold them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dimmagen.profiles.illumination import fit_illumination
from dimmagen.profiles.mdn import (
    MixtureDensityNetwork,
    PixelTable,
    held_out_likelihood,
    negative_log_likelihood,
)
from dimmagen.profiles.mdn_dimmer import NETWORK_FILE, STATISTICS_FILE
from dimmagen.profiles.pairs import Pair
from dimmagen.profiles.profile import ModelFiles

SIGMA_FLOOR = 0.01
BATCH = 2048  # pixels
STEPS = 3000
CHECK_EVERY = 250  # steps
HELD_OUT_PAIRS_FROM = 4  # that many pairs: hold out whole pairs, else pixels
GAMMA_RANGE = (0.3, 2.0)


@dataclass(frozen=True, slots=True)
class NetworkFit:
    """A fitted network and how it went: (step, held-out nats a pixel, seconds) at every check."""

    network: MixtureDensityNetwork
    curve: list[tuple[int, float, float]]
    held_out: str


def fit_network(
    pairs: Sequence[Pair],
    seed: int = 0,
    steps: int = STEPS,
    progress: Callable[[float], None] = lambda done: None,
) -> NetworkFit:
    """Minimise Eq. 5 over minibatches of pixels; keep the network that was best on what was held out.

    Args:
        pairs: checked pairs.
        seed: of initialisation, minibatches and dequantisation; the same seed gives the same network.
        steps: of Adam, learning rate 2e-3 falling to 0 as a cosine.
        progress: told the share of the work that is done.
    """
    fitting, held, description = _hold_out(pairs, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = MixtureDensityNetwork(SIGMA_FLOOR)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    started, curve, best = time.perf_counter(), [], (np.inf, network.tensors())
    for step in range(1, steps + 1):
        rows = torch.randint(len(fitting), (BATCH,), generator=generator)
        loss = negative_log_likelihood(network, *fitting.batch(rows, generator)).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % CHECK_EVERY == 0 or step == steps:
            likelihood = held_out_likelihood(network, held)
            curve.append((step, likelihood, time.perf_counter() - started))
            if likelihood < best[0]:
                best = likelihood, network.tensors()
        progress(step / steps)
    return NetworkFit(MixtureDensityNetwork.from_tensors(best[1], SIGMA_FLOOR), curve, description)


def mdn_files(pairs: Sequence[Pair], network: MixtureDensityNetwork) -> list[ModelFiles]:
    """What a profile holds of the kinds `mdn` and `deterministic`."""
    statistics = fit_illumination(pairs)
    files = {
        NETWORK_FILE: network.tensors(),
        STATISTICS_FILE: {"mean": statistics.mean, "std": statistics.std},
    }
    settings = {
        "published": False,
        "sigma_floor": network.sigma_floor,
        "gamma_low": GAMMA_RANGE[0],
        "gamma_high": GAMMA_RANGE[1],
        "tau": statistics.tau,
        "exposure_spread": round(statistics.exposure_spread, 6),
    }
    return [ModelFiles(kind, files, settings) for kind in ("mdn", "deterministic")]


def _hold_out(pairs: Sequence[Pair], seed: int) -> tuple[PixelTable, PixelTable, str]:
    """Pixels to fit and pixels to stop by: every fourth pair, or from few pairs the lowest eighth of each."""
    if len(pairs) >= HELD_OUT_PAIRS_FROM:
        order = np.random.default_rng(seed).permutation(len(pairs))
        count = max(1, len(pairs) // 4)
        held = sorted(order[:count])
        kept = [pair for index, pair in enumerate(pairs) if index not in set(held)]
        names = ", ".join(pairs[index].name for index in held)
        return PixelTable(kept), PixelTable([pairs[index] for index in held]), f"pairs {names}"
    tops, bottoms = zip(*(_cut(pair) for pair in pairs), strict=True)
    return PixelTable(tops), PixelTable(bottoms), "the lowest eighth of each picture"


def _cut(pair: Pair) -> tuple[Pair, Pair]:
    row = pair.dark.shape[0] * 7 // 8
    parts = ((pair.dark[part], pair.light[part]) for part in (slice(row), slice(row, None)))
    top, bottom = (Pair(pair.name, d, light, pair.dark_sha256, pair.light_sha256) for d, light in parts)
    return top, bottom
