"""Files of tensors: a network with the numbers that belong to it, and the state of a training run.

Tensors are stored in safetensors files, numbers in their headers as JSON: nothing in them can run code.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.git_lfs import refuse_pointer
from dimmagen.core.machine import is_machine_trouble, machine_error
from dimmagen.enhance.acceleration import acceleration
from dimmagen.enhance.network import ARCHITECTURES, EnhancementNetwork

SCHEMA = "dimmagen-brightener-1"
CHECKPOINT, BEST = "checkpoint.safetensors", "best.safetensors"  # in the folder of a run
MAX_CHECKPOINT = 2**33  # bytes: the largest architecture with its optimiser takes a fraction of that
MAX_HEADER = 2**20  # bytes
_TRAIN_AGAIN = 'train again, with `resume="never"` or into another `out`'
_GIVE_NETWORK = f"give the folder of a training run, or its {BEST}"


@dataclass(frozen=True, slots=True)
class SavedTensors:
    """The contents of a safetensors file.

    Attributes:
        tensors: by name, on the CPU.
        header: the values that were saved with them.
    """

    tensors: dict[str, Tensor]
    header: dict[str, Any]

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names begin with `prefix.`, by the rest of their names."""
        start = f"{prefix}."
        return {
            name.removeprefix(start): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(start)
        }


def save_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Publish tensors with a header.

    Args:
        path: of the file.
        tensors: on any device; saved from the CPU.
        header: JSON values.
    """
    data = save(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
        {"dimmagen": json.dumps({"schema": SCHEMA, **header})},
    )
    storage.atomic_write(path, data)


def load_tensors(
    path: Path,
    max_bytes: Callable[[Mapping[str, Any]], int] = lambda header: MAX_CHECKPOINT,
    advice: str = _TRAIN_AGAIN,
) -> SavedTensors:
    """Read a file of tensors and its header.

    Args:
        path: of the file.
        max_bytes: size of all tensors, by the header: a file with more of them is not read.
        advice: what to do if it cannot be read.

    Raises:
        DimmagenError: the file is damaged, of another kind (a pickle is never loaded), or holds numbers that
            are not finite.
    """
    try:
        header = _read_header(path)
        if path.stat().st_size > max_bytes(header) + MAX_HEADER:  # before it is mapped into memory
            raise ValueError("it is larger than what it names")
        with safe_open(path, "pt") as file:
            # Copies, because Windows does not replace a file that is mapped into memory.
            names = file.keys()  # not a mapping
            tensors = {name: file.get_tensor(name).clone() for name in names}
    except (SafetensorError, ValueError, OSError) as error:
        if is_machine_trouble(error):
            raise machine_error(error, path) from error
        refuse_pointer(str(path))
        raise DimmagenError(
            f"{path} is not a readable checkpoint ({error})", advice, code="damaged", path=str(path)
        ) from None
    if header.get("schema") != SCHEMA:
        raise DimmagenError(
            f"{path} is not a checkpoint of this version ({SCHEMA})",
            advice,
            code="wrong-format",
            path=str(path),
        )
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise DimmagenError(
                f"{path}: {name} holds NaN or infinity",
                advice,
                code="damaged",
                path=str(path),
                name=name,
            )
    return SavedTensors(tensors, header)


def _read_header(path: Path) -> dict[str, Any]:
    """The values that were saved with the tensors of a file. Raises ValueError if there are none."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > MAX_HEADER:
            raise ValueError("its header is too long")
        values = storage.parse_json(file.read(size)).get("__metadata__")
    saved = values.get("dimmagen", "{}") if isinstance(values, dict) else "{}"
    return storage.parse_json(saved if isinstance(saved, str) else "")


def load_network(
    path: str | Path, device: torch.device | str = "cpu"
) -> tuple[EnhancementNetwork, dict[str, Any]]:
    """Load the best network of a training run.

    Args:
        path: the folder of a run, or a `best.safetensors`.
        device: to put the network on, which is used as :func:`~dimmagen.enhance.acceleration.acceleration`
            says.

    Returns:
        The network in eval mode, and the header of its file: `model`, `iteration`, `psnr` (of the
        validation, dB).

    Raises:
        UsageError: there is no such run, or it has no network yet.
        DimmagenError: the file is damaged, or its weights do not fit the architecture that it names.
    """
    path = storage.only_local(path)
    path = path / BEST if path.is_dir() else path
    if not path.is_file():
        raise UsageError(
            f"there is no trained network at {path}",
            _GIVE_NETWORK,
            code="missing-path",
            path=str(path),
        )
    if path.name == CHECKPOINT:
        raise UsageError(
            f"{path} is the state of a training run, from which the run is resumed",
            f"give the folder of the run, or its {BEST}",
            code="wrong-format",
            path=str(path),
        )
    saved = load_tensors(path, _bytes_of_network, f"{_GIVE_NETWORK}; if it is that, train again")
    name = saved.header.get("model", "")
    if name not in ARCHITECTURES:
        raise DimmagenError(
            f"{path} is a network of the architecture {name!r}, which is not installed here",
            "install the package that provides it",
            code="unknown-name",
            kind="architecture",
            name=name,
        )
    network = EnhancementNetwork(name)
    restore_weights(network, saved.tensors, path)
    network.to(device).eval().use(acceleration(torch.device(device)))
    return network, saved.header


def _bytes_of_network(header: Mapping[str, Any]) -> int:
    """The size of the weights of the architecture that a header names."""
    if header.get("model") not in ARCHITECTURES:
        return MAX_CHECKPOINT  # what is wrong with it is said by the name
    with torch.device("meta"):  # without memory
        network = EnhancementNetwork(header.get("model", ""))
    return sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())


def restore_weights(network: EnhancementNetwork, tensors: dict[str, Tensor], path: Path) -> None:
    """Load saved weights into a network.

    Args:
        network: changed in place.
        tensors: the network's state by name.
        path: of their file, for the message.

    Raises:
        DimmagenError: the weights belong to another architecture.
    """
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        fault = " ".join(str(error).split())[:160]
        raise DimmagenError(
            f"{path} does not hold the weights of the model {network.architecture_name} ({fault})",
            "give the run that the network comes from",
            code="wrong-format",
            path=str(path),
        ) from None
