"""What a run trains on and is validated on, by its settings."""

import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dimmagen.core import storage
from dimmagen.core.errors import UsageError
from dimmagen.dimmers.pair_problems import accept_pairs
from dimmagen.dimmers.real_pairs import RealPair, load_pairs, split_held_out
from dimmagen.enhance.batch import Crops
from dimmagen.enhance.config import TrainConfig
from dimmagen.enhance.data import Batches, RealPairs, ShardBatches
from dimmagen.enhance.distributed_context import DistributedContext
from dimmagen.enhance.inputs import mean_lightness
from dimmagen.enhance.mixing import MixedBatches
from dimmagen.enhance.training_shards import OpenShards, cut_middle, open_shards

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The data of a run.

    Attributes:
        batches: to train on.
        validation: pairs that choose the best network.
        validated_on: what these are, in words, such as `the 3 training pairs themselves`.
        sha256: of the training data: the root hash of the data set, or a hash of the pairs.
        mix_sha256: of the real pairs that are mixed in; empty without them.
        origin: which data set or pairs they are, as JSON values.
        lightness_examples: some dark images that are trained on, with the means of their light images.
        kept_back: number of photos of the data set that are validated on.
        real: the real pairs that are trained on.
    """

    batches: Batches
    validation: Sequence[RealPair]
    validated_on: str
    sha256: str
    mix_sha256: str
    origin: dict[str, Any]
    lightness_examples: Callable[[], Iterable[tuple[np.ndarray, float]]]
    kept_back: int = 0
    real: Sequence[RealPair] = ()


def open_training_data(config: TrainConfig, context: DistributedContext) -> TrainingData:
    """Open the data of a run.

    Args:
        config: of the run.
        context: this process among those that train together.

    Raises:
        UsageError, DimmagenError: there is nothing to train on, or it cannot be read; see
            :func:`~dimmagen.enhance.training_shards.open_shards` and
            :func:`~dimmagen.dimmers.real_pairs.load_pairs`.
    """
    equalise, condition = config.equalise or "image", config.condition or "image"
    crops = Crops(config.crop, config.flip, config.seed, equalise, condition)
    given = [cut_middle(pair) for pair in fitting_pairs(config.validate)] if config.validate else []
    if config.data is not None:
        return _of_data_set(config, config.data, crops, given, context)
    if config.pairs is None:
        raise UsageError("there is nothing to train on", "give `data`, or `pairs`", code="missing-argument")
    pairs, held_out = split_held_out(fitting_pairs(config.pairs, config.names), config.hold_out)
    validation, words = _validation(given, held_out, config.validate)
    if not validation:
        validation, words = [cut_middle(pair) for pair in pairs], f"the {_counted(pairs)} it was trained on"
    return TrainingData(
        RealPairs(pairs, crops, config.batch, context.rank, context.size),
        validation,
        words,
        pairs_sha256(pairs),
        "",
        {"name": storage.last_part(config.pairs), "sha256": pairs_sha256(pairs), "pairs": len(pairs)},
        lambda: [(pair.dark, mean_lightness(pair.light)) for pair in pairs],
        real=pairs,
    )


def _of_data_set(
    config: TrainConfig, data: str, crops: Crops, given: Sequence[RealPair], context: DistributedContext
) -> TrainingData:
    mixed, held_out = _mixed_pairs(config)
    validation, words = _validation(given, held_out, config.validate)
    opened = open_shards(data, 0 if validation else config.validation_photos, config.crop)
    if opened.too_small and context.first:
        _LOG.info("%d pairs are left out: smaller than the crop of %d", opened.too_small, config.crop)
    batches: Batches = ShardBatches(
        opened.shards,
        crops,
        config.batch,
        config.loaders,
        context.rank,
        context.size,
        int(min(config.cache_gb, 1e9) * 1e9),
    )
    if mixed:
        real = RealPairs(mixed, crops, batch=1)
        batches = MixedBatches(batches, real, config.mix_share, config.batch, context.rank, context.size)
    if not validation:
        validation, words = (
            opened.validation,
            f"{_counted(opened.validation, 'photo')} kept back from training",
        )
    origin = _origin(data, opened)
    if mixed:
        origin["mixed_in"] = {"name": storage.last_part(str(config.mix_pairs)), "pairs": len(mixed)}
    return TrainingData(
        batches,
        validation,
        words,
        opened.root_hash,
        pairs_sha256(mixed) if mixed else "",
        origin,
        opened.lightness_examples,
        len(opened.validation),
        mixed,
    )


def _mixed_pairs(config: TrainConfig) -> tuple[list[RealPair], list[RealPair]]:
    """The real pairs to mix in, and those that are held out."""
    if config.mix_pairs is None:
        return [], []
    return split_held_out(fitting_pairs(config.mix_pairs, config.names), config.hold_out)


def _validation(
    given: Sequence[RealPair], held_out: Sequence[RealPair], path: str | None
) -> tuple[list[RealPair], str]:
    """The real pairs to validate on, and what they are; none if the caller has to choose others."""
    if given:
        return list(given), f"the {_counted(given)} of {path}"
    return [cut_middle(pair) for pair in held_out], f"{_counted(held_out)} held out from training"


def fitting_pairs(path: str, names: Sequence[str] | None = None) -> list[RealPair]:
    """Real pairs whose images fit together; raises as :func:`~dimmagen.dimmers.real_pairs.load_pairs`."""
    pairs = load_pairs(path, names)
    accept_pairs(pairs)
    return pairs


def pairs_sha256(pairs: Sequence[RealPair]) -> str:
    """SHA-256 over the files of pairs, in their order; hex."""
    files = "".join(f"{pair.dark_sha256} {pair.light_sha256}\n" for pair in pairs)
    return hashlib.sha256(files.encode()).hexdigest()


def _origin(path: str, opened: OpenShards) -> dict[str, Any]:
    return {"name": storage.last_part(path), "root_hash": opened.root_hash, **opened.origin}


def _counted(pairs: Sequence[RealPair], what: str = "pair") -> str:
    return f"{len(pairs)} {what}{'' if len(pairs) == 1 else 's'}"
