"""Our fit of the MDN against the paper's long schedule: held-out likelihood over time.

Both fit LOL's pairs 2, 5 and 6. The long schedule is the paper's: Adam 1e-3, 1000 epochs, one random 200x200
crop of each picture an epoch. Held out are the first three pairs of each other experiment of Table 4: other
scenes of the same camera. Writes docs/images/fit-schedule.png and prints a table.

    python -m benchmarks.fit_schedule --data FOLDER
"""

import argparse
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import torch
from matplotlib import pyplot

from dimmagen.dimmers.mdn import fit
from dimmagen.dimmers.mdn.network import (
    MixtureDensityNetwork,
    PixelTable,
    held_out_likelihood,
    negative_log_likelihood,
)
from dimmagen.dimmers.real_pairs import RealPair, load_pairs
from pipelines.build_profiles import recipes

ROOT = Path(__file__).resolve().parents[1]
Curve = list[tuple[float, float]]  # (seconds of fitting, held-out nats a pixel)


def long_schedule(pairs: list[RealPair], held: PixelTable, epochs: int, every: int) -> Curve:
    """The paper's schedule; masked and dequantised as ours, so that the likelihoods compare."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    network = MixtureDensityNetwork(fit.SIGMA_FLOOR)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    seconds, curve = 0.0, []
    for epoch in range(1, epochs + 1):
        began = time.perf_counter()
        crops = PixelTable([_crop(pair, generator) for pair in pairs])
        x, target = crops.batch(torch.arange(len(crops)), generator)
        loss = negative_log_likelihood(network, x, target).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seconds += time.perf_counter() - began
        if epoch % every == 0:
            curve.append((seconds, held_out_likelihood(network, held)))
    return curve


def minibatches(pairs: list[RealPair], held: PixelTable, seed: int) -> Curve:
    """`fit_network`, with its own checks replaced by the held-out pairs."""
    original = fit._hold_out
    fit._hold_out = lambda pairs, seed: (original(pairs, seed)[0], held, "other scenes")
    try:
        return [(seconds, nats) for _, nats, seconds in fit.fit_network(pairs, seed).curve]
    finally:
        fit._hold_out = original


def _crop(pair: RealPair, generator: torch.Generator, size: int = 200) -> RealPair:
    height, width, _ = pair.dark.shape
    top = int(torch.randint(height - size + 1, (), generator=generator))
    left = int(torch.randint(width - size + 1, (), generator=generator))
    part = (slice(top, top + size), slice(left, left + size))
    return RealPair(pair.name, pair.dark[part], pair.light[part], pair.dark_sha256, pair.light_sha256)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--epochs", type=int, default=1000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    lol = arguments.data / "lol"
    pairs = load_pairs(lol, recipes()["lol3"][1])
    others = [name for number in range(2, 6) for name in recipes()[f"lol3-e{number}"][1] or ()]
    held = PixelTable(load_pairs(lol, others))
    curves = {"minibatches of pixels": minibatches(pairs, held, seed=0)}
    curves["1000 epochs of crops"] = long_schedule(pairs, held, arguments.epochs, arguments.epochs // 25)
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    print("| schedule | seconds | held-out nats a pixel: best | last |\n|---|---|---|---|")
    for name, curve in curves.items():
        seconds, nats = zip(*curve, strict=True)
        axes.plot(seconds, nats, label=name)
        print(f"| {name} | {seconds[-1]:.0f} | {min(nats):.2f} | {nats[-1]:.2f} |")
    axes.set(xlabel="seconds of fitting, one thread", ylabel="held-out nats a pixel", ylim=(-5, 0))
    axes.set_xscale("log")
    axes.legend()
    figure.savefig(ROOT / "docs" / "images" / "fit-schedule.png", dpi=110)


if __name__ == "__main__":
    main()
