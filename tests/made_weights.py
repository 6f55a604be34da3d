"""Weights that the tests make, in the form of published ones: their numbers mean nothing and are known."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file


def write_published_dimmer(folder: Path, seed: int = 0) -> Path:
    """A dimmer in the form in which the paper's authors publish theirs: `mdn.pt`, `mean.npy`, `std.npy`.

    The network is a random one whose dark colours follow the light ones; the statistics are a smooth curve.
    """
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(seed)

    def layer(inputs: int, outputs: int, gain: float) -> dict[str, torch.Tensor]:
        weight = torch.randn(outputs, inputs, 1, 1, generator=generator) * gain / inputs**0.5
        return {"weight": weight, "bias": torch.randn(outputs, generator=generator) * gain / 4}

    layers = {f"backbone.{2 * index}": layer(inputs, 32, 1.0) for index, inputs in enumerate((5, 32, 32))}
    for colour in ("red", "green", "blue"):
        layers[f"{colour}_mu"] = layer(32, 4, 0.1)
        layers[f"{colour}_sigma.0"] = layer(32, 4, 0.5)
        layers[f"{colour}_sigma.0"]["bias"] -= 3.0  # deviations of some 0.05
        layers[f"{colour}_pi.0"] = layer(32, 4, 1.0)
    state = {f"{name}.{part}": value for name, parts in layers.items() for part, value in parts.items()}
    torch.save(state, folder / "mdn.pt")
    levels = np.linspace(0, 1, 256)
    np.save(folder / "mean.npy", (0.06 + 0.1 * levels).astype(np.float32))
    np.save(folder / "std.npy", (0.02 + 0.3 * np.exp(-8 * levels)).astype(np.float32))
    return folder


def lpips_weights(seed: int = 0) -> dict[str, torch.Tensor]:
    """Random weights for LPIPS with AlexNet, scaled so that features neither vanish nor grow."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    layers = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}
    for index, (outputs, inputs, side) in layers.items():
        shape = (outputs, inputs, side, side)
        gain = (2 / (inputs * side**2)) ** 0.5
        weights[f"features.{index}.weight"] = gain * torch.randn(shape, generator=generator)
        weights[f"features.{index}.bias"] = 0.1 * torch.randn(outputs, generator=generator)
    for index, (outputs, _, _) in enumerate(layers.values()):
        weights[f"lin{index}.weight"] = torch.rand(1, outputs, 1, 1, generator=generator)
    return weights


def write_lpips_weights(folder: Path) -> Path:
    """A folder with the file of AlexNet's weights alone, under its published name."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(lpips_weights(), folder / "lpips_alexnet.safetensors")
    return folder
