"""The worker: dims the light pictures of one job and writes its shards."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from dimmagen.core import hashing
from dimmagen.core.errors import DimmagenError, UnavailableError
from dimmagen.dataset.writer import Sample, ShardRecord, write_pair_shards
from dimmagen.dimmers.dimmer import Dimmer, Draw
from dimmagen.generate.plan import ShardJob
from dimmagen.images import codec
from dimmagen.sources import light_images
from dimmagen.sources.light_images import Light, LightRef

IMAGE_FORMATS: dict[str, Callable[[np.ndarray], bytes]] = {
    "png": codec.encode_png,
    "webp": codec.encode_webp,
}

BuildDimmer = Callable[[], Dimmer]
"""Makes the dimmer; picklable, so that each worker builds its own once and no weights travel."""


@dataclass(frozen=True, slots=True)
class PairSettings:
    """What `dim` is asked for beside the profile.

    Attributes:
        variants: dark pictures per light picture.
        seed: of all draws.
        samples_per_shard: upper limit; shards come out equal to within one sample.
        image_format: `png` or `webp` (lossless), of the dark pictures; light pictures keep their own.
    """

    variants: int = 1
    seed: int = 0
    samples_per_shard: int = 500
    image_format: str = "png"


class PairShardWorker:
    """Makes shards, one call a job. What it makes depends on the job and the arguments below alone.

    Args:
        build_dimmer: called once.
        out: folder or fsspec URL of the data set.
        settings: as planned.
        device: `cpu`, or torch's name of the device that dims.
        threads: where a device dims: that decode, and as many that encode.

    Raises:
        UsageError: the device is not there, or the model does not run there.
    """

    def __init__(
        self,
        build_dimmer: BuildDimmer,
        out: str,
        settings: PairSettings,
        device: str = "cpu",
        threads: int = 1,
    ) -> None:
        self.dimmer = build_dimmer()
        self.out = out
        self.settings = settings
        self._samples: Callable[[ShardJob], Iterator[tuple[int, Sample]]] = self._one_by_one
        if device != "cpu":
            from dimmagen.generate.gpu_worker import (
                TensorDimmer,  # imports torch, which other workers do without
            )

            self._samples = TensorDimmer(self.dimmer, settings, device, threads).samples
        use_one_thread()

    def __call__(self, job: ShardJob, on_pair: Callable[[], None] = lambda: None) -> list[ShardRecord]:
        """Write the job's shards and return their records.

        Raises:
            DimmagenError: a light picture cannot be read or dimmed any more (names the pair), or a shard
                cannot be written; then no shard of the job is complete.
        """
        return write_pair_shards(self.out, job.shards, self._samples(job), on_pair)

    def _one_by_one(self, job: ShardJob) -> Iterator[tuple[int, Sample]]:
        for ref in job.refs:
            with naming(ref, job.variants[0]):
                light = light_images.load_light(ref)
            for number, variant in enumerate(job.variants):
                with naming(ref, variant):
                    sample = make_pair(light, self.dimmer, variant, self.settings)
                yield number, sample
                del sample  # before the next picture is in memory
            del light


def pair_key(light_key: str, variant: int) -> str:
    return f"{light_key}-v{variant}"


def make_pair(light: Light, dimmer: Dimmer, variant: int, settings: PairSettings) -> Sample:
    """One pair, from the light picture to the bytes and the row that are written: a pure function."""
    draw = dimmer.draw(light.ref.key, variant, settings.seed)
    return finish_pair(light, dimmer.dim(light.pixels, draw), draw, dimmer, variant, settings)


def finish_pair(
    light: Light, dark: np.ndarray, draw: Draw, dimmer: Dimmer, variant: int, settings: PairSettings
) -> Sample:
    """The second half of :func:`make_pair`: what is written of a light picture and its dark one."""
    ref = light.ref
    height, width, _ = light.pixels.shape
    if dark.shape != light.pixels.shape:
        raise ValueError(f"the dimmer made {dark.shape} of {light.pixels.shape}")
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


def use_one_thread() -> None:
    """One compute thread a worker: workers share the processors, and sums keep one order."""
    for module in ("torch", "numba"):  # only those that the dimmer needs
        if module in sys.modules:
            sys.modules[module].set_num_threads(1)


@contextmanager
def naming(ref: LightRef, variant: int) -> Iterator[None]:
    """Any error inside the block becomes a message that says which pair, which picture, and what to do."""
    try:
        yield
    except UnavailableError:
        raise  # about a place, not about this picture
    except Exception as error:
        reason = " ".join(str(error).split())
        if not isinstance(error, DimmagenError):
            reason = f"{type(error).__name__}: {reason}"
        raise DimmagenError(
            f"pair {pair_key(ref.key, variant)} of {ref.source} {ref.name!r} could not be made ({reason})",
            "put the source back as it was when the run began and run the same command again; "
            "complete shards stay valid",
        ) from error
