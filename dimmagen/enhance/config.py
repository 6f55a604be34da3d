"""The settings of a training run."""

from dataclasses import dataclass, field
from typing import Literal

from dimmagen.core.errors import UsageError
from dimmagen.enhance.acceleration import Compile
from dimmagen.enhance.batch import ConditionOf, Equalise
from dimmagen.enhance.mixing import refuse_share
from dimmagen.enhance.network import ARCHITECTURES
from dimmagen.enhance.state import TrainSettings
from dimmagen.metrics.lpips import SMALLEST_SIDE

CACHE_GB = 1.0
MIX_SHARE = 0.1
VALIDATION_IMAGES = 4


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """The settings of a training run.

    All of them decide its losses, except for `training.checkpoint_every`, `cache_gb`, `device`,
    `lpips_weights` (whose numbers count, not their path), `compile`, `loggers` and
    `validation_images`.

    Attributes:
        data: folder or URL of a pair data set, or None.
        pairs: folder or CSV of real pairs to train on instead; None with `data`.
        mix_pairs: folder or CSV of real pairs to mix into the batches of `data`; None for none.
        mix_share: of the examples that are then real, in (0, 1).
        names: of the pairs (or mixed pairs) to use; None for all.
        hold_out: names of pairs that are not trained on but, without `validate`, validated on.
        validate: folder or CSV of real pairs to validate on. With None, some light images of the data set are
            kept back for validation; without a data set, the training pairs themselves are used.
        validation_photos: how many light images are kept back; None for 16, or a quarter of fewer than 64.
        network: run or network file to start from; None starts from random weights.
        architecture: name in the registry (`compact`, `small`, `paper`); that of `network` if it is given.
        crop, batch, flip, seed: of the training examples; the batch size is that of one worker.
        equalise: whether the histogram that is equalised for the network's input is that of the `crop`, or
            that of the whole `image`, as in enhancing; None as is best for the architecture.
        condition: whether the change of lightness that the network gets is that of the `crop`, or that of
            the whole `image`, as in enhancing; None as is best for the architecture.
        perceptual: `vgg`, `none`, or `auto`: VGG where the weights of LPIPS are available.
        perceptual_weight: of LPIPS in the loss.
        training: settings of the loop.
        loaders: number of processes that read; it decides the order of the data.
        cache_gb: maximum size of the decoded images that are kept in memory, in GB.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        lpips_weights: file or folder with the weights of LPIPS; None takes those of the lpips package.
        compile: whether torch compiles the network; `auto` does on a GPU, for long runs.
        loggers: names in :data:`~dimmagen.enhance.loggers.LOGGERS` that get the log as well.
        validation_images: how many validation pairs each strip of images shows; 0 writes no strips.

    Raises:
        UsageError: the network or LPIPS cannot take the crop, or arguments exclude each other.
    """

    data: str | None = None
    pairs: str | None = None
    mix_pairs: str | None = None
    mix_share: float = MIX_SHARE
    names: tuple[str, ...] | None = None
    hold_out: tuple[str, ...] = ()
    validate: str | None = None
    validation_photos: int | None = None
    network: str | None = None
    architecture: str = "compact"
    crop: int = 256
    batch: int = 4
    flip: bool = False
    seed: int = 0
    equalise: Equalise | None = None
    condition: ConditionOf | None = None
    perceptual: Literal["auto", "vgg", "none"] = "auto"
    perceptual_weight: float = 0.1
    training: TrainSettings = field(default_factory=TrainSettings)
    loaders: int = 0
    cache_gb: float = CACHE_GB
    device: str = "auto"
    lpips_weights: str | None = None
    compile: Compile = "auto"
    loggers: tuple[str, ...] = ()
    validation_images: int = VALIDATION_IMAGES

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
        if not -(2**63) <= self.seed < 2**64:
            raise UsageError(
                f"`seed` is {self.seed}",
                "give a number from 0 to 2^63 - 1",
                code="out-of-range",
                parameter="seed",
                value=self.seed,
            )
        self._refuse_conflicts()

    def _refuse_conflicts(self) -> None:
        """Raise a UsageError where arguments exclude each other."""
        if self.mix_pairs is not None:
            refuse_share(self.mix_share)
            if self.data is None:
                raise UsageError(
                    "`mix_pairs` are mixed into the pairs of a data set, but no data set is given",
                    "give `data`, or train on real pairs alone with `pairs`",
                    code="conflict",
                )
        if self.data is not None and self.mix_pairs is None:
            for name, way_on in (
                ("hold_out", "give `validation_photos`"),
                ("names", "choose pairs of a data set with `make_subset()`"),
            ):
                if getattr(self, name):
                    raise UsageError(
                        f"`{name}` selects among real pairs, but none are given",
                        way_on,
                        code="conflict",
                        parameter=name,
                    )
