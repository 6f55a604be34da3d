"""One training run, from its settings to its best network, step by step."""

import logging
import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from dimmagen.core import storage
from dimmagen.core.errors import UsageError, Ways
from dimmagen.core.lock import exclusive
from dimmagen.core.outputs import ResumeMode
from dimmagen.core.processors import processor_count
from dimmagen.core.text import pluralize
from dimmagen.core.threads import torch_threads
from dimmagen.enhance.acceleration import acceleration
from dimmagen.enhance.checkpoints import BEST, CHECKPOINT, load_network
from dimmagen.enhance.config import TrainConfig
from dimmagen.enhance.distributed_context import SINGLE_PROCESS, DistributedContext
from dimmagen.enhance.lightness import learn_lightness
from dimmagen.enhance.loggers import require_loggers
from dimmagen.enhance.loop import TrainProgress, train
from dimmagen.enhance.losses import EnhancementLoss
from dimmagen.enhance.network import ARCHITECTURES, EnhancementNetwork
from dimmagen.enhance.provenance import REAL_LIGHTS, maker, real_lights
from dimmagen.enhance.run_folder import THREADS, RunFolder
from dimmagen.enhance.state import TrainSettings
from dimmagen.enhance.training_data import TrainingData, open_training_data, pairs_sha256
from dimmagen.enhance.training_shards import VALIDATION_PHOTOS
from dimmagen.metrics.lpips import LPIPS, SMALLEST_SIDE, load_lpips

__all__ = ["TrainConfig", "pick_device", "run_training"]
_LOG = logging.getLogger(__name__)


def run_training(
    config: TrainConfig,
    out: str | Path,
    resume: ResumeMode,
    progress: TrainProgress,
    context: DistributedContext = SINGLE_PROCESS,
) -> None:
    """Train a network; a run that was stopped is resumed from its last checkpoint, with the same losses.

    Args:
        config: what to train, on what and how.
        out: the run's folder.
        resume: `if-possible` resumes a run of the same settings and starts one otherwise; `always` requires
            a run to resume; `never` discards the run that is there.
        progress: notified of each iteration.
        context: this process among those that train together.

    Raises:
        UsageError, DimmagenError: see :func:`~dimmagen.enhance.loop.train`, :func:`open_shards`,
            :func:`~dimmagen.dimmers.real_pairs.load_pairs` and :class:`RunFolder`; nothing is overwritten.
    """
    device = pick_device(config.device)
    with forked_random_state(device):
        _train(config, out, resume, progress, context, device)


def forked_random_state(device: torch.device) -> AbstractContextManager[None]:
    """Give torch's random state back at the end: a seed is for a run, not for what the process does next."""
    devices = range(torch.cuda.device_count()) if device.type == "cuda" else ()
    return torch.random.fork_rng(devices)


def _train(
    config: TrainConfig,
    out: str | Path,
    resume: ResumeMode,
    progress: TrainProgress,
    context: DistributedContext,
    device: torch.device,
) -> None:
    require_loggers(config.loggers)  # before the folder is claimed
    prepared = prepare(config, context, device)
    run = RunFolder(out)
    with exclusive(str(out), may_only_read=True) if context.first else nullcontext() as refused:
        if context.first:
            if refused and (resume == "never" or not _is_over(run, config.training)):
                raise refused
            run.begin(prepared.identity, resume, prepared.notes | {THREADS: torch.get_num_threads()})
        context.wait()
        threads = torch.get_num_threads() if device.type != "cpu" else _threads(run, context)
        notes = {**prepared.notes}
        if context.first:
            notes["lightness"] = learn_lightness(prepared.data.lightness_examples()).as_json()
        with torch_threads(threads):
            train(
                prepared.network,
                prepared.data.batches,
                prepared.data.validation,
                prepared.loss,
                config.training,
                run,
                progress,
                context=context,
                loggers=config.loggers,
                strip_pairs=config.validation_images,
                notes=notes,
                accelerated=acceleration(device, config.compile, config.training.iterations),
            )


def _is_over(run: RunFolder, settings: TrainSettings) -> bool:
    """Whether there is a checkpoint, after which no iteration is left."""
    saved = run.load(CHECKPOINT)
    return saved is not None and settings.is_over(saved.header["iteration"], saved.header["best_iteration"])


def _threads(run: RunFolder, context: DistributedContext) -> int:
    """The number of threads that a run was begun with: with another one, sums are rounded otherwise.

    Where there are fewer processors, more threads would make a step many times as slow, and it is the number
    of this process.
    """
    here, processors = torch.get_num_threads(), processor_count()
    begun = run.threads() or here
    if begun <= max(here, processors):
        if begun != here and context.first:
            _LOG.info("computing with %s, as the run was begun", pluralize(begun, "thread"))
        return begun
    if context.first:
        _LOG.warning(
            "the run was begun with %d threads, and this machine has %s: the rest is computed with %d, and "
            "will differ by rounding from a run that was not interrupted",
            begun,
            pluralize(processors, "processor"),
            here,
        )
    return here


@dataclass(frozen=True, slots=True)
class PreparedRun:
    """Everything that a run needs before its first iteration.

    Attributes:
        network, loss: on the device.
        data: to train on and to validate on.
        identity: everything that decides the losses, as JSON values.
        notes: what else its files say of it: the data, the crops, and what made them, as JSON values.
    """

    network: EnhancementNetwork
    loss: EnhancementLoss
    data: TrainingData
    identity: dict[str, Any]
    notes: dict[str, Any]


def prepare(config: TrainConfig, context: DistributedContext, device: torch.device) -> PreparedRun:
    """Open the data and build the network and the loss of a run; nothing is written.

    Raises:
        UsageError, DimmagenError: see :func:`run_training`.
    """
    config = _settled(config)
    data = open_training_data(config, context)
    if not data.validation:
        raise UsageError(
            "there are no pairs to validate on",
            Ways.of("give `validation_photos`", "`validate`"),
            code="missing-argument",
        )
    torch.manual_seed(config.seed)
    network = _network(config).to(device)
    lpips = _perceptual(config, context)
    loss = EnhancementLoss(lpips, config.perceptual_weight).to(device)
    notes = {"data": data.origin, "made_by": maker(), "validated_on": data.validated_on}
    start = load_network(config.network)[1] if config.network else None
    if lights := real_lights(data.real, start):
        notes[REAL_LIGHTS] = lights
    notes["crops"] = {"side": config.crop, "equalise": config.equalise, "condition": config.condition}
    return PreparedRun(network, loss, data, _identity(config, data, lpips, context), notes)


def _settled(config: TrainConfig) -> TrainConfig:
    """The settings with what the architecture decides."""
    start = load_network(config.network)[0].architecture_name if config.network else config.architecture
    best = ARCHITECTURES[start].inputs_of
    return replace(config, equalise=config.equalise or best, condition=config.condition or best)


def _perceptual(config: TrainConfig, context: DistributedContext) -> LPIPS | None:
    """LPIPS with VGG, or None; `auto` takes it where its weights are available, and says which it is."""
    if config.perceptual == "none":
        return None
    if config.perceptual == "vgg" or config.lpips_weights is not None:
        return load_lpips("vgg", config.lpips_weights)
    lpips = None
    reason = f"crops of {config.crop} are too small for LPIPS"
    if config.crop >= SMALLEST_SIDE["vgg"]:
        try:
            lpips = load_lpips("vgg")
        except UsageError:
            reason = "the weights of LPIPS are not available"
    if context.first:
        found = f"LPIPS with VGG16 and a weight of {config.perceptual_weight}"
        _LOG.info("perceptual loss: %s", found if lpips is not None else f"none, as {reason}")
    return lpips


def pick_device(name: str) -> torch.device:
    """The device of that name.

    Args:
        name: `auto` (a GPU if there is one), `cpu`, `cuda` or `cuda:N`.

    Raises:
        UsageError: there is no such device.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]+)?", name):
        raise UsageError(
            f"the device {name!r} is unknown", "give auto, cpu or cuda", code="device", device=name
        )
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(
            f"`device={name}`: torch sees no GPU", 'use `device="cpu"`', code="device", device=name
        )
    return torch.device(name)


def _network(config: TrainConfig) -> EnhancementNetwork:
    if config.network is None:
        return EnhancementNetwork(config.architecture)
    return load_network(config.network)[0].train()


def _identity(
    config: TrainConfig, data: TrainingData, lpips: LPIPS | None, context: DistributedContext
) -> dict[str, Any]:
    """Everything that decides the losses: the settings, with hashes in place of paths."""
    names = {"architecture": "model"}  # the name in schema 1 of run.json
    settings = {names.get(name, name): value for name, value in asdict(config).items()}
    for name in _NO_PART_OF_THE_IDENTITY:
        del settings[name]
    settings |= settings.pop("training")
    del settings["checkpoint_every"]
    if config.validation_photos is None:  # a run of a version with a fixed number is continued
        settings["validation_photos"] = data.kept_back or VALIDATION_PHOTOS
    settings["perceptual"] = "none" if lpips is None else "vgg"
    settings |= {"data_sha256": data.sha256, "workers": context.size, "start_sha256": ""}
    settings["validate_sha256"] = pairs_sha256(data.validation) if config.validate else ""
    settings["lpips_sha256"] = lpips.sha256() if lpips is not None else ""
    if data.mix_sha256:
        settings |= {"mix_sha256": data.mix_sha256, "mix_share": config.mix_share}
    if config.network is not None:
        start = Path(config.network)
        settings["start_sha256"] = storage.size_and_sha256(start / BEST if start.is_dir() else start)[1]
    return settings


_NO_PART_OF_THE_IDENTITY = (
    "data",
    "pairs",
    "names",
    "mix_pairs",
    "mix_share",
    "cache_gb",
    "device",
    "lpips_weights",
    "loggers",
    "validation_images",
    "compile",
    "network",
    "validate",
)
