"""What holds for any number of photos, shard size, variants and workers, and a stop at any moment."""

import shutil
from functools import cache

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dimmagen.core.tar import members
from dimmagen.dataset.compare import assert_same_dataset
from dimmagen.dataset.manifest import Manifest
from dimmagen.dataset.verify import verify_dataset
from dimmagen.generate.pair import PairSettings
from dimmagen.generate.run import Execution, generate_dataset
from dimmagen.generate.run_plan import plan_dataset
from tests.dataset_helpers import build_dimmer
from tests.tiny_set import Noted, TinyLights, make_tiny, tiny_lights

MAX_PHOTOS = 7
# A run takes some hundredths of a second: few examples, the same ones every time.
few = settings(
    max_examples=8,
    derandomize=True,
    phases=[Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
photos_, shard_size, variants_ = st.integers(1, MAX_PHOTOS), st.integers(1, 8), st.integers(1, 3)


@pytest.fixture(scope="module")
def lights(tmp_path_factory):
    """`lights(n)` are the first n photos, tiny ones; with another source they have other keys."""
    root = tmp_path_factory.mktemp("photos")
    return cache(lambda count, source="folder": tiny_lights(root / f"{source}{count}", count, source=source))


@pytest.fixture
def fresh(tmp_path):
    """A new place for each example."""

    def place(name):
        shutil.rmtree(tmp_path / name, ignore_errors=True)
        return tmp_path / name

    return place


def rows_by_key(out):
    rows = [row for path in sorted((out / "metadata").iterdir()) for row in pq.read_table(path).to_pylist()]
    return {row["key"]: row for row in rows}


def member_bytes(out):
    """The bytes of every member of every shard, by name."""
    found = {}
    for path in sorted((out / "shards").iterdir()):
        with open(path, "rb") as file:
            data = path.read_bytes()
            for member in members(file, str(path)):
                assert member.name not in found
                found[member.name] = data[member.offset : member.offset + member.size]
    return found


@few
@given(photos_, shard_size, variants_)
def test_what_is_planned_is_present_and_hashed_in_equal_gapless_shards(lights, fresh, photos, size, variants):
    out = fresh("out")
    listed = lights(photos)
    plan = plan_dataset(listed, build_dimmer, PairSettings(variants=variants, samples_per_shard=size))
    make_tiny(listed, out, variants=variants, samples_per_shard=size)
    planned = [f"{ref.key}-v{one.variant}" for one in plan.shards for ref in listed.refs(one.start, one.stop)]
    manifest = Manifest.load(str(out))
    assert len(planned) == photos * variants == manifest.counts.pairs
    assert [f"shards/{one.shard}.tar" for one in plan.shards] == [shard.name for shard in manifest.shards]
    sizes = [shard.samples for shard in manifest.shards]
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1
    assert list(rows_by_key(out)) == planned
    present = [name.removesuffix(".json") for name in member_bytes(out) if name.endswith(".json")]
    assert present == planned
    assert verify_dataset(str(out)).faults == []


@few
@given(photos_, shard_size, variants_, st.data())
def test_a_stop_at_any_shard_and_a_resume_change_nothing(lights, fresh, photos, size, variants, data):
    whole, stopped = fresh("whole"), fresh("stopped")
    shards = len(make_tiny(lights(photos), whole, variants=variants, samples_per_shard=size).shards)
    for after in data.draw(st.lists(st.integers(1, shards), min_size=1, max_size=3), "stops"):
        try:
            make_tiny(
                lights(photos),
                stopped,
                variants=variants,
                samples_per_shard=size,
                progress=Noted(stop_after=after),
            )
        except KeyboardInterrupt:
            assert not (stopped / "manifest.json").exists()
    make_tiny(lights(photos), stopped, variants=variants, samples_per_shard=size)
    assert_same_dataset(whole, stopped)


@few
@given(photos_, shard_size, variants_, st.integers(1, 2))
def test_more_variants_keep_every_shard_that_was_there(lights, fresh, photos, size, variants, more):
    out = fresh("out")
    make_tiny(lights(photos), out, variants=variants, samples_per_shard=size)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (out / "shards").iterdir()}
    make_tiny(lights(photos), out, variants=variants + more, samples_per_shard=size)
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in before} == before


@few
@given(photos_, photos_, photos_, shard_size, variants_)
def test_more_photos_and_another_source_keep_the_bytes_of_every_pair(
    lights, fresh, photos, more, others, size, variants
):
    small, large = fresh("small"), fresh("large")
    make_tiny(lights(photos), small, variants=variants, samples_per_shard=size)
    both = TinyLights([*lights(max(photos, more)).listed, *lights(others, "lol").listed])
    grown = PairSettings(variants=variants, samples_per_shard=size + 1)
    generate_dataset(both, build_dimmer, str(large), grown, Execution("serial"))
    before, after = member_bytes(small), member_bytes(large)
    assert before.items() <= after.items()
    assert len(after) == 3 * variants * (max(photos, more) + others)
