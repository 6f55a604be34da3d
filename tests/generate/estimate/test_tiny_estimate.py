"""Every figure of an estimate, from measurements that are made up, and those of pairs of 12x16 pixels."""

import itertools
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest

from dimmagen.core.errors import DimmagenError
from dimmagen.core.hashing import FileRecord
from dimmagen.dataset.croissant import croissant
from dimmagen.dataset.manifest import Run, build_manifest
from dimmagen.dataset.reader import open_pairs
from dimmagen.dataset.writer import ShardRecord
from dimmagen.generate.estimate import calibration, from_sample
from dimmagen.generate.estimate.calibration import Calibration, CalibrationPair, calibrate, choose
from dimmagen.generate.estimate.estimate import Interval, RunEstimate
from dimmagen.generate.estimate.from_sample import estimate_run
from dimmagen.generate.estimate.sample import LightImageTotals
from dimmagen.generate.light_format import LightConversion
from dimmagen.generate.pair import PairSettings
from tests.dataset_helpers import build_dimmer
from tests.tiny_set import make_tiny, tiny_lights

SECONDS = {"decode": 0.04, "dim": 0.03, "encode": 0.02, "pack": 0.01}


def estimate_of(pairs=None, photos=None, settings=None, executor="ray", workers=4, **measured) -> RunEstimate:
    """Of a run whose pairs take 0.1 s; by default, 100 photos of 1000 pixels in 10 shards."""
    pairs = pairs or (CalibrationPair(1000, SECONDS, 5120),)
    found = Calibration(pairs, 1.0, 200 * 10**6, 260 * 10**6, ((2, 9000), (4, 9600)))
    return RunEstimate(
        photos or LightImageTotals(100, 100_000, 2000, 1.0),
        settings or PairSettings(samples_per_shard=10),
        executor,
        workers,
        replace(found, **measured),
    )


def exactly(value: float) -> dict:
    return dict.fromkeys(("low", "expected", "high"), pytest.approx(value))


def test_every_figure_is_what_the_measurements_make_of_it():
    estimate = estimate_of()
    found = estimate.to_dict()
    assert found["photos"] == asdict(estimate.photos)
    assert found["settings"] == asdict(estimate.settings)
    assert found["probe"] == {
        "pairs": 1,
        "confidence": 0.9,
        "pair_seconds": exactly(0.1),
        "stage_seconds": {stage: exactly(value) for stage, value in SECONDS.items()},
    }
    assert (found["pairs"], found["shards"]) == (100, 10)
    assert found["samples_per_shard"] == {"smallest": 10, "largest": 10}
    tars, metadata = 100 * 5120 + 10 * 5888, 10 * 8400 + 100 * 300
    assert found["bytes"] == {
        "shards": exactly(tars),
        "metadata": metadata,
        "manifest": estimate.listing_bytes,
        "total": exactly(tars + metadata + estimate.listing_bytes),
    }
    assert found["workers"] == {
        "executor": "ray",
        "count": 4,
        "variants_per_job": 1,
        "rounds": 3,
        "idle_in_last_round": 2,
        "idle_share": pytest.approx(2 / 12),
        "better_samples_per_shard": estimate.better_samples_per_shard,
    }
    assert found["seconds"] == {
        "look_at_photos": 1.0,
        "start": 5.0,
        "job": exactly(1.0),
        "making": exactly(3.0),
        "total": exactly(9.0),
    }
    assert found["memory"] == {
        "worker_bytes": 440 * 10**6,
        "bytes_per_pixel": 60_000,
        "all_workers_bytes": 1760 * 10**6,
    }
    assert found["bytes_written_a_second"] == pytest.approx(4 * tars / 100 / 0.1)
    assert found["requests"] == {"reads": 100, "writes": 30, "deletes": 10}


def test_shards_of_unequal_sizes_and_several_variants_in_a_job():
    """75 photos in 8 shards a variant, 4 variants, 1 worker: a job makes all variants of a shard."""
    settings = PairSettings(samples_per_shard=10, variants=4)
    photos = LightImageTotals(75, 75_000, 2000, 1.0)
    estimate = estimate_of(photos=photos, settings=settings, executor="serial", workers=1)
    assert estimate.variants_per_job == 4
    assert (estimate.shards, estimate.shard_samples) == (32, (9, 10))
    assert estimate.load_balance.jobs == 8
    assert estimate.to_dict()["samples_per_shard"] == {"smallest": 9, "largest": 10}
    pair = 0.04 / 4 + 0.06  # decoded once
    assert estimate.pair_seconds.expected == pytest.approx(pair)
    assert estimate.stage_seconds["decode"].expected == pytest.approx(0.01)
    assert estimate.job_seconds.expected == pytest.approx(10 * 4 * pair)
    assert estimate.making_seconds.expected == pytest.approx(300 * pair)
    assert estimate.start_seconds == 1.0
    assert estimate.worker_bytes == 320 * 10**6
    assert estimate.requests == {"reads": 75, "writes": 96, "deletes": 32}
    assert estimate.bytes_per_second == pytest.approx(estimate.tar_bytes.expected / 300 / pair)
    many = replace(estimate, workers=100)
    assert many.variants_per_job == 1
    assert many.requests["reads"] == 300
    assert many.bytes_per_second == pytest.approx(32 * estimate.tar_bytes.expected / 300 / 0.1)


def test_one_photo_more_than_there_is_room_for_makes_one_shard_larger():
    assert estimate_of(photos=LightImageTotals(11, 11_000, 2000, 1.0)).shard_samples == (5, 6)


def test_a_light_image_is_read_again_for_the_variants_that_are_left():
    settings = PairSettings(samples_per_shard=10, variants=3)
    estimate = estimate_of(photos=LightImageTotals(60, 60_000, 2000, 1.0), settings=settings, workers=1)
    assert estimate.variants_per_job == 2
    assert estimate.requests["reads"] == 120


def test_equal_measurements_give_equal_figures():
    pairs = tuple(CalibrationPair(1000 * n, SECONDS, 5120) for n in range(1, 9))
    assert estimate_of(pairs).to_dict() == estimate_of(pairs).to_dict()


def test_memory_that_did_not_grow_is_none_for_a_pixel():
    assert estimate_of(peak_bytes=10**8, executor="serial").worker_bytes == 200 * 10**6


@pytest.mark.parametrize(("tar_mib", "requests"), [(99.9, 1), (100.1, 5), (149.0, 5), (151.0, 6)])
def test_a_large_shard_is_sent_in_parts_of_50_mib(tar_mib, requests):
    size = (tar_mib * 2**20 - 5888) / 10
    estimate = estimate_of((CalibrationPair(1000, SECONDS, size),))
    assert estimate.tar_bytes.expected / 10 == pytest.approx(tar_mib * 2**20, abs=1e-3)
    assert estimate.requests["writes"] == 10 * (requests + 2)


def test_the_lists_of_shards_are_as_long_as_those_of_such_shards():
    estimate = estimate_of()
    size, rows = round(estimate.tar_bytes.expected / 10), round(estimate.metadata_bytes / 10)
    shards = [
        ShardRecord(
            f"shards/train-{number:05}.tar",
            10,
            size,
            "0" * 64,
            FileRecord(f"metadata/train-{number:05}.parquet", rows, "0" * 64),
        )
        for number in range(10)
    ]
    manifest = build_manifest(Run({}, {}), "", {}, 0, shards, [])
    listed = len(manifest.dump()) + len(croissant("", "", "", shards))
    assert estimate.listing_bytes == pytest.approx(listed, abs=12)  # its counts have more digits


def test_amounts_go_with_the_pixels_and_their_interval_is_that_of_drawn_pairs():
    pairs = tuple(
        CalibrationPair(pixels, dict.fromkeys(SECONDS, seconds / 4), 1)
        for pixels, seconds in ((1000, 0.1), (3000, 0.1), (2000, 0.4))
    )
    found = estimate_of(pairs, LightImageTotals(100, 250_000, 3000, 1.0)).pair_seconds
    assert found.expected == pytest.approx(2500 * 0.6 / 6000)
    drawn = np.random.default_rng(5).integers(0, 3, (50_000, 3))
    seconds, pixels = np.array([0.1, 0.1, 0.4]), np.array([1000, 3000, 2000])
    low, high = 2500 * np.quantile(seconds[drawn].sum(1) / pixels[drawn].sum(1), [0.05, 0.95])
    assert (found.low, found.high) == (pytest.approx(low, rel=0.03), pytest.approx(high, rel=0.03))


def test_costs_are_for_all_workers_from_the_start_to_the_end():
    estimate = estimate_of()
    cost = estimate.cost(9.0, 2.0)
    assert cost["compute"].expected == pytest.approx(4 * 9.0 * (3.0 + 5.0) / 3600)
    assert cost["storage_a_month"].expected == pytest.approx(2.0 * estimate.total_bytes.expected / 1e9)
    assert list(estimate.cost(9.0, None)) == ["compute"]
    assert list(estimate.cost(None, 2.0)) == ["storage_a_month"]
    assert Interval(1, 2, 3).times(2) == Interval(2, 4, 6)


# --- pairs that are made and measured -----------------------------------------------------------------


def test_variants_take_turns_among_the_drawn_images(lights):
    drawn = choose(lights.refs(), 2, 99, seed=0)
    assert [variant for _, variant in drawn] == [0, 1, 0, 1, 0, 1, 0, 1, 0, 1]
    assert [ref for ref, _ in drawn[:5]] == [ref for ref, _ in drawn[5:]]
    four = choose(lights.refs()[:4], 3, 99, seed=0)
    assert [variant for _, variant in four] == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]
    two = choose(lights.refs(), 1, 2, seed=0)
    assert two == choose(lights.refs()[::-1], 1, 2, seed=0)
    assert any(choose(lights.refs(), 1, 2, seed=seed) != two for seed in range(1, 5))


class SameProcess:
    """In place of a pool with one process: jobs run at once and here."""

    def __init__(self, processes, context, begin, arguments):
        assert (processes, context.get_start_method()) == (1, "spawn")
        begin(*arguments)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def submit(self, function, *arguments):
        result = function(*arguments)
        return SimpleNamespace(result=lambda: result)


@pytest.fixture
def same_process(monkeypatch):
    """Whose clocks go on by 1 s and by 10 s at each look, and whose memory grows by 1000 bytes."""
    memory = itertools.count(1000, 1000)
    clocks = {"perf_counter": itertools.count().__next__, "monotonic": itertools.count(5, 10).__next__}
    threads = []
    for name, value in {
        "ProcessPoolExecutor": SameProcess,
        "time": SimpleNamespace(**clocks),
        "peak_memory": memory.__next__,
        "use_one_thread": lambda: threads.append(1),
    }.items():
        monkeypatch.setattr(calibration, name, value)
    return threads


def test_pairs_are_measured_stage_by_stage(lights, same_process, tmp_path):
    settings, done = PairSettings(variants=2, seed=3), []
    chosen = [(ref, number % 2) for number, ref in enumerate(lights.refs()[:3])]
    found = calibrate(chosen, build_dimmer, settings, lambda: done.append(1))
    assert same_process == [1]
    assert len(done) == 3
    # The dimmer's two looks at the clock are between those of `make_pair`.
    seconds = {"decode": 1, "dim": 1, "encode": 2, "pack": 1}
    assert [pair.seconds for pair in found.pairs] == [seconds] * 3
    assert [pair.pixels for pair in found.pairs] == [16 * 12, 16 * 13, 16 * 14]
    assert (found.start_seconds, found.base_bytes, found.peak_bytes) == (10, 1000, 2000)
    assert found.most_pixels == 16 * 14
    make_tiny(lights, tmp_path / "out", variants=2, seed=3)
    rows = {(row["light_key"], row["variant"]): row for row in open_pairs(tmp_path / "out").rows()}
    for pair, (ref, variant) in zip(found.pairs, chosen, strict=True):
        row = rows[ref.key, variant]
        sizes = [row[f"{member}_size"] for member in ("dark", "json", "light")]
        assert pair.tar_bytes == sum(512 - size // -512 * 512 for size in sizes)
    counts, sizes = zip(*found.metadata_sizes, strict=True)
    assert counts == (1, 3)
    assert 0 < sizes[0] < sizes[1]


def test_half_of_the_rows_and_all_of_them_say_what_a_row_takes(lights, same_process, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    chosen = [(ref, 0) for ref in lights.refs()[:4]]
    sizes = calibrate(chosen, build_dimmer, PairSettings()).metadata_sizes
    assert [count for count, _ in sizes] == [2, 4]
    alone = calibrate(chosen[:1], build_dimmer, PairSettings()).metadata_sizes
    assert [count for count, _ in alone] == [0, 1]
    assert not list(tmp_path.iterdir())


def test_what_is_read_of_a_dimmer_and_its_errors_pass_through():
    class Failing:
        name = "mine"

        def dim(self, light, draw):
            raise ValueError(light, draw)

    timed = calibration._TimedDimmer(Failing())
    assert (timed.name, timed.seconds) == ("mine", 0.0)
    with pytest.raises(ValueError, match="'light', 'draw'"):
        timed.dim("light", "draw")
    assert timed.seconds > 0


def test_a_process_that_ends_is_named(lights, same_process, monkeypatch):
    def broken(*_):
        raise BrokenProcessPool

    monkeypatch.setattr(SameProcess, "submit", broken)
    with pytest.raises(DimmagenError, match="was killed") as error:
        calibrate([(lights.refs()[0], 0)], build_dimmer, PairSettings())
    assert error.value.code == "worker-lost"


def estimated(lights, monkeypatch, settings=None, **options):
    """The estimate with made-up measurements, and what was asked for."""
    asked = SimpleNamespace(conversion=LightConversion("png", {"png": 3, "jpg": 2}, 2, 50, 100, 2))
    asked.measured = Calibration((CalibrationPair(1000, SECONDS, 5120),), 1.0, 0, 0, ((1, 9000), (2, 9300)))

    def calibrated(*arguments):
        asked.calibrated = arguments
        return asked.measured

    def converted(*arguments):
        asked.converted = arguments
        return asked.conversion

    monkeypatch.setattr(from_sample, "calibrate", calibrated)
    monkeypatch.setattr(from_sample, "measure_conversion", converted)
    photos = options.pop("photos", LightImageTotals(5, 1000, 300, 1.0))
    settings = settings or PairSettings(variants=2, seed=7)
    return *estimate_run(lights.refs(), photos, build_dimmer, settings, **options), asked


def test_a_run_is_estimated_with_the_light_format_that_it_would_have(lights, monkeypatch):
    started = []
    settings = PairSettings(variants=2, seed=7, light_format="auto")
    estimate, conversion, asked = estimated(
        lights,
        monkeypatch,
        settings,
        executor="serial",
        workers=8,
        calibration_pairs=3,
        on_start=started.append,
    )
    assert started == [3]
    chosen, build, used, _ = asked.calibrated
    assert chosen == choose(lights.refs(), 2, 3, seed=7)
    assert (build, used) == (build_dimmer, replace(settings, light_format="png"))
    assert asked.converted == (lights.refs(), {"png": 3, "jpg": 2}, "png")
    assert (estimate.executor, estimate.workers, estimate.settings) == ("serial", 1, used)
    assert estimate.calibration is asked.measured
    assert (estimate.photos.count, estimate.photos.estimated) == (5, False)
    assert conversion == asked.conversion


def test_the_executor_is_that_of_the_run_which_decodes_whole_photos(lights, monkeypatch):
    """A light image may be a small copy of a photo that takes longer to decode than all else."""
    for photo_pixels, executor in ((0, "serial"), (29e6, "serial"), (30e6, "ray")):
        photos = LightImageTotals(5, 1000, 300, 1.0, photo_pixels=photo_pixels)
        estimate, *_ = estimated(lights, monkeypatch, photos=photos, executor="auto")
        assert estimate.executor == executor


def test_a_number_of_pairs_is_that_of_as_many_photos_as_it_takes(lights, monkeypatch):
    estimate, conversion, asked = estimated(lights, monkeypatch, pairs=21, on_pair=print)
    assert (estimate.photos.count, estimate.photos.pixels) == (11, 2200)
    assert estimate.executor == "ray"
    assert estimate.workers == from_sample.processor_count()
    assert (conversion.converted, conversion.bytes_after) == (4, 220)
    assert asked.calibrated[3] is print
    assert len(asked.calibrated[0]) == 10  # of 24 by default
    assert estimated(lights, monkeypatch, workers=3)[0].workers == 3


def test_by_default_24_pairs_are_made(monkeypatch, tmp_path):
    *_, asked = estimated(tiny_lights(tmp_path, 13), monkeypatch)
    assert len(asked.calibrated[0]) == 24
