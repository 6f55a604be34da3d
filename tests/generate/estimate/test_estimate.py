"""An estimate compared with the data set that is then made, and with the plan of the run."""

import os
import shutil
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dimmagen.core.errors import DimmagenError
from dimmagen.generate.estimate import sample as sample_module
from dimmagen.generate.estimate.calibration import (
    MEASURED_STAGES,
    Calibration,
    CalibrationPair,
    calibrate,
    choose,
)
from dimmagen.generate.estimate.estimate import Interval, RunEstimate
from dimmagen.generate.estimate.sample import LightImageTotals, sample_light_images
from dimmagen.generate.pair import PairSettings
from dimmagen.generate.plan import plan_shards
from dimmagen.sources.light_images import open_light_images
from tests.dataset_helpers import build_dimmer, make, write_photos

PHOTOS = 10


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("photos") / "photos", PHOTOS)


@pytest.fixture(scope="module")
def half_calibrated(photos):
    """The estimate for 10 photos and 2 variants from 10 of the 20 pairs, 4 pairs per shard."""
    settings = PairSettings(variants=2, samples_per_shard=4)
    refs, totals = sample_light_images([str(photos)])
    return RunEstimate(
        totals, settings, "serial", 1, calibrate(choose(refs, 2, 10, seed=0), build_dimmer, settings)
    )


def synthetic(seconds=(0.1,), photos=100, variants=1, samples_per_shard=10, workers=4, executor="ray"):
    """An estimate from pairs of a thousand pixels that took that many seconds."""
    pairs = tuple(
        CalibrationPair(1000, dict.fromkeys(MEASURED_STAGES, value / len(MEASURED_STAGES)), 5120)
        for value in seconds
    )
    measured = Calibration(pairs, 1.0, 200 * 10**6, 260 * 10**6, ((1, 9000), (2, 9300)))
    settings = PairSettings(variants=variants, samples_per_shard=samples_per_shard)
    return RunEstimate(
        LightImageTotals(photos, 1000 * photos, 2000, 1.0), settings, executor, workers, measured
    )


def test_the_bytes_are_those_of_the_set_made_from_the_same_photos_to_a_few_per_cent(
    photos, half_calibrated, tmp_path
):
    make(photos, tmp_path / "out", variants=2, samples_per_shard=4)

    def made(*patterns):
        files = [path for pattern in patterns for path in (tmp_path / "out").glob(pattern)]
        return sum(path.stat().st_size for path in files)

    assert half_calibrated.tar_bytes.expected == pytest.approx(made("shards/*"), rel=0.05)
    assert half_calibrated.metadata_bytes == pytest.approx(made("metadata/*"), rel=0.05)
    # The settings of the manifest and the columns of Croissant do not grow with the set.
    assert half_calibrated.listing_bytes == pytest.approx(made("manifest.json", "croissant.json"), rel=0.2)


def test_a_large_sets_lists_of_shards_grow_by_what_a_shard_takes(photos, tmp_path):
    sizes = []
    for size in (5, 1):
        make(photos, tmp_path / str(size), samples_per_shard=size)
        sizes.append(
            sum((tmp_path / str(size) / name).stat().st_size for name in ("manifest.json", "croissant.json"))
        )
    small, large = synthetic(photos=10, samples_per_shard=5), synthetic(photos=10, samples_per_shard=1)
    assert large.listing_bytes - small.listing_bytes == pytest.approx(sizes[1] - sizes[0], rel=0.05)


def test_every_stage_takes_time_and_they_add_up_to_a_pair(half_calibrated):
    stages = [value.expected for value in half_calibrated.stage_seconds.values()]
    assert min(stages) > 0
    assert sum(stages) == pytest.approx(half_calibrated.pair_seconds.expected)


def test_a_workers_memory_is_that_of_a_process_with_its_libraries(half_calibrated):
    assert 50e6 < half_calibrated.worker_bytes < 2e9
    assert half_calibrated.calibration.peak_bytes >= half_calibrated.calibration.base_bytes


@given(st.integers(1, 300), st.integers(1, 4), st.integers(1, 70), st.integers(1, 9))
def test_shards_and_their_sizes_are_those_of_the_plan(photos, variants, samples_per_shard, workers):
    planned = plan_shards(photos, variants, samples_per_shard)
    sizes = [len(shard) for shard in planned]
    estimate = synthetic((0.1,), photos, variants, samples_per_shard, workers)
    assert estimate.shards == len(planned)
    assert estimate.shard_samples == (min(sizes), max(sizes))
    assert estimate.pairs == sum(sizes)


def test_equal_pairs_give_an_exact_value_and_unequal_ones_an_interval_around_the_mean():
    exact, uncertain = synthetic([0.1] * 8).pair_seconds, synthetic([0.05, 0.15] * 4).pair_seconds
    assert exact.low == exact.expected == exact.high == pytest.approx(0.1)
    assert uncertain.low < uncertain.expected < uncertain.high
    assert uncertain.expected == pytest.approx(0.1)


def test_hours_count_whole_rounds_so_that_idle_workers_cost_as_much_as_busy_ones():
    full, ragged = synthetic(photos=120), synthetic(photos=100)  # 12 and 10 shards on 4 workers
    assert (full.load_balance.idle_workers, ragged.load_balance.idle_workers) == (0, 2)
    assert ragged.making_seconds.expected == full.making_seconds.expected == pytest.approx(0.1 * 10 * 3)
    assert ragged.cost(1.0, None)["compute"] == full.cost(1.0, None)["compute"]


def test_a_larger_photo_than_the_calibrated_ones_needs_more_memory():
    estimate = synthetic(executor="serial")  # 60 MB for 1000 pixels, and the largest photo has 2000
    assert estimate.worker_bytes == 200e6 + 2 * 60e6


def test_ten_times_the_photos_take_ten_times_the_bytes():
    small, large = synthetic(photos=100), synthetic(photos=1000)
    assert large.tar_bytes.expected == pytest.approx(10 * small.tar_bytes.expected)
    assert large.metadata_bytes == 10 * small.metadata_bytes
    assert small.photos.scaled_to(1000).pixels == large.photos.pixels


def test_costs_are_those_of_hours_and_bytes():
    estimate = synthetic(workers=2, executor="serial")
    hours = (estimate.making_seconds.expected + 1.0) / 3600
    cost = estimate.cost(3.0, 0.5)
    assert cost["compute"].expected == pytest.approx(2 * 3.0 * hours)
    assert cost["storage_a_month"].expected == pytest.approx(estimate.total_bytes.expected / 1e9 * 0.5)
    assert estimate.cost(None, None) == {}


def test_pairs_are_drawn_once_each_whatever_the_order_of_the_photos(photos):
    refs = open_light_images([str(photos)]).refs()
    for count in (3, PHOTOS, 15, 99):
        drawn = choose(refs, 2, count, seed=1)
        assert drawn == choose(reversed(refs), 2, count, seed=1)
        assert len(set(drawn)) == len(drawn) == min(count, 2 * PHOTOS)
        assert len({ref.key for ref, _ in drawn}) == min(count, PHOTOS)
    assert choose(refs, 2, 3, seed=1) != choose(refs, 2, 3, seed=2)


def test_a_large_source_is_sampled_and_the_rest_is_estimated(photos, monkeypatch):
    _, exact = sample_light_images([str(photos)])
    monkeypatch.setattr(sample_module, "MAX_SAMPLED", 6)
    refs, totals = sample_light_images([str(photos)])
    assert not exact.estimated
    assert exact.count == PHOTOS
    assert totals.estimated
    assert len(list(refs)) <= 6
    assert totals.count == pytest.approx(PHOTOS, abs=1)  # one of the 11 files is rejected
    assert totals.pixels / totals.count == pytest.approx(exact.pixels / exact.count, rel=0.05)


def test_the_sample_of_a_large_source_does_not_depend_on_where_it_is_stored(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(sample_module, "MAX_SAMPLED", 6)
    samples = [sample_light_images([str(shutil.copytree(photos, tmp_path / place))])[0] for place in "abcd"]
    assert len({tuple(ref.name for ref in sample) for sample in samples}) == 1


def test_an_image_that_is_gone_is_named(tmp_path):
    refs = open_light_images([str(write_photos(tmp_path / "photos", 2))]).refs()
    (tmp_path / "photos" / refs[0].name).unlink()
    with pytest.raises(DimmagenError, match=refs[0].name):
        calibrate([(refs[0], 0)], build_dimmer, PairSettings())


def test_a_calibration_that_is_killed_is_reported_as_such(photos):
    refs = open_light_images([str(photos)]).refs()
    with pytest.raises(DimmagenError, match="was killed") as error:
        calibrate([(refs[0], 0)], partial(os._exit, 9), PairSettings())
    assert error.value.code == "worker-lost"


def test_nothing_is_left_on_the_disk(photos, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    refs, _ = sample_light_images([str(photos)])
    before = {path: path.stat().st_mtime_ns for path in photos.iterdir()}
    calibrate(choose(refs, 1, 2, seed=0), build_dimmer, PairSettings())
    assert list(tmp_path.iterdir()) == []
    assert {path: path.stat().st_mtime_ns for path in photos.iterdir()} == before


def test_an_interval_is_scaled_and_moved_as_a_whole():
    assert Interval(1, 2, 3).times(2, plus=1) == Interval(3, 5, 7)
