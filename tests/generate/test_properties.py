"""What holds for any number of photos, shard size, variants and workers, and a stop at any moment."""

import shutil

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dimmagen.core.tar import members
from dimmagen.dataset.compare import assert_same_dataset
from dimmagen.dataset.manifest import Manifest
from dimmagen.dataset.verify import verify_dataset
from dimmagen.generate.pair import PairSettings
from dimmagen.generate.run import Execution, generate_dataset, plan_dataset
from dimmagen.sources.light_images import open_light_images
from tests.dataset_helpers import build_dimmer, make, write_photos
from tests.generate.test_generate_run import StopAfter

MAX_PHOTOS = 7
# A run takes a tenth of a second: few examples, the same ones every time.
few = settings(
    max_examples=5,
    derandomize=True,
    phases=[Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
photos_, shard_size, variants_ = st.integers(1, MAX_PHOTOS), st.integers(1, 8), st.integers(1, 3)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """`folders[n]` holds the first n photos."""
    root = tmp_path_factory.mktemp("photos")
    return {count: write_photos(root / str(count), count) for count in range(1, MAX_PHOTOS + 1)}


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
def test_what_is_planned_is_present_and_hashed_in_equal_gapless_shards(
    folders, fresh, photos, size, variants
):
    out = fresh("out")
    lights = open_light_images([str(folders[photos])])
    plan = plan_dataset(lights, build_dimmer, PairSettings(variants=variants, samples_per_shard=size))
    make(folders[photos], out, variants=variants, samples_per_shard=size)
    planned = [f"{ref.key}-v{one.variant}" for one in plan.shards for ref in lights.refs(one.start, one.stop)]
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
def test_a_stop_at_any_shard_and_a_resume_change_nothing(folders, fresh, photos, size, variants, data):
    whole, stopped = fresh("whole"), fresh("stopped")
    shards = len(make(folders[photos], whole, variants=variants, samples_per_shard=size).shards)
    for after in data.draw(st.lists(st.integers(1, shards), min_size=1, max_size=3), "stops"):
        try:
            make(
                folders[photos],
                stopped,
                variants=variants,
                samples_per_shard=size,
                progress=StopAfter(after),
            )
        except KeyboardInterrupt:
            assert not (stopped / "manifest.json").exists()
    make(folders[photos], stopped, variants=variants, samples_per_shard=size)
    assert_same_dataset(whole, stopped)


@few
@given(photos_, shard_size, variants_, st.integers(1, 2))
def test_more_variants_keep_every_shard_that_was_there(folders, fresh, photos, size, variants, more):
    out = fresh("out")
    make(folders[photos], out, variants=variants, samples_per_shard=size)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (out / "shards").iterdir()}
    make(folders[photos], out, variants=variants + more, samples_per_shard=size)
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in before} == before


@few
@given(photos_, photos_, photos_, shard_size, variants_)
def test_more_photos_and_another_source_keep_the_bytes_of_every_pair(
    folders, fresh, photos, more, others, size, variants
):
    small, large = fresh("small"), fresh("large")
    make(folders[photos], small, variants=variants, samples_per_shard=size)
    both = open_light_images([f"folder={folders[max(photos, more)]}", f"lol={folders[others]}"])
    grown = PairSettings(variants=variants, samples_per_shard=size + 1)
    generate_dataset(both, build_dimmer, str(large), grown, Execution("serial"))
    before, after = member_bytes(small), member_bytes(large)
    assert before.items() <= after.items()
    assert len(after) == 3 * variants * (max(photos, more) + others)
