"""One training run, from its settings to its best network: what `dimmagen train` does, in order."""

import hashlib
import logging
import re
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import torch

from dimmagen.core import storage
from dimmagen.core.errors import UsageError
from dimmagen.core.lock import exclusive
from dimmagen.dimmers.real_pairs import (
    RealPair,
    check_pairs,
    load_pairs,
    refuse_unsuitable_pairs,
    split_held_out,
)
from dimmagen.enhance.checkpoints import BEST, ResumeMode, RunFolder, load_network
from dimmagen.enhance.data import Batches, Crops, RealPairs, ShardBatches, cut_middle, open_shards
from dimmagen.enhance.distributed_context import SINGLE_PROCESS, DistributedContext
from dimmagen.enhance.log import summary_writer_class
from dimmagen.enhance.loop import TrainProgress, train
from dimmagen.enhance.losses import EnhancementLoss
from dimmagen.enhance.network import ARCHITECTURES, EnhancementNetwork
from dimmagen.enhance.state import TrainSettings
from dimmagen.metrics.lpips import LPIPS, SMALLEST_SIDE, load_lpips

VALIDATION_PHOTOS = 16
_LOG = logging.getLogger(__name__)
CACHE_GB = 1.0


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Everything that a run is asked for; only what is under "how" leaves its losses as they are.

    Raises:
        UsageError: a crop that the network or LPIPS cannot take.

    Attributes:
        shards: a pair data set, or None.
        pairs: folder or CSV of real pairs to train on instead; None with shards.
        names: of the pairs to use; None for all.
        hold_out: names of pairs that are not trained on but, without `validate`, validated on.
        validate: folder or CSV of real pairs to validate on; None keeps photos of the shards back for it
            (and validates on the training pairs themselves where there are no shards).
        validation_photos: how many are kept back.
        start_from: run or network file to begin with; None begins with random weights.
        model: `compact`, `small` or `paper`; the start's where there is one.
        crop, batch, flip, seed: of the training examples; the batch is that of one worker.
        perceptual: `vgg` or `none`; perceptual_weight: of it.
        training: the loop's settings; `checkpoint_every` is how, not what.
        loaders: processes that read; they decide the order of the data.
        cache_gb: of decoded pictures that are kept in memory; how, not what.
        device, lpips_weights (by the numbers in them), tensorboard: how, not what.
    """

    shards: str | None = None
    pairs: str | None = None
    names: tuple[str, ...] | None = None
    hold_out: tuple[str, ...] = ()
    validate: str | None = None
    validation_photos: int = VALIDATION_PHOTOS
    start_from: str | None = None
    model: str = "compact"
    crop: int = 256
    batch: int = 4
    flip: bool = False
    seed: int = 0
    perceptual: Literal["vgg", "none"] = "vgg"
    perceptual_weight: float = 0.1
    training: TrainSettings = field(default_factory=TrainSettings)
    loaders: int = 0
    cache_gb: float = CACHE_GB
    device: str = "auto"
    lpips_weights: str | None = None
    tensorboard: bool = False

    def __post_init__(self) -> None:
        architecture = ARCHITECTURES.get(self.model)
        multiple = architecture.multiple if architecture else 1
        if self.crop % multiple:
            lower = self.crop // multiple * multiple
            raise UsageError(
                f"--crop {self.crop}: the model {self.model} takes multiples of {multiple}",
                f"give {f'{lower} or ' if lower else ''}{lower + multiple}",
            )
        if self.perceptual == "vgg" and self.crop < SMALLEST_SIDE["vgg"]:
            raise UsageError(
                f"--crop {self.crop} is too small for LPIPS with VGG", "give 16 or more, or --perceptual none"
            )


def run_training(
    config: TrainConfig,
    out: str | Path,
    resume: ResumeMode,
    progress: TrainProgress,
    context: DistributedContext = SINGLE_PROCESS,
) -> None:
    """Train as asked; a run that was stopped goes on from its last checkpoint, with the same losses.

    Args:
        config: what to train, on what and how.
        out: the run's folder.
        resume: `if-possible` goes on with a run of the same settings and begins one otherwise; `always` wants
            a run to go on with; `never` discards what is there.
        progress: told of each iteration.
        context: this process among those that train together.

    Raises:
        UsageError, DimmagenError: see :func:`~dimmagen.enhance.loop.train`, :func:`open_shards`,
            :func:`~dimmagen.dimmers.real_pairs.load_pairs` and :class:`RunFolder`; nothing is overwritten.
    """
    device = pick_device(config.device)
    devices = range(torch.cuda.device_count()) if device.type == "cuda" else ()
    with torch.random.fork_rng(devices):  # the seed is for this run, not for what the process does afterwards
        _train(config, out, resume, progress, context, device)


def _train(
    config: TrainConfig,
    out: str | Path,
    resume: ResumeMode,
    progress: TrainProgress,
    context: DistributedContext,
    device: torch.device,
) -> None:
    batches, validation, data = _data(config, context)
    if not validation:
        raise UsageError("there are no pairs to validate on", "give --validation-photos, or --validate DIR")
    if config.tensorboard:
        summary_writer_class()  # told before the folder is begun
    torch.manual_seed(config.seed)
    network = _network(config).to(device)
    lpips = load_lpips("vgg", config.lpips_weights) if config.perceptual == "vgg" else None
    identity = _identity(config, data, validation, lpips, context)
    loss = EnhancementLoss(lpips, config.perceptual_weight).to(device)
    run = RunFolder(out)
    with exclusive(str(out), "--out") if context.first else nullcontext():
        if context.first:
            run.begin(identity, resume)
        context.wait()
        train(
            network,
            batches,
            validation,
            loss,
            config.training,
            run,
            progress,
            context=context,
            tensorboard=config.tensorboard,
        )


def pick_device(name: str) -> torch.device:
    """`auto` is a GPU where there is one.

    Raises:
        UsageError: there is no such device.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]+)?", name):
        raise UsageError(f"--device {name} is unknown", "give auto, cpu or cuda")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"--device {name}: torch sees no GPU", "use --device cpu")
    return torch.device(name)


def _network(config: TrainConfig) -> EnhancementNetwork:
    if config.start_from is None:
        return EnhancementNetwork(config.model)
    return load_network(config.start_from)[0].train()


def _data(config: TrainConfig, context: DistributedContext) -> tuple[Batches, Sequence[RealPair], str]:
    """Batches, validation pairs, and the hash of the data."""
    crops = Crops(config.crop, config.flip, config.seed)
    validation = [cut_middle(pair) for pair in _fitting_pairs(config.validate)] if config.validate else []
    if config.shards is not None:
        kept_back = 0 if config.validate else config.validation_photos
        opened = open_shards(config.shards, kept_back, config.crop)
        if opened.too_small and context.first:
            _LOG.info("%d pairs are left out: smaller than the crop of %d", opened.too_small, config.crop)
        batches: Batches = ShardBatches(
            opened.shards,
            crops,
            config.batch,
            config.loaders,
            context.rank,
            context.size,
            int(config.cache_gb * 1e9),
        )
        return batches, validation or opened.validation, opened.root_hash
    if config.pairs is None:
        raise UsageError("there is nothing to train on", "give --shards, or --pairs")
    found = _fitting_pairs(config.pairs, config.names)
    pairs, held_out = split_held_out(found, config.hold_out)
    batches = RealPairs(pairs, crops, config.batch, context.rank, context.size)
    return batches, validation or [cut_middle(pair) for pair in held_out or pairs], _hash(pairs)


def _fitting_pairs(path: str, names: Sequence[str] | None = None) -> list[RealPair]:
    pairs = load_pairs(path, names)
    refuse_unsuitable_pairs(check_pairs(pairs))
    return pairs


def _hash(pairs: Sequence[RealPair]) -> str:
    files = "".join(f"{pair.dark_sha256} {pair.light_sha256}\n" for pair in pairs)
    return hashlib.sha256(files.encode()).hexdigest()


def _identity(
    config: TrainConfig,
    data: str,
    validation: Sequence[RealPair],
    lpips: LPIPS | None,
    context: DistributedContext,
) -> dict:
    """What decides the losses: the settings, the data and the start by hashes, not places."""
    settings = asdict(config)
    for name in (
        "shards",
        "pairs",
        "names",
        "cache_gb",
        "device",
        "lpips_weights",
        "tensorboard",
        "start_from",
        "validate",
    ):
        del settings[name]
    settings |= settings.pop("training")
    del settings["checkpoint_every"]
    settings |= {"data_sha256": data, "workers": context.size, "start_sha256": ""}
    settings["validate_sha256"] = _hash(validation) if config.validate else ""
    settings["lpips_sha256"] = lpips.sha256() if lpips is not None else ""
    if config.start_from is not None:
        start = Path(config.start_from)
        settings["start_sha256"] = storage.size_and_sha256(start / BEST if start.is_dir() else start)[1]
    return settings
