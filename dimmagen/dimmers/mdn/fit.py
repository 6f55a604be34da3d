"""Fitting the MDN to pairs, with minibatches of pixels."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dimmagen.core.threads import one_thread
from dimmagen.dimmers.mdn.network import (
    MixtureDensityNetwork,
    PixelTable,
    held_out_likelihood,
    negative_log_likelihood,
)
from dimmagen.dimmers.real_pairs import RealPair

STEPS = 2000
BATCH = 2048  # pixels
LEARNING_RATE = 2e-3  # falls to 0 as a cosine
# Of the colour map's standard deviation; without it, the network memorises the 8-bit colours of a few pairs.
SIGMA_FLOOR = 0.01
# The dark illumination is about a tenth of the other inputs, so its initial weights are ten times larger.
DARK_INPUT_GAIN = 10.0
RECOLOURING = 0.3
CHECK_EVERY = 100  # steps
HELD_OUT_PAIRS_FROM = 4  # with that many pairs or more, whole pairs are held out; otherwise parts of each


@dataclass(frozen=True, slots=True)
class NetworkFit:
    """A fitted network and how it went.

    Attributes:
        network: the best one of all checks.
        curve: (step, held-out nats per pixel, seconds since the start) at every check.
        held_out: the pixels on which the nats were measured, in words.
    """

    network: MixtureDensityNetwork
    curve: list[tuple[int, float, float]]
    held_out: str

    @property
    def nats(self) -> float:
        """Held-out negative log-likelihood of the network, in nats per pixel."""
        return min(nats for _, nats, _ in self.curve)


def fit_network(
    pairs: Sequence[RealPair],
    seed: int = 0,
    progress: Callable[[float], None] = lambda done: None,
    steps: int = STEPS,
) -> NetworkFit:
    """Minimise Eq. 5 with Adam, and keep the network with the best held-out likelihood.

    Args:
        pairs: checked pairs.
        seed: random seed of initialisation, minibatches and dequantisation; the same seed gives the same
            network.
        progress: called with the completed fraction of the work, in [0, 1].
        steps: number of minibatches.
    """
    fitting, held, description = _hold_out(pairs, seed)
    generator = torch.Generator().manual_seed(seed)
    network = _initial(seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    curve: list[tuple[int, float, float]] = []
    best_nats, best = np.inf, network.tensors()
    began = time.perf_counter()
    # Threads split the sums over a minibatch; with one thread, every machine adds in the same order.
    with one_thread():
        for step in range(1, steps + 1):
            rows = torch.randint(len(fitting), (BATCH,), generator=generator)
            loss = negative_log_likelihood(network, *fitting.batch(rows, generator, RECOLOURING)).mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            if step % CHECK_EVERY == 0 or step == steps:
                nats = held_out_likelihood(network, held)
                curve.append((step, nats, time.perf_counter() - began))
                if nats < best_nats:
                    best_nats, best = nats, network.tensors()
            progress(step / steps)
    return NetworkFit(MixtureDensityNetwork.from_tensors(best, SIGMA_FLOOR), curve, description)


def _initial(seed: int) -> MixtureDensityNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = MixtureDensityNetwork(SIGMA_FLOOR)
    with torch.no_grad():
        dict(network.named_parameters())["hidden.0.weight"][:, -1] *= DARK_INPUT_GAIN
    return network


def _hold_out(pairs: Sequence[RealPair], seed: int) -> tuple[PixelTable, PixelTable, str]:
    """Pixels to fit, held-out pixels, and a description of the latter.

    A quarter of the pairs is held out, or the lowest eighth of each if there are few pairs. Pairs and rows
    that are black throughout have no colour, and do not count.
    """
    pairs = [pair for pair in pairs if len(_coloured_rows(pair))]
    if len(pairs) >= HELD_OUT_PAIRS_FROM:
        order = np.random.default_rng(seed).permutation(len(pairs))
        held = sorted(order[: max(1, len(pairs) // 4)])
        kept = [pair for index, pair in enumerate(pairs) if index not in held]
        names = [pairs[index].name for index in held]
        description = f"pairs {', '.join(names)}" if len(names) <= 8 else f"{len(names)} of the pairs"
        return PixelTable(kept), PixelTable([pairs[index] for index in held]), description
    tops, bottoms = zip(*map(_cut, pairs), strict=True)
    return PixelTable(tops), PixelTable(bottoms), "the lowest eighth of each picture"


def _cut(pair: RealPair) -> tuple[RealPair, RealPair]:
    rows = _coloured_rows(pair)
    row = rows[len(rows) * 7 // 8]
    parts = ((pair.dark[part], pair.light[part]) for part in (slice(row), slice(row, None)))
    top, bottom = (RealPair(pair.name, d, light, pair.dark_sha256, pair.light_sha256) for d, light in parts)
    return top, bottom


def _coloured_rows(pair: RealPair) -> np.ndarray:
    """Rows with a pixel that is black in neither image: int (N,)."""
    coloured = pair.dark.any(2) & pair.light.any(2)
    return np.flatnonzero(np.any(coloured, axis=1))
