"""Triton's kernel on this machine's GPU against the CPU's kernel, bit for bit.

    python -m benchmarks.gpu_pixels

Prints PASS or FAIL for each camera, size and order in memory, and ends with 1 if any failed. Half a minute.
"""

import hashlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch

from benchmarks.figures import check_origin
from dimmagen.dimmers.base import Draw
from dimmagen.dimmers.camera.model import CameraModel
from dimmagen.dimmers.dimmer import ImageDimmer

SIZES = ((1, 1, 1), (3, 17, 33), (2, 512, 512), (3, 333, 1001), (40, 64, 66))  # images, height, width
_TABLES = 1500  # draws
_LARGE = 2800  # images of 512x512: more than 2**31 values


def cameras() -> dict[str, CameraModel]:
    """Bundled cameras, and one with every part of the model."""
    made = {name: _camera(name) for name in ("lol3", "lol480", "lol8-e5")}
    return {
        **made,
        "correlated noise": replace(made["lol3"], spatial=np.array([0.2, 0.5])),
        "highlights": replace(made["lol3"], headroom=1.4, fine_chroma=0.4),
        "noise by luma": replace(made["lol3"], noise_by_luma=True),
        "one factor": made["lol3"].switched_off("response", "skew"),
    }


def _camera(name: str) -> CameraModel:
    model = ImageDimmer.from_profile(name).model
    assert isinstance(model, CameraModel)
    return model


def draws_of(model: CameraModel, count: int) -> list[Draw]:
    dimmer = ImageDimmer(model, "", "")
    return [dimmer.draw(str(number)) for number in range(count)]


def checks(device: torch.device) -> Iterator[tuple[str, bool]]:
    """What was compared, and whether it was equal."""
    generator = np.random.default_rng(0)
    for name, model in cameras().items():
        for count, height, width in SIZES:
            lights = generator.integers(0, 256, (count, height, width, 3), np.uint8)
            if name == "highlights":
                lights[:, :, width // 3 :][lights[:, :, width // 3 :] > 60] = 255  # clipped for the most part
            draws = draws_of(model, count)
            on_device = torch.from_numpy(lights).to(device).permute(0, 3, 1, 2)
            for order, tensor in (("HWC", on_device), ("CHW", on_device.contiguous())):
                dark = model.expose_tensors(tensor, draws, "triton").permute(0, 2, 3, 1).cpu().numpy()
                equal, digest = _compared(model, lights, draws, dark)
                yield f"{name}, {count} of {width}x{height}, {order}, {digest}", equal
        if name != "one factor":
            yield _tables(name, model, device)
    yield _large(cameras()["lol3"], device)


def _compared(
    model: CameraModel, lights: np.ndarray, draws: Sequence[Draw], dark: np.ndarray
) -> tuple[bool, str]:
    expected = np.stack([model.expose(light, draw) for light, draw in zip(lights, draws, strict=True)])
    return np.array_equal(dark, expected), "sha256 " + hashlib.sha256(dark.tobytes()).hexdigest()[:12]


def _tables(name: str, model: CameraModel, device: torch.device) -> tuple[str, bool]:
    from dimmagen.dimmers.camera import fused, triton_tables

    draws = draws_of(model, _TABLES)
    balance = np.stack([draw.balance for draw in draws])
    shifts = model.light_shifts(np.array([draw.gamma * draw.exposure for draw in draws]), balance)
    tau, seeds = np.array([draw.tau for draw in draws]), np.array([draw.noise_seed for draw in draws])
    numbers = torch.from_numpy(triton_tables.draw_numbers(shifts, tau, seeds)).to(device)
    rows, doubts = triton_tables.make_rows(fused.fused_for(model, device).numbers, numbers)
    expected = np.stack([fused.row_of(model, draw) for draw in draws])
    doubted = doubts.cpu().numpy().any(axis=1)
    different = (rows.cpu().numpy() != expected).any(axis=1)
    left = f"{doubted.sum()} left to numpy, of which {(different & doubted).sum()} differ"
    return f"{name}, {_TABLES} tables, {left}", not (different & ~doubted).any()


def _large(model: CameraModel, device: torch.device) -> tuple[str, bool]:
    """The last images of a batch of more than 2**31 values."""
    if device.type != "cuda":
        return "a batch of more than 2**31 values: not on a CPU", True
    torch.manual_seed(0)
    lights = torch.randint(0, 256, (_LARGE, 3, 512, 512), dtype=torch.uint8, device=device)
    draws = draws_of(model, _LARGE)
    dark = model.expose_tensors(lights, draws, "triton")[-2:].permute(0, 2, 3, 1).cpu().numpy()
    last = lights[-2:].permute(0, 2, 3, 1).cpu().numpy()
    equal, digest = _compared(model, np.ascontiguousarray(last), draws[-2:], dark)
    return f"lol3, the last of {_LARGE} of 512x512, {digest}", equal


def main(device: torch.device) -> bool:
    """Print every comparison; whether all were equal."""
    results = []
    for text, equal in checks(device):
        print("PASS" if equal else "FAIL", text, flush=True)
        results.append(equal)
    print(
        "PASS" if all(results) else "FAIL", f"{sum(results)} of {len(results)} on {_name(device)}", flush=True
    )
    return all(results)


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


if __name__ == "__main__":
    check_origin()
    if not torch.cuda.is_available():
        sys.exit("PyTorch finds no GPU on this machine")
    sys.exit(0 if main(torch.device("cuda")) else 1)
