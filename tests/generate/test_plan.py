"""Every pair is in one shard and every shard in one job."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dimmagen.core.shard_sizes import shard_sizes
from dimmagen.generate.plan import ShardJob, count_jobs, plan_jobs, plan_shards, variants_per_job

counts = st.integers(1, 60)


@given(counts, st.integers(1, 70), st.integers(1, 4))
def test_every_pair_is_planned_once_in_equal_shards_without_a_gap(lights, samples_per_shard, variants):
    shards = plan_shards(lights, variants, samples_per_shard)

    assert [one.shard for one in shards] == [f"train-{index:05d}" for index in range(len(shards))]
    planned = [(light, one.variant) for one in shards for light in range(one.start, one.stop)]
    assert sorted(planned) == [(light, variant) for light in range(lights) for variant in range(variants)]
    sizes = [len(one) for one in shards]
    assert max(sizes) <= samples_per_shard
    assert max(sizes) - min(sizes) <= 1


@given(counts, st.integers(1, 70), st.integers(1, 3), st.integers(1, 3))
def test_more_variants_only_append_shards(lights, samples_per_shard, variants, more):
    before = plan_shards(lights, variants, samples_per_shard)
    after = plan_shards(lights, variants + more, samples_per_shard)
    assert after[: len(before)] == before


@given(counts, st.integers(1, 70))
def test_the_number_of_shards_is_the_smallest_that_holds_all(samples, limit):
    assert len(shard_sizes(samples, limit)) == -(-samples // limit)


class Photos:
    """Light images of which only the number matters."""

    def refs(self, start, stop):
        return list(range(start, stop))


@given(counts, st.integers(1, 70), st.integers(1, 40), st.sampled_from([1, 2, 7, None]))
def test_every_planned_shard_is_in_one_job_with_its_light_images_and_the_jobs_are_as_many_as_counted(
    lights, samples_per_shard, variants, workers
):
    shards = plan_shards(lights, variants, samples_per_shard)
    at_once = variants_per_job(len(shards), variants, workers)
    jobs = list(plan_jobs(shards, Photos(), at_once))
    made = {
        shard: (variant, job.refs)
        for job in jobs
        for shard, variant in zip(job.shards, job.variants, strict=True)
    }
    assert made == {one.shard: (one.variant, tuple(range(one.start, one.stop))) for one in shards}
    assert sum(len(job.shards) for job in jobs) == len(shards)
    assert max(len(job.shards) for job in jobs) <= at_once
    assert len(jobs) == count_jobs(len(shards) // variants, variants, workers)


@pytest.mark.parametrize(
    ("shards", "variants", "workers", "at_once"),
    [
        (10_000, 40, 1, 8),
        (10_000, 5, 1, 5),
        (56, 40, 1, 7),
        (63, 40, 1, 7),
        (63, 40, 2, 3),
        (7, 40, 1, 1),
        (1024, 40, None, 2),
        (1023, 40, None, 1),
        (0, 1, None, 1),
    ],
)
def test_a_job_has_as_many_variants_as_leave_eight_jobs_for_each_worker(shards, variants, workers, at_once):
    assert variants_per_job(shards, variants, workers) == at_once


def test_a_plan_may_begin_at_any_shard():
    shards = plan_shards(5, 2, 3, first=99_998)
    assert [(one.shard, one.variant, one.start, one.stop) for one in shards] == [
        ("train-99998", 0, 0, 3),
        ("train-99999", 0, 3, 5),
        ("train-100000", 1, 0, 3),
        ("train-100001", 1, 3, 5),
    ]


class Marks:
    """Labels of light images that are numbers."""

    member = "labels.json"

    def records(self, start, stop):
        return tuple(b"%d" % number for number in range(start, stop))


def test_the_jobs_come_in_the_plans_order_with_the_labels_of_their_light_images():
    shards = plan_shards(4, 3, 2)
    jobs = list(plan_jobs(shards, Photos(), 2, Marks()))
    assert [job.name for job in jobs] == [
        "train-00000 train-00002",
        "train-00001 train-00003",
        "train-00004",
        "train-00005",
    ]
    assert [job.labels for job in jobs] == 2 * [(b"0", b"1"), (b"2", b"3")]
    assert {job.labels_extension for job in jobs} == {"labels.json"}
    [plain, *_] = plan_jobs(shards, Photos(), 2)
    assert (plain.labels, plain.labels_extension, plain.labels_by_key()) == ((), "", {})
    refs = tuple(SimpleNamespace(key=key) for key in "ab")
    assert ShardJob(refs, ("train-00000",), (0,), (b"0", b"1")).labels_by_key() == {"a": b"0", "b": b"1"}
    with pytest.raises(ValueError, match="longer"):
        ShardJob(refs, ("train-00000",), (0,), (b"0", b"1", b"2")).labels_by_key()
