"""Train PyPI's basicsr-fixed on an export and print the validation PSNR before and after, as JSON.

Run as a program: `basicsr_training.py ITERATIONS ROOT lmdb|disk [ROOT lmdb|disk ...]`; [before, after] for
each. It has its own process because torchvision, which BasicSR imports but this training never calls, is
replaced by a dummy: its wheel cannot be imported with a CPU-only torch, and then breaks other packages that
look for it, so it is not installed.
"""

import json
import sys
from unittest.mock import MagicMock

import torch

TORCHVISION = ("", ".models", ".ops", ".transforms", ".transforms.functional", ".utils")


def options(root: str, backend: str, phase: str, split: str) -> dict:
    suffix = ".lmdb" if backend == "lmdb" else ""
    return {
        "name": split,
        "type": "PairedImageDataset",
        "phase": phase,
        "scale": 1,
        "dataroot_lq": f"{root}/{split}/lq{suffix}",
        "dataroot_gt": f"{root}/{split}/gt{suffix}",
        "io_backend": {"type": backend},
        "gt_size": 48,
        "use_hflip": True,
        "use_rot": True,
    }


def train(root: str, backend: str, iterations: int) -> tuple[float, float]:
    from basicsr.data import build_dataset
    from basicsr.models import build_model
    from torch.utils.data import DataLoader

    torch.manual_seed(0)
    validation = DataLoader(build_dataset(options(root, backend, "val", "val")), batch_size=1)
    training = DataLoader(build_dataset(options(root, backend, "train", "train")), batch_size=4, shuffle=True)
    model = build_model(
        {
            "model_type": "SRModel",
            "num_gpu": 0,
            "dist": False,
            "rank": 0,
            "is_train": True,
            "path": {},
            "network_g": {
                "type": "SRVGGNetCompact",
                "num_in_ch": 3,
                "num_out_ch": 3,
                "num_feat": 16,
                "num_conv": 4,
                "upscale": 1,
            },
            "train": {
                "optim_g": {"type": "Adam", "lr": 2e-3},
                "scheduler": {"type": "MultiStepLR", "milestones": [10**6]},
                "pixel_opt": {"type": "L1Loss", "loss_weight": 1.0, "reduction": "mean"},
            },
            "val": {"metrics": {"psnr": {"type": "calculate_psnr", "crop_border": 0}}},
        }
    )

    def psnr() -> float:
        model.validation(validation, 0, None, save_img=False)
        return float(model.metric_results["psnr"])

    before, done = psnr(), 0
    while done < iterations:
        for batch in training:
            model.feed_data(batch)
            model.optimize_parameters(done)
            done += 1
    return before, psnr()


if __name__ == "__main__":
    sys.modules.update({f"torchvision{name}": MagicMock(__version__="0.0") for name in TORCHVISION})
    iterations, *exports = sys.argv[1:]
    pairs = zip(exports[::2], exports[1::2], strict=True)
    print(json.dumps([train(root, backend, int(iterations)) for root, backend in pairs]))
