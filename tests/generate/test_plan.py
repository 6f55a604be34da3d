from hypothesis import given
from hypothesis import strategies as st

from dimmagen.core.shard_sizes import shard_sizes
from dimmagen.generate.plan import count_jobs, plan_jobs, plan_shards, variants_per_job

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
