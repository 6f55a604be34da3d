"""One training run, from its settings to its best network, step by step."""

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
from dimmagen.enhance.acceleration import Compile, acceleration
from dimmagen.enhance.batch import ConditionOf, Crops, Equalise
from dimmagen.enhance.checkpoints import BEST, ResumeMode, RunFolder, load_network
from dimmagen.enhance.data import Batches, RealPairs, ShardBatches
from dimmagen.enhance.distributed_context import SINGLE_PROCESS, DistributedContext
from dimmagen.enhance.log import summary_writer_class
from dimmagen.enhance.loop import TrainProgress, train
from dimmagen.enhance.losses import EnhancementLoss
from dimmagen.enhance.network import ARCHITECTURES, EnhancementNetwork
from dimmagen.enhance.state import TrainSettings
from dimmagen.enhance.training_shards import cut_middle, open_shards
from dimmagen.metrics.lpips import LPIPS, SMALLEST_SIDE, load_lpips

VALIDATION_PHOTOS = 16
_LOG = logging.getLogger(__name__)
CACHE_GB = 1.0


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """The settings of a training run.

    All of them decide its losses, except for `training.checkpoint_every`, `cache_gb`, `device`,
    `lpips_weights` (whose numbers count, not their path), `tensorboard` and `compile`.

    Attributes:
        data: folder or URL of a pair data set, or None.
        pairs: folder or CSV of real pairs to train on instead; None with `data`.
        names: of the pairs to use; None for all.
        hold_out: names of pairs that are not trained on but, without `validate`, validated on.
        validate: folder or CSV of real pairs to validate on. With None, some light images of the data set are
            kept back for validation; without a data set, the training pairs themselves are used.
        validation_photos: how many light images are kept back.
        network: run or network file to start from; None starts from random weights.
        architecture: name in the registry (`compact`, `small`, `paper`); that of `network` if it is given.
        crop, batch, flip, seed: of the training examples; the batch size is that of one worker.
        equalise: whether the histogram that is equalised for the network's input is that of the `crop`, or
            that of the whole `image`, as in enhancing.
        condition: whether the change of lightness that the network is told is that of the `crop`, or that of
            the whole `image`, as in enhancing.
        perceptual: `vgg` or `none`.
        perceptual_weight: of LPIPS in the loss.
        training: settings of the loop.
        loaders: number of processes that read; it decides the order of the data.
        cache_gb: maximum size of the decoded images that are kept in memory, in GB.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        lpips_weights: file or folder with the weights of LPIPS; None takes those of the lpips package.
        tensorboard: write TensorBoard's files as well.
        compile: whether torch compiles the network; `auto` does on a GPU, for long runs.

    Raises:
        UsageError: the network or LPIPS cannot take the crop.
    """

    data: str | None = None
    pairs: str | None = None
    names: tuple[str, ...] | None = None
    hold_out: tuple[str, ...] = ()
    validate: str | None = None
    validation_photos: int = VALIDATION_PHOTOS
    network: str | None = None
    architecture: str = "compact"
    crop: int = 256
    batch: int = 4
    flip: bool = False
    seed: int = 0
    equalise: Equalise = "image"
    condition: ConditionOf = "image"
    perceptual: Literal["vgg", "none"] = "vgg"
    perceptual_weight: float = 0.1
    training: TrainSettings = field(default_factory=TrainSettings)
    loaders: int = 0
    cache_gb: float = CACHE_GB
    device: str = "auto"
    lpips_weights: str | None = None
    tensorboard: bool = False
    compile: Compile = "auto"

    def __post_init__(self) -> None:
        known = self.architecture in ARCHITECTURES
        multiple = ARCHITECTURES[self.architecture].multiple if known else 1
        if self.crop % multiple:
            lower = self.crop // multiple * multiple
            raise UsageError(
                f"`crop={self.crop}`: the architecture {self.architecture} takes multiples of {multiple}",
                f"give {f'{lower} or ' if lower else ''}{lower + multiple}",
                code="out-of-range",
                parameter="crop",
                value=self.crop,
            )
        if self.perceptual == "vgg" and self.crop < SMALLEST_SIDE["vgg"]:
            raise UsageError(
                f"`crop={self.crop}` is too small for LPIPS with VGG",
                'give 16 or more, or `perceptual="none"`',
                code="out-of-range",
                parameter="crop",
                value=self.crop,
            )


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
        raise UsageError(
            "there are no pairs to validate on",
            "give `validation_photos`, or `validate`",
            code="missing-argument",
        )
    if config.tensorboard:
        summary_writer_class()  # fails before the folder is claimed
    torch.manual_seed(config.seed)
    network = _network(config).to(device)
    lpips = load_lpips("vgg", config.lpips_weights) if config.perceptual == "vgg" else None
    identity = _identity(config, data, validation, lpips, context)
    loss = EnhancementLoss(lpips, config.perceptual_weight).to(device)
    run = RunFolder(out)
    with exclusive(str(out)) if context.first else nullcontext():
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
            accelerated=acceleration(device, config.compile, config.training.iterations),
        )


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


def _data(config: TrainConfig, context: DistributedContext) -> tuple[Batches, Sequence[RealPair], str]:
    """The batches, the validation pairs, and the hash of the training data."""
    crops = Crops(config.crop, config.flip, config.seed, config.equalise, config.condition)
    validation = [cut_middle(pair) for pair in _fitting_pairs(config.validate)] if config.validate else []
    if config.data is not None:
        kept_back = 0 if config.validate else config.validation_photos
        opened = open_shards(config.data, kept_back, config.crop)
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
        raise UsageError("there is nothing to train on", "give `data`, or `pairs`", code="missing-argument")
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
    """Everything that decides the losses: the settings, with hashes in place of paths."""
    names = {"architecture": "model"}  # the name in schema 1 of run.json
    settings = {names.get(name, name): value for name, value in asdict(config).items()}
    for name in (
        "data",
        "pairs",
        "names",
        "cache_gb",
        "device",
        "lpips_weights",
        "tensorboard",
        "compile",
        "network",
        "validate",
    ):
        del settings[name]
    settings |= settings.pop("training")
    del settings["checkpoint_every"]
    settings |= {"data_sha256": data, "workers": context.size, "start_sha256": ""}
    settings["validate_sha256"] = _hash(validation) if config.validate else ""
    settings["lpips_sha256"] = lpips.sha256() if lpips is not None else ""
    if config.network is not None:
        start = Path(config.network)
        settings["start_sha256"] = storage.size_and_sha256(start / BEST if start.is_dir() else start)[1]
    return settings
