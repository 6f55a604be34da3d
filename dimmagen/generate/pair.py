"""One pair: from a light image to the bytes and the metadata row that are written."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from dimmagen.core import hashing
from dimmagen.core.errors import DimmagenError, UnavailableError, UsageError, fault_of
from dimmagen.core.machine import is_machine_trouble, machine_error
from dimmagen.dataset.writer import Sample
from dimmagen.dimmers.base import Draw
from dimmagen.dimmers.dimmer import DimmerBuilder, ImageDimmer
from dimmagen.generate.light_format import AskedLightFormat, convert_light
from dimmagen.images import codec
from dimmagen.sources.labels.index import label_file
from dimmagen.sources.light_image import LightImage, LightImageRef

IMAGE_FORMATS: dict[str, Callable[[np.ndarray], bytes]] = {
    "png": codec.encode_png,
    "webp": codec.encode_webp,
}
# Longest side in pixels that a format can hold, where images may be longer.
MAX_SIDES = {"webp": 16_383}

BuildDimmer = Callable[[], ImageDimmer]
"""Builds the dimmer; picklable, so that each worker builds its own once and no weights are sent."""


def dimmer_builder(
    profile: str, gamma: tuple[float, float] | None = None, ladder: Sequence[float] = (), **options: Any
) -> BuildDimmer:
    """A function that builds the dimmer of a profile in each worker.

    The dimmer is built once here, so that wrong arguments are reported early.

    Args:
        profile: name or folder.
        gamma: range of the brightness draw; default the profile's.
        ladder: fixed gammas instead of drawn ones.
        options: as for :meth:`ImageDimmer.from_profile`.

    Raises:
        UsageError: both `gamma` and `ladder` are given, or as :meth:`ImageDimmer.from_profile`.
    """
    if gamma and ladder:
        raise UsageError(
            "`ladder` gives the gammas that `gamma` would draw",
            "omit one of the two",
            code="conflict",
            parameters=("gamma", "ladder"),
        )
    return DimmerBuilder(profile, gamma_range=gamma, ladder=ladder, **options)


@dataclass(frozen=True, slots=True)
class PairSettings:
    """The settings of the pairs, without those of the dimmer.

    Attributes:
        variants: dark images per light image.
        seed: random seed for all draws, in [0, 2^63).
        samples_per_shard: maximum number of pairs per shard; shard sizes differ by at most one.
        image_format: `png` or `webp` (lossless), of the dark images.
        light_format: of the light images, from
            :func:`~dimmagen.generate.light_format.choose_light_format`; `same` keeps their own. `auto` is
            only for plans, which replace it.
    """

    variants: int = 1
    seed: int = 0
    samples_per_shard: int = 500
    image_format: str = "png"
    light_format: AskedLightFormat = "same"

    def record(self) -> dict[str, Any]:
        """The settings as a manifest records them; `light_format` only if a light image is converted."""
        values = asdict(self)
        if self.light_format == "same":
            del values["light_format"]
        return values


def pair_key(light_key: str, variant: int) -> str:
    """The key of a pair, from the key of its light image and its variant."""
    return f"{light_key}-v{variant}"


def prepare_light(light: LightImage, settings: PairSettings) -> LightImage:
    """A light image as the data set stores it, from which its dark images are made.

    Raises:
        ValueError: the light format of the settings is `auto`, which the plan replaces.
    """
    if settings.light_format == "auto":
        raise ValueError("the light format is chosen by the plan")
    return convert_light(light, settings.light_format)


def make_pair(light: LightImage, dimmer: ImageDimmer, variant: int, settings: PairSettings) -> Sample:
    """One pair, from the light image to the bytes and the metadata row that are written: a pure function.

    Args:
        light: from :func:`prepare_light`.
        dimmer: that makes the dark image.
        variant: number of the dark image among those of its light image, from 0.
        settings: of the data set.

    Raises:
        ValueError: the dimmer returned an image of another size or type.
    """
    draw = dimmer.draw(light.ref.key, variant, settings.seed)
    return finish_pair(light, dimmer.dim(light.pixels, draw), draw, dimmer, variant, settings)


def finish_pair(
    light: LightImage, dark: np.ndarray, draw: Draw, dimmer: ImageDimmer, variant: int, settings: PairSettings
) -> Sample:
    """The second half of :func:`make_pair`: what is written for a light image and its dark image.

    Args:
        light: the light image.
        dark: uint8 (height, width, 3), of the light image's size.
        draw: that the dark image was made with.
        dimmer, variant, settings: as for :func:`make_pair`.

    Raises:
        ValueError: the dark image has another size or type.
    """
    ref = light.ref
    height, width, _ = light.pixels.shape
    if dark.shape != light.pixels.shape or dark.dtype != np.uint8:
        returned, wanted = f"{dark.dtype} {dark.shape}", f"uint8 {light.pixels.shape}"
        raise ValueError(f"the dimmer {dimmer.model.kind} returned {returned}, not {wanted}")
    dark_file = IMAGE_FORMATS[settings.image_format](dark)
    row = {
        "key": pair_key(ref.key, variant),
        "light_key": ref.key,
        "source": ref.source,
        "name": ref.name,
        "source_sha256": ref.sha256,
        "transform": ref.transform,
        "crop": "full",
        "profile": dimmer.name,
        "model": dimmer.model.kind,
        "variant": variant,
        "seed": settings.seed,
        **draw.record(),
        "lightness_before": light.lightness,
        "lightness_after": codec.lightness(dark),
        "width": width,
        "height": height,
        "dark_sha256": hashing.sha256(dark_file),
        "dark_pixel_sha256": codec.pixel_sha256(dark),
        "light_sha256": light.sha256,
        "light_pixel_sha256": light.pixel_sha256,
    }
    return Sample(row, dark_file, settings.image_format, light.data, ref.extension)


def add_labels(sample: Sample, labels: Mapping[str, bytes], extension: str) -> Sample:
    """A pair with the labels of its light image.

    Args:
        sample: the pair.
        labels: records of :meth:`.Labels.records` by light key; empty in a run without labels.
        extension: ending of the file with labels.
    """
    if not labels:
        return sample
    record = labels[sample.row["light_key"]]
    return replace(sample, labels=label_file(record, extension), labels_extension=extension)


@contextmanager
def naming(ref: LightImageRef, variant: int) -> Iterator[None]:
    """Any error inside the block becomes one that names the pair and its light image, and says what to do.

    Raises:
        UnavailableError: raised in the block, as it is.
        MachineError: the machine is in trouble, such as a full disk.
        DimmagenError: in place of any other error, with its code if it has one.
    """
    try:
        yield
    except UnavailableError:
        raise  # concerns the storage, not this image
    except Exception as error:
        if is_machine_trouble(error):
            what = f"pair {pair_key(ref.key, variant)} of {ref.source} {ref.name!r}"
            raise machine_error(error, what) from error
        is_foreseen = isinstance(error, (DimmagenError, OSError))
        reason = " ".join(str(error).split()) if isinstance(error, DimmagenError) else fault_of(error)
        todo = "restore the source to its state at the start of the run" if is_foreseen else "fix that code"
        named = DimmagenError(
            f"pair {pair_key(ref.key, variant)} of {ref.source} {ref.name!r} could not be made ({reason})",
            f"{todo}, then run the same command again; complete shards stay valid",
            code="failed",
            key=pair_key(ref.key, variant),
            source=ref.source,
            name=ref.name,
        )
        if isinstance(error, DimmagenError):
            named.code = error.code
        raise named from error
