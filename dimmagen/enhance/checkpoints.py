"""The folder of a training run: its settings, its log, its checkpoint, and the best network so far.

    run.json                 model, settings and data of the run
    log.csv                  one row per iteration
    checkpoint.safetensors   everything that is needed to resume, in one file
    best.safetensors         the network with the best validation PSNR: the one that other commands read
    validation/N.png         pictures of the validation at iteration N

Tensors are stored in safetensors files, numbers in their headers as JSON: nothing in them can run code.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.git_lfs import refuse_pointer
from dimmagen.core.machine import is_machine_trouble, machine_error
from dimmagen.dataset.manifest import MANIFEST
from dimmagen.enhance.acceleration import acceleration
from dimmagen.enhance.network import ARCHITECTURES, EnhancementNetwork

SCHEMA = "dimmagen-brightener-1"
RUN_SCHEMA = "dimmagen-run-1"
COLUMNS = ("iteration", "loss", "mse", "lpips", "learning_rate", "psnr")  # of log.csv
RUN, LOG, CHECKPOINT, BEST = "run.json", "log.csv", "checkpoint.safetensors", "best.safetensors"
LOGGERS = "loggers.json"  # which runs of Weights & Biases or MLflow continue this one
PICTURES = "validation"  # folder
MADE_BY = "made_by"  # what is recorded of a run but does not make it another one
MAX_CHECKPOINT = 2**33  # bytes: the largest architecture with its optimiser takes a fraction of that
MAX_HEADER = 2**20  # bytes
# What runs were before their run.json named it.
FORMER_SETTINGS = {"equalise": "crop", "condition": "crop"}
ResumeMode = Literal["if-possible", "always", "never"]


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


class RunFolder:
    """Reads and writes the files of one run; each file is either complete or absent.

    Args:
        path: local folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def begin(
        self, settings: Mapping[str, Any], resume: ResumeMode, made_by: Mapping[str, Any] | None = None
    ) -> None:
        """Claim the folder for a run with these settings, or resume the run that is there.

        A run that ended before its first iteration does not count: the corrected command may follow it.

        Args:
            settings: JSON values that decide the losses of the run.
            resume: `if-possible` resumes a run of the same settings and starts one otherwise; `always`
                requires a run to resume; `never` discards the run that is there.
            made_by: JSON values that are recorded but may change when a run is resumed.

        Raises:
            UsageError: the folder holds a run of other settings (they are named), files of something else,
                or, with `always`, no run.
        """
        existing = self.settings()
        held = [name for name in (LOG, CHECKPOINT, BEST) if (self.path / name).exists()]
        if existing is None:
            self._refuse_others_files(held)
        begun = [name for name in held if name != LOG or self.log_rows()]
        if existing is not None and begun and resume != "never":
            self._refuse_to_resume(existing, settings, held)
        elif resume == "always":
            raise UsageError(
                f"{self.path} holds no run to resume",
                'omit `resume="always"`',
                code="nothing-to-resume",
                path=str(self.path),
            )
        else:
            self._start(settings, made_by, discards=existing is not None)
        for folder in (self.path, self.path / PICTURES):  # of a run that was killed
            storage.remove_unfinished(folder)

    def _refuse_others_files(self, held: Sequence[str]) -> None:
        """Refuse a folder without a run in which there is something else."""
        what = ""
        if (self.path / MANIFEST).exists():
            what = f"a data set or a MixHQ ({MANIFEST})"
        elif held:
            what = f"{held[0]} but no {RUN}: it is not the folder of a training run"
        if what:
            raise UsageError(
                f"{self.path} holds {what}", "choose another `out`", code="no-room", path=str(self.path)
            )

    def _start(
        self, settings: Mapping[str, Any], made_by: Mapping[str, Any] | None, *, discards: bool
    ) -> None:
        """Claim the folder for a new run, which discards the one that is there."""
        for name in (CHECKPOINT, BEST, LOG, LOGGERS):
            storage.remove(self.path / name)
        if discards:  # otherwise the pictures there are somebody's own
            for picture in (self.path / PICTURES).glob("*.png"):
                if picture.stem.isdigit():
                    storage.remove(picture)
        content = {"schema": RUN_SCHEMA, **settings, **({MADE_BY: dict(made_by)} if made_by else {})}
        storage.atomic_write(self.path / RUN, json.dumps(content, indent=1).encode() + b"\n")

    def _refuse_to_resume(
        self, existing: Mapping[str, Any], settings: Mapping[str, Any], held: Sequence[str]
    ) -> None:
        """Refuse to resume a run of other settings, or one of which the log is missing."""
        if LOG not in held:
            raise UsageError(
                f"{self.path} holds a network but no {LOG}",
                'choose another `out`, or `resume="never"` to start again',
                code="damaged",
                path=str(self.path),
            )
        former = {name: value for name, value in FORMER_SETTINGS.items() if name in settings}
        existing = {**former, **existing}
        requested = json.loads(json.dumps(dict(settings)))
        changed = sorted(
            name for name in {*existing, *requested} if existing.get(name) != requested.get(name)
        )
        if changed:
            was = ", ".join(f"{name} was {existing.get(name)}, is {requested.get(name)}" for name in changed)
            raise UsageError(
                f"{self.path} holds a run with other settings: {was}",
                'choose another `out`, or `resume="never"` to start again',
                code="other-settings",
                path=str(self.path),
                changed=changed,
            )

    def settings(self) -> dict[str, Any] | None:
        """The settings of the run that decide its losses; None if the folder holds none.

        Raises:
            UsageError: run.json holds something else.
        """
        try:
            content = storage.read_json(self.path / RUN)
        except FileNotFoundError:
            return None
        except ValueError:
            content = None
        if not isinstance(content, dict) or content.pop("schema", None) != RUN_SCHEMA:
            raise UsageError(
                f"{self.path / RUN} does not hold the settings of a training run ({RUN_SCHEMA})",
                "choose another `out`",
                code="wrong-format",
                path=str(self.path / RUN),
            )
        content.pop(MADE_BY, None)
        return content

    def save(self, name: str, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
        """Publish tensors with a header.

        Args:
            name: `CHECKPOINT` or `BEST`.
            tensors: on any device; saved from the CPU.
            header: JSON values.
        """
        data = save(
            {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
            {"dimmagen": json.dumps({"schema": SCHEMA, **header})},
        )
        storage.atomic_write(self.path / name, data)

    def load(self, name: str) -> SavedTensors | None:
        """The file that was saved under `name`; None if there is none.

        Raises:
            DimmagenError: see :func:`load_tensors`.
        """
        path = self.path / name
        return load_tensors(path) if path.exists() else None

    def header(self, name: str) -> dict[str, Any]:
        """The header of a saved file."""
        return load_tensors(self.path / name).header

    def begin_log(self, iteration: int) -> None:
        """Keep the log's rows up to an iteration: training writes the following ones again."""
        kept = [row for row in self.log_rows() if int(row.split(",", 1)[0]) <= iteration]
        storage.atomic_write(self.path / LOG, "".join([",".join(COLUMNS) + "\n", *kept]).encode())

    def log_rows(self) -> list[str]:
        """The complete rows of the log, without its header."""
        try:
            lines = storage.read(self.path / LOG).decode(errors="replace").splitlines(keepends=True)
        except FileNotFoundError:
            return []
        return [line for line in lines if line.endswith("\n") and line.split(",", 1)[0].isdigit()]


_TRAIN_AGAIN = 'train again, with `resume="never"` or into another `out`'
_GIVE_NETWORK = f"give the folder of a training run, or its {BEST}"


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
    restore(network, saved.tensors, path)
    network.to(device).eval().use(acceleration(torch.device(device)))
    return network, saved.header


def _bytes_of_network(header: Mapping[str, Any]) -> int:
    """The size of the weights of the architecture that a header names."""
    if header.get("model") not in ARCHITECTURES:
        return MAX_CHECKPOINT  # what is wrong with it is said by the name
    with torch.device("meta"):  # without memory
        network = EnhancementNetwork(header.get("model", ""))
    return sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())


def restore(network: EnhancementNetwork, tensors: dict[str, Tensor], path: Path) -> None:
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
