"""What training and brightening take on one thread of a processor, with the network `compact`.

python -m benchmarks.training [--quick] [--data FOLDER] [--json FILE]
"""

import itertools
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch

from benchmarks.figures import Figure, Options, alternately, main, seconds
from benchmarks.photos import sources
from dimmagen.cli import cli
from dimmagen.enhance.batch import Batch, Crops
from dimmagen.enhance.data import ShardBatches
from dimmagen.enhance.enhancer import Enhancer
from dimmagen.enhance.losses import EnhancementLoss
from dimmagen.enhance.network import EnhancementNetwork
from dimmagen.enhance.state import TrainSettings, TrainState
from dimmagen.enhance.step import optimise
from dimmagen.enhance.training_shards import open_shards
from dimmagen.sources.light_image import load_light_image
from dimmagen.sources.light_images import open_light_images

CROP, BATCH = 128, 4


def measure(options: Options) -> Iterator[Figure]:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        shards = str(Path(folder) / "shards")
        words = ["dim", "--profile", "lol3", "--shards", shards, "--executor", "serial"]
        for source in sources(options):
            words += ["--source", source]
        cli.main(words, prog_name="dimmagen", standalone_mode=False)
        opened = open_shards(shards, 1, CROP)
        batches = [
            ShardBatches(opened.shards, Crops(CROP, True, 0), BATCH, cache_bytes=room) for room in (0, 2**31)
        ]
        pairs = sum(len(shard.training_keys) for shard in opened.shards)
        yield from _reading(batches, pairs // BATCH, options)
        (batch,) = itertools.islice(batches[0].open(0), 1)
    steps = [partial(_step, _state(bf16), batch) for bf16 in (False, True)]
    for step in steps:
        step()
    times = alternately([partial(_milliseconds, step) for step in steps], options.runs(25))
    for name, values in zip(("float32", "bfloat16"), times, strict=True):
        yield Figure(f"a step, {BATCH} crops of {CROP}, {name}", "ms", values)
    photo = load_light_image(
        max(open_light_images(["sample"]).refs(), key=lambda ref: ref.width * ref.height)
    ).pixels
    enhancer = Enhancer(EnhancementNetwork("compact").eval())
    enhancer.enhance(photo, 0.5)
    values = [_milliseconds(lambda: enhancer.enhance(photo, 0.5)) for _ in range(options.runs(9))]
    megapixels = photo.shape[0] * photo.shape[1] / 1e6
    yield Figure("brightening, by the megapixel", "ms", [value / megapixels for value in values])


def _reading(batches: list[ShardBatches], a_pass: int, options: Options) -> Iterator[Figure]:
    streams = [one.open(0) for one in batches]
    for stream in streams:
        for _ in range(a_pass + 1):  # every pair was seen once
            next(stream)
    most = 4 if options.quick else a_pass
    times = alternately([partial(_milliseconds, partial(next, stream)) for stream in streams], most)
    for name, values in zip(("decoded anew", "kept"), times, strict=True):
        yield Figure(f"reading {BATCH} pairs, {name}", "ms", values)


def _state(bf16: bool) -> TrainState:
    torch.manual_seed(0)
    return TrainState(EnhancementNetwork("compact"), TrainSettings(learning_rate=1e-3, bf16=bf16))


def _step(state: TrainState, batch: Batch) -> None:
    optimise(state.network, state, EnhancementLoss(), batch, 1e-3)


def _milliseconds(action: Callable[[], object]) -> float:
    return 1000 * seconds(action)


if __name__ == "__main__":
    main("training", measure, __doc__)
