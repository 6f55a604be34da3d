"""The paper authors' published dimmers: a folder with `mdn.pt`, `mean.npy` and `std.npy`."""

import pickle
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dimmagen.core import hashing
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.machine import is_machine_trouble, machine_error
from dimmagen.dimmers.mdn.illumination import LEVELS
from dimmagen.dimmers.mdn.model import MdnFiles
from dimmagen.dimmers.profile import ModelFiles
from dimmagen.dimmers.stored_model import check_tensors

if TYPE_CHECKING:
    from torch import Tensor

FILES = ("mdn.pt", "mean.npy", "std.npy")
TAU = 0.05
_MAX_BYTES = 10 * 2**20
_COLOURS = ("red", "green", "blue")
_HEADS = ("mu", "sigma.0", "pi.0")


def read_published(folder: str | Path) -> tuple[list[ModelFiles], dict[str, str]]:
    """Read a published dimmer without running any code in it.

    Args:
        folder: contains `mdn.pt` (a state dict), `mean.npy` and `std.npy` (256 numbers each).

    Returns:
        (model files for :func:`dimmagen.dimmers.profile.save_profile`, SHA-256 by file name).

    Raises:
        UsageError: a file is missing.
        DimmagenError: a file is damaged, has another shape, holds NaN, or would have to be unpickled.
    """
    folder = Path(folder)
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise UsageError(
            f"{folder} has no {', '.join(missing)}",
            f"give a folder with {', '.join(FILES)}",
            code="missing-path",
            path=str(folder / missing[0]),
        )
    for name in FILES:
        if (folder / name).stat().st_size > _MAX_BYTES:
            raise DimmagenError(
                f"{folder / name} is far too large for a dimmer",
                "check its origin",
                code="wrong-format",
                path=str(folder / name),
            )
    network = _network(folder / "mdn.pt")
    mean, std = (_statistics(folder / name) for name in ("mean.npy", "std.npy"))
    files = MdnFiles(network, mean, std, published=True, sigma_floor=0.0, tau=TAU, exposure_spread=0.0)
    hashes = {name: hashing.sha256((folder / name).read_bytes()) for name in FILES}
    return files.models(), hashes


def _network(path: Path) -> dict[str, np.ndarray]:
    """The authors' state dict under our names; the three heads of each colour are merged into one head."""
    state = _state_dict(path)

    def numbers(name: str) -> np.ndarray:
        array = state[name].float().numpy()
        return array.reshape(array.shape[0], -1) if name.endswith("weight") and array.ndim else array

    tensors = {}
    for part in ("weight", "bias"):
        for layer in range(3):
            tensors[f"hidden.{layer}.{part}"] = numbers(f"backbone.{2 * layer}.{part}")
        heads = [numbers(f"{colour}_{head}.{part}") for head in _HEADS for colour in _COLOURS]
        try:
            tensors[f"head.{part}"] = np.concatenate(heads)
        except ValueError:
            raise DimmagenError(
                f"{path}: its heads differ in shape", "replace it", code="wrong-format", path=str(path)
            ) from None
    check_tensors(path, tensors, MdnFiles.NETWORK_SHAPES)
    return tensors


def _state_dict(path: Path) -> "dict[str, Tensor]":
    """The authors' weights by their names, as they are. Raises DimmagenError for anything else."""
    import torch  # takes a second to import, and is only needed here

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about unusual pickles, which are refused
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise DimmagenError(
            f"{path} holds more than tensors: it was not loaded, as it could run code",
            "get the weights from a trusted place, saved as a state dict",
            code="unsafe",
            path=str(path),
        ) from None
    except Exception as error:  # torch raises several kinds of error for a damaged file
        if is_machine_trouble(error):
            raise machine_error(error, path) from error
        raise DimmagenError(
            f"{path} is not a PyTorch state dict ({type(error).__name__})",
            "replace it",
            code="damaged",
            path=str(path),
        ) from None
    names = [f"backbone.{2 * layer}" for layer in range(3)]
    names += [f"{colour}_{head}" for colour in _COLOURS for head in _HEADS]
    expected = {f"{name}.{part}" for name in names for part in ("weight", "bias")}
    if not isinstance(state, dict) or set(state) != expected:
        raise DimmagenError(
            f"{path} is not the state dict of a dimmer's MDN",
            "replace it",
            code="wrong-format",
            path=str(path),
        )
    if not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise DimmagenError(
            f"{path} holds a value that is not a tensor", "replace it", code="wrong-format", path=str(path)
        )
    return state


def _statistics(path: Path) -> np.ndarray:
    try:
        values = np.load(path, allow_pickle=False)
    except Exception as error:  # numpy, too, raises several kinds of error for a damaged file
        if is_machine_trouble(error):
            raise machine_error(error, path) from error
        raise DimmagenError(
            f"{path} is not a plain numpy array ({error})",
            "replace it; pickles are refused",
            code="damaged",
            path=str(path),
        ) from None
    if not isinstance(values, np.ndarray) or values.shape != (LEVELS,) or values.dtype.kind != "f":
        found = f"{values.dtype} {values.shape}" if isinstance(values, np.ndarray) else type(values).__name__
        raise DimmagenError(
            f"{path} holds {found}, not {LEVELS} floats", "replace it", code="wrong-format", path=str(path)
        )
    if not np.isfinite(values).all() or (values < 0).any():
        raise DimmagenError(
            f"{path} holds NaN, infinity or negative numbers", "replace it", code="damaged", path=str(path)
        )
    return values.astype(np.float32)
