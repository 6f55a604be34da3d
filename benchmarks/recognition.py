"""Does LowLight help a classifier that was trained on light pictures to recognise real dark ones?

    python -m benchmarks.recognition --data ../shared/data [--seeds 0 1 2] [--steps 1500] [--json FILE]

The task: to which of LOL's pictures does a crop of 64x64 pixels belong? A small network learns it from the
light pictures, half of whose crops an augmentation darkens, and is asked about the camera's own dark
pictures of the same scenes, on a grid of crops. The pairs that the profile was fitted to are left out.
Crops are standardised, so that brightness alone decides nothing. `real pairs` learns from the camera's dark
pictures themselves, and is what the others can hope for.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import albumentations
import numpy as np
import torch
from torch import nn

from dimmagen.core.environment import environment
from dimmagen.dimmers.real_pairs import RealPair, load_pairs
from dimmagen.transforms import LowLight

SIDE, BATCH, STRIDE = 64, 64, 67
FITTED = ("2", "5", "6")  # of the profile lol3
WIDTHS = (32, 64, 128, 128)
Augment = Callable[[np.ndarray], np.ndarray]


def augmentations(seed: int) -> dict[str, Augment | None]:
    """uint8 (H, W, 3) -> uint8 (H, W, 3), by name; None takes the dark picture of the pair instead."""
    gamma = albumentations.RandomGamma(gamma_limit=(150, 450), p=1)
    noise = albumentations.ISONoise(intensity=(0.1, 0.5), p=1)

    def by_albumentations(*transforms: albumentations.BasicTransform) -> Augment:
        composed = albumentations.Compose(list(transforms), seed=seed)
        return lambda image: composed(image=image)["image"]

    return {
        "none": lambda image: image,
        "gamma": by_albumentations(gamma),
        "ISONoise": by_albumentations(noise),
        "gamma, ISONoise": by_albumentations(gamma, noise),
        "LowLight": LowLight("lol3"),
        "real pairs": None,
    }


class Classifier(nn.Sequential):
    """float (N, 3, 64, 64) -> float (N, classes)."""

    def __init__(self, classes: int) -> None:
        layers: list[nn.Module] = []
        before = 3
        for width in WIDTHS:
            layers += [nn.Conv2d(before, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU()]
            before = width
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes))


def standardised(crops: list[np.ndarray]) -> torch.Tensor:
    """uint8 (H, W, 3) crops -> float32 (N, 3, H, W), each of mean 0 and standard deviation 1."""
    batch = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float()
    mean = batch.mean((1, 2, 3), keepdim=True)
    return (batch - mean) / (batch.std((1, 2, 3), keepdim=True) + 0.5)


def train(pairs: list[RealPair], augment: Augment | None, steps: int, seed: int) -> Classifier:
    torch.manual_seed(seed)
    np.random.seed(seed)  # LowLight's draws, without a key
    generator = np.random.default_rng(seed)
    network = Classifier(len(pairs))
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, steps)
    for _ in range(steps):
        labels = generator.integers(0, len(pairs), BATCH)
        crops = [_training_crop(pairs[label], augment, generator) for label in labels]
        loss = nn.functional.cross_entropy(network(standardised(crops)), torch.from_numpy(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def _training_crop(pair: RealPair, augment: Augment | None, generator: np.random.Generator) -> np.ndarray:
    height, width, _ = pair.light.shape
    top, left = generator.integers(0, height - SIDE + 1), generator.integers(0, width - SIDE + 1)
    window = np.s_[top : top + SIDE, left : left + SIDE]
    dark = generator.random() < 0.5
    crop = pair.light[window]
    if dark:
        crop = pair.dark[window] if augment is None else augment(np.ascontiguousarray(crop))
    return crop[:, ::-1] if generator.random() < 0.5 else crop


@torch.no_grad()
def accuracy(network: Classifier, pairs: list[RealPair], side: str) -> float:
    """Share of the crops on a grid, of all pictures' `dark` or `light` side, that are recognised."""
    right = count = 0
    for label, pair in enumerate(pairs):
        image = getattr(pair, side)
        tops, lefts = (range(0, length - SIDE + 1, STRIDE) for length in image.shape[:2])
        crops = [image[top : top + SIDE, left : left + SIDE] for top in tops for left in lefts]
        right += int((network(standardised(crops)).argmax(1) == label).sum())
        count += len(crops)
    return right / count


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    folders = [options.data / "lol" / name for name in ("our485", "dev15")]
    pairs = [pair for folder in folders for pair in load_pairs(str(folder)) if pair.name not in FITTED]
    print(f"{len(pairs)} pictures, {options.steps} steps of {BATCH} crops")
    figures: dict[str, dict[str, list[float]]] = {}
    for seed in options.seeds:
        for name, augment in augmentations(seed).items():
            began = time.perf_counter()
            network = train(pairs, augment, options.steps, seed)
            row = figures.setdefault(name, {"dark": [], "light": []})
            for side, values in row.items():
                values.append(accuracy(network, pairs, side))
            seconds = time.perf_counter() - began
            print(
                f"{seed} {name}: {row['dark'][-1]:.3f} dark, {row['light'][-1]:.3f} light, {seconds:.0f} s",
                flush=True,
            )
            if options.json:
                report = {"environment": environment(), "steps": options.steps, "accuracy": figures}
                options.json.write_text(json.dumps(report, indent=1))
    print(table(figures))


def table(figures: dict[str, dict[str, list[float]]]) -> str:
    lines = ["| half of the crops darkened by | real dark pictures | light pictures |", "|---|--:|--:|"]
    for name, row in figures.items():
        cells = [f"{statistics.mean(row[side]):.3f} ± {statistics.pstdev(row[side]):.3f}" for side in row]
        lines.append(f"| {name} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
