"""The MDN dimmer against its arithmetic: uint8 light to uint8 dark, 512x512, draws included, one thread.

The floor is 3,360 multiply-adds a pixel at the float32 matrix-product peak of the same thread, measured
between the variants' runs, so that a busy machine slows both sides of each ratio alike.

    python -m benchmarks.mdn_kernel [--json FILE]
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable

os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})

import numpy as np
import torch
from skimage import data
from torch.nn import functional

from dimmagen.core.environment import environment
from dimmagen.dimmers import noise
from dimmagen.dimmers.base import Draw
from dimmagen.dimmers.mdn.definition import dim_plainly
from dimmagen.dimmers.mdn.model import MdnModel
from dimmagen.dimmers.mdn.network import MixtureDensityNetwork
from dimmagen.dimmers.mdn.reference import ReferenceModel
from dimmagen.dimmers.profile import open_profile

MULTIPLY_ADDS = 3360
DRAW = Draw(gamma=1.0, tau=0.7, exposure=1.0, noise_seed=1)


def floor_seconds(pixels: int, size: int = 1024) -> float:
    """Time of `pixels` times 3,360 multiply-adds at the speed of one large matrix product."""
    a = torch.ones(size, size)
    began = time.perf_counter()
    torch.mm(a, a)
    return (time.perf_counter() - began) / size**3 * MULTIPLY_ADDS * pixels


def dim_in_chunks(model: MdnModel, light: np.ndarray, draw: Draw, chunk: int = 16384) -> np.ndarray:
    """Torch, channels first, chunks of 16k pixels, one product for all heads, chosen by cumulated weights."""
    names = ("hidden.0", "hidden.1", "hidden.2", "head")
    layers = [[torch.from_numpy(model.network[f"{n}.{part}"]) for part in ("weight", "bias")] for n in names]
    quantiles = torch.from_numpy(noise.NORMAL_QUANTILES)
    phi_mean, phi_std = map(torch.from_numpy, model.phi(draw))
    pixels = torch.from_numpy(light.reshape(-1, 3)).T.contiguous()
    out = torch.empty_like(pixels)
    for first in range(0, pixels.shape[1], chunk):
        part = pixels[:, first : first + chunk].float()
        words = noise.random_words(first, part.shape[1], draw.noise_seed, 0).T.astype(np.int64)
        drawn = torch.from_numpy(words)
        total = part.sum(0)
        level = torch.div(total + 1, 3, rounding_mode="floor").long()
        phi = (phi_mean[level] + phi_std[level] * quantiles[drawn[6]]).clamp_(0, 1)
        colour = part / total.clamp(min=1)
        x = torch.cat([colour, total[None] / 765, (phi * total / 765)[None]])
        h = x
        for weight, bias in layers[:-1]:
            h = torch.addmm(bias[:, None], weight, h).relu_()
        means, raw, logits = torch.addmm(layers[-1][1][:, None], layers[-1][0], h).view(3, 3, 4, -1)
        below = functional.softmax(logits, 1).cumsum(1)[:, :-1]
        chosen = (((drawn[:3] + 0.5) / 65536)[:, None] >= below).sum(1, keepdim=True)
        sigma = functional.softplus(raw.gather(1, chosen)[:, 0]) + model.sigma_floor
        value = (means.gather(1, chosen)[:, 0] + colour + sigma * quantiles[drawn[3:6]]).clamp_(min=0)
        dark = value * (x[4] * 765 / value.sum(0).clamp(min=1e-12))
        out[:, first : first + chunk] = dark.round_().clamp_(max=255).to(torch.uint8)
    return out.T.contiguous().numpy().reshape(light.shape)


def dim_by_categorical(model: ReferenceModel, light: np.ndarray, draw: Draw) -> np.ndarray:
    """The way of the authors' code: a whole picture at once, three heads a colour, torch's distributions."""
    torch.manual_seed(draw.noise_seed)
    network: MixtureDensityNetwork = model._network
    pixels = torch.tensor(light.reshape(-1, 3)).float() / 255
    reflectance = pixels / (pixels.sum(1, keepdim=True) + 1e-4)
    illumination = pixels.mean(1, keepdim=True)
    level = (illumination[:, 0] * 255).long()
    phi = torch.distributions.Normal(draw.gamma * model._mean[level], draw.tau * model._std[level] + 1e-6)
    dark_illumination = phi.sample().clamp(0, 1)[:, None] * illumination
    means, sigmas, log_weights = network(torch.cat([reflectance, illumination, dark_illumination], 1))
    colours = []
    for channel in range(3):
        chosen = torch.distributions.OneHotCategorical(logits=log_weights[:, channel]).sample()
        drawn = torch.distributions.Normal(means[:, channel], sigmas[:, channel]).sample()
        colours.append((chosen * drawn).sum(1))
    colour = torch.stack(colours, 1).clamp(min=0)
    colour /= colour.sum(1, keepdim=True).clamp(min=1e-8)
    return (3 * dark_illumination * colour * 255).to(torch.uint8).numpy().reshape(light.shape)


def measure(rounds: int = 11) -> dict:
    """Medians over rounds; each round times the floor before every variant."""
    torch.set_num_threads(1)
    profile = open_profile("lol3")
    model = profile.model("mdn")
    assert isinstance(model, MdnModel)
    reference = profile.model("mdn", "reference")
    light = np.ascontiguousarray(data.astronaut())
    plain = dim_plainly(model, light, DRAW).astype(int)
    variants: dict[str, Callable[[], np.ndarray]] = {
        "fused kernel (default)": lambda: model.dim(light, DRAW),
        "torch, 16k chunks": lambda: dim_in_chunks(model, light, DRAW),
        "torch, plain definition": lambda: dim_plainly(model, light, DRAW),
        "torch, distributions": lambda: dim_by_categorical(reference, light, DRAW),
    }
    pixels = light.shape[0] * light.shape[1]
    rows = {}
    for name, variant in variants.items():
        dark = variant().astype(int)  # the first call compiles
        times, floors = [], []
        for _ in range(rounds):
            floors.append(floor_seconds(pixels))
            began = time.perf_counter()
            variant()
            times.append(time.perf_counter() - began)
        difference = np.abs(dark - plain)
        rows[name] = {
            "milliseconds": 1000 * statistics.median(times),
            "times_floor": statistics.median(t / f for t, f in zip(times, floors, strict=True)),
            "floor_milliseconds": 1000 * statistics.median(floors),
            "largest_difference": int(difference.max()),
            "differing_share": float((difference > 0).mean()),
        }
    return {"environment": environment(), "variants": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", help="write the result to this file")
    arguments = parser.parse_args()
    result = measure()
    print("| variant | ms | x floor | floor, ms | largest difference to plain | values that differ |")
    print("|---|---|---|---|---|---|")
    for name, row in result["variants"].items():
        numbers = [row[key] for key in ("milliseconds", "times_floor", "floor_milliseconds")]
        timing = "{:.1f} | {:.2f} | {:.1f}".format(*numbers)
        print(f"| {name} | {timing} | {row['largest_difference']} | {row['differing_share']:.1e} |")
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(result, file, indent=1)


if __name__ == "__main__":
    main()
