"""How time grows with the pixels of a photo, the photos, the variants and the workers.

    python -m benchmarks.scaling [--quick] [--data FOLDER] [--json FILE]
    python -m benchmarks.scaling --plot FIGURES.json benchmarks/scaling.png

The second form draws what `make bench` or the first form wrote.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.figures import Figure, Options, alternately, main
from benchmarks.photos import write_tiled
from benchmarks.processes import run_seconds
from benchmarks.stages import mean_pair_seconds
from dimmagen.core.threads import use_one_thread
from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.sources.light_images import open_light_images

MEGAPIXELS = (0.25, 0.5, 1, 2, 4, 8, 16, 24)
PHOTOS = (4, 16, 64, 256)
VARIANTS = (1, 4, 16, 64)
WORKERS = (1, 2, 4)
CURVES = {
    "decode, dim and encode of a pair, by megapixels": ("megapixels", "seconds, one thread"),
    "dim serially, by photos": ("photos of 0.5 megapixels", "seconds, whole process"),
    "dim serially, by variants": ("variants of 4 photos of 0.5 megapixels", "seconds, whole process"),
    "dim with ray, by workers": ("workers", "seconds, whole process"),
}
_BY_PIXELS, _BY_PHOTOS, _BY_VARIANTS, _BY_WORKERS = CURVES


def measure(options: Options) -> Iterator[Figure]:
    use_one_thread()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield from _by_pixels(options, folder)
        for curve, runs in _whole_runs(options, folder).items():
            actions = [partial(_dim_seconds, folder, *run) for run in runs.values()]
            for at, values in zip(runs, alternately(actions, options.runs(3)), strict=True):
                yield Figure(curve, "s", values, at)


def _by_pixels(options: Options, folder: Path) -> Iterator[Figure]:
    dimmer = ImageDimmer.from_profile("lol3")
    for megapixels in _few(options, MEGAPIXELS):
        photos = write_tiled(options, folder / f"by-pixels-{megapixels}", megapixels, 2)
        refs = list(open_light_images([str(photos)]).refs())
        mean_pair_seconds(refs, dimmer, folder)  # the first call compiles
        values = [mean_pair_seconds(refs, dimmer, folder) for _ in range(options.runs(5))]
        yield Figure(_BY_PIXELS, "s", values, megapixels)


def _whole_runs(options: Options, folder: Path) -> dict[str, dict[int, tuple[Path, int, int]]]:
    """Of each curve and each point (photos, variants, workers); no workers: serially."""
    numbers = {*_few(options, PHOTOS), 4, 16}
    photos = {
        count: write_tiled(options, folder / f"photos-{count}", 0.5, count) for count in sorted(numbers)
    }
    many = 2 if options.quick else 32
    return {
        _BY_PHOTOS: {count: (photos[count], 1, 0) for count in _few(options, PHOTOS)},
        _BY_VARIANTS: {count: (photos[4], count, 0) for count in _few(options, VARIANTS)},
        _BY_WORKERS: {count: (photos[16], many, count) for count in _few(options, WORKERS)},
    }


def _few(options: Options, values: tuple) -> tuple:
    return values[:2] if options.quick else values


def _dim_seconds(folder: Path, photos: Path, variants: int, workers: int) -> float:
    how = ("--executor", "ray", "--workers", workers) if workers else ("--executor", "serial")
    with tempfile.TemporaryDirectory(dir=folder) as out:
        words = ("dim", "--profile", "lol3", "--source", photos, "--shards", Path(out) / "out")
        return run_seconds(*words, *how, "--variants", variants, "--samples-per-shard", 4)


def plot(rows: list[dict], path: Path) -> None:
    """Draw the curves; both axes are logarithmic, so that a straight line at 45 degrees is proportional."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import LogLocator, NullLocator

    figure, panels = pyplot.subplots(2, 2, figsize=(9, 7), layout="constrained")
    for axes, (curve, (across, up)) in zip(panels.flat, CURVES.items(), strict=True):
        points = sorted(
            (row["at"], row["median"], row["min"], row["max"]) for row in rows if row["name"] == curve
        )
        if not points:
            continue
        at, median, least, most = zip(*points, strict=True)
        axes.fill_between(at, least, most, alpha=0.25)
        axes.plot(at, median, "o-")
        axes.set(
            xlabel=across, ylabel=up, xscale="log", yscale="log", ylim=(min(least) / 1.5, max(most) * 1.5)
        )
        axes.set_xticks(at, [f"{value:g}" for value in at])
        axes.yaxis.set_major_locator(LogLocator(10, (1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_minor_locator(NullLocator())
        axes.grid(alpha=0.3)
    figure.suptitle("median, and least to most of the runs")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--plot"]:
        plot(json.loads(Path(sys.argv[2]).read_text())["figures"], Path(sys.argv[3]))
    else:
        main("scaling", measure, __doc__)
