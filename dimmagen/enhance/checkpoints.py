"""The folder of a training run: its settings, its log, where it stands, and the best network so far.

    run.json                 what the run is: model, settings, data
    log.csv                  a row per iteration
    checkpoint.safetensors   all that is needed to go on, in one file
    best.safetensors         the network with the best validation PSNR: what other commands read

Tensors lie in safetensors files, numbers in their headers as JSON: nothing in them can run code.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.enhance.network import EnhancementNetwork

SCHEMA = "dimmagen-brightener-1"
RUN_SCHEMA = "dimmagen-run-1"
COLUMNS = ("iteration", "loss", "mse", "lpips", "learning_rate", "psnr")  # of the log
RUN, LOG, CHECKPOINT, BEST = "run.json", "log.csv", "checkpoint.safetensors", "best.safetensors"
ResumeMode = Literal["if-possible", "always", "never"]


@dataclass(frozen=True, slots=True)
class Saved:
    """A file of tensors with what its header says."""

    tensors: dict[str, Tensor]
    header: dict[str, Any]

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names begin with `prefix.`, without it."""
        start = f"{prefix}."
        return {
            name.removeprefix(start): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(start)
        }


class RunFolder:
    """Reads and writes the files of one run; each is either complete or absent."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def begin(self, settings: Mapping[str, Any], resume: ResumeMode) -> None:
        """Claim the folder for a run of these settings, or go on with the one that is there.

        A run that ended before its first iteration is none: a mended command may follow it.

        Raises:
            UsageError: the folder holds a run of other settings (they are named), something else's files, or,
                with `always`, no run.
        """
        existing = self._settings()
        held = [name for name in (LOG, CHECKPOINT, BEST) if (self.path / name).exists()]
        if existing is None and held:
            raise UsageError(
                f"{self.path} holds {held[0]} but no {RUN}: it is no run's folder", "give another `out`"
            )
        begun = [name for name in held if name != LOG or self._log_rows()]
        if existing is None or not begun or resume == "never":
            if resume == "always":
                raise UsageError(f"{self.path} holds no run to go on with", 'leave out `resume="always"`')
            for name in (CHECKPOINT, BEST, LOG):
                storage.remove(self.path / name)
            content = {"schema": RUN_SCHEMA, **settings}
            storage.atomic_write(self.path / RUN, json.dumps(content, indent=1).encode() + b"\n")
            return
        if LOG not in held:
            raise UsageError(
                f"{self.path} holds a network but no {LOG}",
                'give another `out`, or `resume="never"` to start again',
            )
        wanted = json.loads(json.dumps(dict(settings)))
        changed = sorted(name for name in {*existing, *wanted} if existing.get(name) != wanted.get(name))
        if changed:
            was = ", ".join(f"{name} was {existing.get(name)}, is {wanted.get(name)}" for name in changed)
            raise UsageError(
                f"{self.path} holds a run with other settings: {was}",
                'give another `out`, or `resume="never"` to start again',
            )

    def _settings(self) -> dict[str, Any] | None:
        try:
            content = storage.read_json(self.path / RUN)
        except FileNotFoundError:
            return None
        except ValueError:
            content = None
        if not isinstance(content, dict) or content.pop("schema", None) != RUN_SCHEMA:
            raise UsageError(
                f"{self.path / RUN} is not the settings of a run ({RUN_SCHEMA})", "give another `out`"
            )
        return content

    def save(self, name: str, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
        """Publish tensors (of any device) with a header, under one of this module's names."""
        data = save(
            {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
            {"dimmagen": json.dumps({"schema": SCHEMA, **header})},
        )
        storage.atomic_write(self.path / name, data)

    def load(self, name: str) -> Saved | None:
        """What was saved under `name`, None where there is nothing."""
        path = self.path / name
        return load_tensors(path) if path.exists() else None

    def header(self, name: str) -> dict[str, Any]:
        """What the header of a saved file says."""
        return load_tensors(self.path / name).header

    def begin_log(self, iteration: int) -> None:
        """A log with its header and the rows up to an iteration: what comes next writes the others again."""
        kept = [row for row in self._log_rows() if int(row.split(",", 1)[0]) <= iteration]
        storage.atomic_write(self.path / LOG, "".join([",".join(COLUMNS) + "\n", *kept]).encode())

    def _log_rows(self) -> list[str]:
        """The whole rows of the log, without its header."""
        try:
            lines = storage.read(self.path / LOG).decode(errors="replace").splitlines(keepends=True)
        except FileNotFoundError:
            return []
        return [line for line in lines if line.endswith("\n") and line.split(",", 1)[0].isdigit()]


_AGAIN = 'train again, with `resume="never"` or into another `out`'


def load_tensors(path: Path) -> Saved:
    """Read a file of tensors and its header.

    Raises:
        DimmagenError: it is broken, not one of ours (a pickle is never loaded), or not finite.
    """
    try:
        with safe_open(path, "pt") as file:
            header = storage.parse_json((file.metadata() or {}).get("dimmagen", "{}"))
            # Copies: Windows does not replace a file that is mapped into memory, as a checkpoint must be.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, ValueError, OSError) as error:
        raise DimmagenError(f"{path} is not a readable checkpoint ({error})", _AGAIN) from None
    if header.get("schema") != SCHEMA:
        raise DimmagenError(f"{path} is not a checkpoint of this version ({SCHEMA})", _AGAIN)
    if odd := [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]:
        raise DimmagenError(f"{path}: {odd[0]} holds NaN or infinity", _AGAIN)
    return Saved(tensors, header)


def load_network(
    place: str | Path, device: torch.device | str = "cpu"
) -> tuple[EnhancementNetwork, dict[str, Any]]:
    """The best network of a run, and what its file says of it.

    Args:
        place: a run's folder, or a `best.safetensors`.

    Returns:
        The network in eval mode, and the header: `model`, `iteration`, `psnr` (of the validation, dB).

    Raises:
        UsageError: there is no such run, or it has no network yet.
        DimmagenError: the file is broken, or of another model than it says.
    """
    path = Path(place)
    path = path / BEST if path.is_dir() else path
    if not path.is_file():
        raise UsageError(
            f"there is no trained network at {path}",
            "give the folder of a training run, or its best.safetensors",
        )
    saved = load_tensors(path)
    network = EnhancementNetwork(saved.header.get("model", ""))
    restore(network, saved.tensors, path)
    return network.to(device).eval(), saved.header


def restore(network: EnhancementNetwork, tensors: dict[str, Tensor], path: Path) -> None:
    """Put saved weights into a network.

    Raises:
        DimmagenError: they are another network's.
    """
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        fault = " ".join(str(error).split())[:160]
        raise DimmagenError(
            f"{path} does not hold the weights of the model {network.architecture_name} ({fault})",
            "give the run that the network comes from",
        ) from None
