"""Pairs that are dimmed on a GPU: some threads read and decode images before it, others encode after it.

The pixels are those of the CPU kernel, bit for bit, so a shard does not depend on the device.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain

import numpy as np
import torch

from dimmagen.core.errors import UsageError, Ways
from dimmagen.core.threads import ordered_map
from dimmagen.dataset.writer import Sample
from dimmagen.dimmers.dimmer import Draw, ImageDimmer
from dimmagen.generate.pair import PairSettings, add_labels, finish_pair, naming, prepare_light
from dimmagen.generate.plan import ShardJob
from dimmagen.sources import light_image
from dimmagen.sources.light_image import LightImage, LightImageRef

BATCH_PIXELS = 8_000_000  # maximum per batch, unless a single image has more: about 2 GB on the device


class GpuDimmer:
    """Makes the pairs of a job and dims them on one device.

    Args:
        dimmer: with a camera model.
        settings: as planned.
        device: as PyTorch names it, `cuda` or `cuda:1`.
        threads: number that decode, and number that encode.

    Raises:
        UsageError: PyTorch does not find the device, or the dimmer model does not run on it.
    """

    def __init__(self, dimmer: ImageDimmer, settings: PairSettings, device: str, threads: int) -> None:
        if not dimmer.model.on_device:
            raise UsageError(
                f"model {dimmer.model.kind} runs on the CPU only: elsewhere its pixels would differ",
                Ways.of('use `device="cpu"`', '`model="camera"`'),
                code="device",
                model=dimmer.model.kind,
                device=device,
            )
        self.dimmer, self.model = dimmer, dimmer.model
        self.settings = settings
        self.device = find_device(device)
        self.threads = threads

    def samples(self, job: ShardJob) -> Iterator[tuple[int, Sample]]:
        """The index of a shard within the job, and its next pair.

        Raises:
            DimmagenError: as :class:`dimmagen.generate.worker.PairShardWorker`.
        """
        loaded = ordered_map(partial(self._load, job.variants[0]), job.refs, self.threads)
        dimmed = chain.from_iterable(self._dim(batch, job.variants) for batch in _batches(loaded))
        return ordered_map(partial(self._finish, job, job.labels_by_key()), dimmed, self.threads)

    def _load(self, variant: int, ref: LightImageRef) -> LightImage:
        with naming(ref, variant):
            return prepare_light(light_image.load_light_image(ref), self.settings)

    def _dim(
        self, batch: Sequence[LightImage], variants: Sequence[int]
    ) -> Iterator[tuple[int, LightImage, np.ndarray, Draw]]:
        """Dim images of equal size together; yields them in their given order, variant by variant."""
        by_size = defaultdict(list)
        for index, light in enumerate(batch):
            by_size[light.pixels.shape].append(index)
        stacks = [
            (indices, torch.from_numpy(np.stack([batch[index].pixels for index in indices])).to(self.device))
            for indices in by_size.values()
        ]
        for number, variant in enumerate(variants):
            draws = [self.dimmer.draw(light.ref.key, variant, self.settings.seed) for light in batch]
            dark: dict[int, np.ndarray] = {}
            for indices, stacked in stacks:
                exposed = self.model.expose_tensors(
                    stacked.permute(0, 3, 1, 2), [draws[index] for index in indices]
                )
                dark |= zip(indices, exposed.permute(0, 2, 3, 1).contiguous().cpu().numpy(), strict=True)
            for index, light in enumerate(batch):
                yield number, light, dark[index], draws[index]

    def _finish(
        self,
        job: ShardJob,
        labels: Mapping[str, bytes],
        made: tuple[int, LightImage, np.ndarray, Draw],
    ) -> tuple[int, Sample]:
        number, light, exposed, draw = made
        variant = job.variants[number]
        with naming(light.ref, variant):
            dark = self.model.develop(exposed)
            sample = finish_pair(light, dark, draw, self.dimmer, variant, self.settings)
            return number, add_labels(sample, labels, job.labels_extension)


def find_device(name: str) -> torch.device:
    """A device of this machine, by PyTorch's name for it.

    Raises:
        UsageError: there is no such device.
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(
            f"there is no kind of device {name!r}",
            'give `device="cuda"` or `device="cpu"`',
            code="device",
            device=name,
        ) from error
    index, count = device.index or 0, torch.cuda.device_count()
    if device.type == "cuda" and index >= count:
        raise UsageError(
            f"PyTorch finds no GPU {index} on this machine (it finds {count})",
            'use `device="cpu"`, or install a PyTorch build with CUDA support',
            code="device",
            device=name,
        )
    return device


def _batches(lights: Iterable[LightImage]) -> Iterator[list[LightImage]]:
    """Consecutive images with at most `BATCH_PIXELS` in total, or one larger image."""
    batch: list[LightImage] = []
    pixels = 0
    for light in lights:
        size = light.ref.width * light.ref.height
        if batch and pixels + size > BATCH_PIXELS:
            yield batch
            batch, pixels = [], 0
        batch.append(light)
        pixels += size
    if batch:
        yield batch
