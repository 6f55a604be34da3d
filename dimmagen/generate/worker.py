"""The worker: dims the light images of one job and writes its shards."""

from collections.abc import Callable, Iterator

from dimmagen.core.threads import one_thread
from dimmagen.dataset.writer import Sample, ShardRecord, write_pair_shards
from dimmagen.generate.pair import (
    BuildDimmer,
    PairSettings,
    add_labels,
    make_pair,
    naming,
    prepare_light,
)
from dimmagen.generate.plan import ShardJob
from dimmagen.sources import light_image


class PairShardWorker:
    """Makes shards, one call per job. The result depends only on the job and the arguments below.

    Args:
        build_dimmer: called once.
        out: folder or fsspec URL of the data set.
        settings: as planned.
        device: `cpu`, or PyTorch's name of the device that dims the images.
        threads: with such a device: number that decode, and number that encode.

    Raises:
        UsageError: there is no such device, or the dimmer model does not run on it.
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
                GpuDimmer,  # imports torch, which other workers do not need
            )

            self._samples = GpuDimmer(self.dimmer, settings, device, threads).samples

    def __call__(self, job: ShardJob, on_pair: Callable[[], None] = lambda: None) -> list[ShardRecord]:
        """Write the job's shards and return their records.

        Raises:
            DimmagenError: a light image can no longer be read or dimmed (the message names the pair), or a
                shard cannot be written; then no shard of the job is complete.
        """
        with one_thread():
            return write_pair_shards(self.out, job.shards, self._samples(job), on_pair)

    def _one_by_one(self, job: ShardJob) -> Iterator[tuple[int, Sample]]:
        labels = job.labels_by_key()
        for ref in job.refs:
            with naming(ref, job.variants[0]):
                light = prepare_light(light_image.load_light_image(ref), self.settings)
            for number, variant in enumerate(job.variants):
                with naming(ref, variant):
                    sample = make_pair(light, self.dimmer, variant, self.settings)
                    sample = add_labels(sample, labels, job.labels_extension)
                yield number, sample
                del sample  # before the next image is in memory
            del light
