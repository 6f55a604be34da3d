"""The folder of a training run: its settings, its log, its checkpoint, and the best network so far.

    run.json                 model, settings and data of the run
    log.csv                  one row per iteration
    checkpoint.safetensors   everything that is needed to resume, in one file
    best.safetensors         the network with the best validation PSNR: the one that other commands read
    validation/N.png         images of the validation at iteration N

Tensors are stored in safetensors files, numbers in their headers as JSON: nothing in them can run code.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from dimmagen.core import storage
from dimmagen.core.errors import UsageError
from dimmagen.core.lock import refuse_gone
from dimmagen.core.outputs import ResumeMode
from dimmagen.dataset.manifest import MANIFEST
from dimmagen.enhance.checkpoints import BEST, CHECKPOINT, SavedTensors, load_tensors, save_tensors

RUN_SCHEMA = "dimmagen-run-1"
COLUMNS = ("iteration", "loss", "mse", "lpips", "learning_rate", "psnr")  # of log.csv
RUN, LOG = "run.json", "log.csv"
LOGGERS = "loggers.json"  # which runs of Weights & Biases or MLflow continue this one
STRIPS = "validation"  # folder
MADE_BY = "made_by"  # what is recorded of a run but does not make it another one
THREADS = "threads"  # in it: the number that a processor computes with, which decides how sums are rounded
# What runs were before their run.json named it.
FORMER_SETTINGS = {"equalise": "crop", "condition": "crop"}


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
        for folder in (self.path, self.path / STRIPS):  # of a run that was killed
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
        if discards:  # otherwise the images there are somebody's own
            for strip in (self.path / STRIPS).glob("*.png"):
                if strip.stem.isdigit():
                    storage.remove(strip)
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
        if (content := self._content()) is None:
            return None
        content.pop(MADE_BY, None)
        return content

    def threads(self) -> int | None:
        """The number of threads that the run was begun with; None where it does not say so."""
        made_by = (self._content() or {}).get(MADE_BY)
        threads = made_by.get(THREADS) if isinstance(made_by, dict) else None
        return threads if type(threads) is int and threads > 0 else None

    def _content(self) -> dict[str, Any] | None:
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
        return content

    def save(self, name: str, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
        """Publish tensors with a header, see :func:`.save_tensors`.

        Args:
            name: `CHECKPOINT` or `BEST`.
            tensors: on any device; saved from the CPU.
            header: JSON values.

        Raises:
            DimmagenError: the folder was removed or moved meanwhile, or cannot be written to.
        """
        refuse_gone(self.path)
        save_tensors(self.path / name, tensors, header)

    def load(self, name: str) -> SavedTensors | None:
        """The file that was saved under `name`; None if there is none.

        Raises:
            DimmagenError: see :func:`.load_tensors`.
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
