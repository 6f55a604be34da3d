"""One network of somebody else, trained by BasicSR's own loop and scored: a process of its own.

It is a part of :mod:`benchmarks.other_networks`. torchvision, which BasicSR and spandrel import and this
training never calls, is replaced by a dummy: its wheel breaks other packages beside a torch for processors.
"""

import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import torch
from torch import nn

from benchmarks.evidence_runs import write_json
from dimmagen.core.environment import environment
from dimmagen.dimmers.real_pairs import RealPair, load_pairs
from dimmagen.metrics.image import gray, psnr, scaled_to_mean, ssim_rgb

TORCHVISION = ("", ".models", ".ops", ".transforms", ".transforms.functional", ".utils")
MULTIPLE = 8  # what sides are padded to before a network sees them


def main() -> None:
    asked = json.loads(sys.argv[1])
    sys.modules.update({f"torchvision{name}": MagicMock(__version__="0.0") for name in TORCHVISION})
    began = time.perf_counter()
    network, iterations = trained(asked["options"], asked["root"])
    seconds = time.perf_counter() - began
    scores = {name: scored(network, load_pairs(path)) for name, path in asked["tests"].items()}
    taken = {"iterations": iterations, "seconds": seconds, "threads": torch.get_num_threads()}
    parameters = sum(parameter.numel() for parameter in network.parameters())
    found = {**asked["told"], **taken, "parameters": parameters, "scores": scores}
    write_json(Path(asked["result"]), {**found, "environment": environment()})


def trained(options: str, root: str) -> tuple[nn.Module, int]:
    """Train as `python basicsr/train.py -opt OPTIONS` does.

    Args:
        options: file of BasicSR's options.
        root: folder for its `experiments/`.

    Returns:
        The averaged network in eval mode, and the number of iterations.
    """
    from basicsr.archs import build_network
    from basicsr.train import train_pipeline
    from basicsr.utils.options import yaml_load
    from basicsr.utils.registry import ARCH_REGISTRY
    from spandrel.architectures.NAFNet.__arch.NAFNet_arch import NAFNet

    ARCH_REGISTRY.register(NAFNet)
    sys.argv = ["train.py", "-opt", options]
    train_pipeline(root)
    chosen = yaml_load(options)
    network = build_network(chosen["network_g"])
    file = Path(root) / "experiments" / chosen["name"] / "models" / "net_g_latest.pth"
    network.load_state_dict(torch.load(file, weights_only=True)["params_ema"])
    return network.eval(), chosen["train"]["total_iter"]


def scored(network: nn.Module, pairs: Sequence[RealPair]) -> dict[str, float]:
    """Means over pairs: PSNR in dB, with GT-mean, that of luma with GT-mean, and SSIM."""
    rows = []
    for pair in pairs:
        output = enhanced(network, pair.dark)
        levelled = scaled_to_mean(output, pair.light)
        rows.append(
            {
                "psnr": psnr(output, pair.light),
                "gt_mean": psnr(levelled, pair.light),
                "gt_mean_luma": psnr(gray(levelled), gray(pair.light)),
                "ssim_rgb": ssim_rgb(output, pair.light),
            }
        )
    return {name: statistics.mean(row[name] for row in rows) for name in rows[0]}


@torch.inference_mode()
def enhanced(network: nn.Module, dark: np.ndarray) -> np.ndarray:
    """What BasicSR would save: uint8 (H, W, 3) RGB from the like; networks of BasicSR are trained on RGB."""
    height, width, _ = dark.shape
    padding = [(0, -height % MULTIPLE), (0, -width % MULTIPLE), (0, 0)]
    padded = np.pad(dark, padding, mode="reflect").astype(np.float32) / 255
    output = network(torch.from_numpy(padded.transpose(2, 0, 1).copy())[None])[0]
    return np.rint(output.clamp(0, 1).numpy().transpose(1, 2, 0) * 255).astype(np.uint8)[:height, :width]


if __name__ == "__main__":
    main()
