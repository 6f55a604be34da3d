from hypothesis import given
from hypothesis import strategies as st

from dimmagen.jobs.plan import plan_shards, shard_sizes
from dimmagen.lights import LightRef


def references(count: int) -> list[LightRef]:
    return [
        LightRef(f"folder-{index:016x}", "folder", f"{index}.png", "0" * 64, "verbatim", "png", 8, 8, "{}")
        for index in range(count)
    ]


counts = st.integers(1, 60)


@given(counts, st.integers(1, 70), st.integers(1, 4))
def test_every_pair_is_planned_once_in_equal_shards_without_a_gap(lights, samples_per_shard, variants):
    jobs = plan_shards(references(lights), variants, samples_per_shard)

    assert [job.shard for job in jobs] == [f"train-{index:05d}" for index in range(len(jobs))]
    planned = [(ref.key, job.variant) for job in jobs for ref in job.refs]
    assert len(set(planned)) == len(planned) == lights * variants
    sizes = [len(job.refs) for job in jobs]
    assert max(sizes) <= samples_per_shard
    assert max(sizes) - min(sizes) <= 1


@given(counts, st.integers(1, 70), st.integers(1, 3), st.integers(1, 3))
def test_more_variants_only_append_shards(lights, samples_per_shard, variants, more):
    refs = references(lights)
    before = plan_shards(refs, variants, samples_per_shard)
    after = plan_shards(refs, variants + more, samples_per_shard)
    assert after[: len(before)] == before


@given(counts, st.integers(1, 70))
def test_the_number_of_shards_is_the_smallest_that_holds_all(samples, limit):
    assert len(shard_sizes(samples, limit)) == -(-samples // limit)
