"""What a run does beside its images: totals, files beside the shards, additions, and runs that resume."""

import json
import shutil
import sys
import tarfile
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.executors.base import WorkerStatus
from dimmagen.core.executors.ray_cluster import WorkerResources
from dimmagen.dataset.croissant import croissant_of
from dimmagen.dataset.manifest import Manifest
from dimmagen.dataset.reader import open_pairs
from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.generate import run as running
from dimmagen.generate import run_plan
from dimmagen.generate.pair import PairSettings
from dimmagen.generate.plan import ShardJob
from dimmagen.generate.run import Execution, NoProgress, generate_dataset
from dimmagen.generate.run_plan import plan_dataset
from dimmagen.generate.subset import Selection, write_subset
from dimmagen.generate.worker import PairShardWorker
from tests.dataset_helpers import build_dimmer, file_hashes
from tests.tiny_set import Noted, assert_described, make_tiny, memory_url, rejected_row, tiny_lights

SERIAL = Execution("serial")


@pytest.fixture(scope="module")
def lights(tmp_path_factory):
    return tiny_lights(tmp_path_factory.mktemp("lights"), 7)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, lights):
    """7 light images, 2 variants, 14 pairs in 6 shards."""
    out = tmp_path_factory.mktemp("finished") / "out"
    make_tiny(lights, out, variants=2)
    return out


def test_the_files_beside_the_shards_describe_the_pairs(finished, lights):
    manifest = assert_described(finished, ["jpg", "png"])
    counts = manifest.counts
    assert (counts.lights, counts.pairs, counts.shards, counts.rejected) == (7, 14, 6, 1)
    assert counts.lights_by_source == {"folder": 7}
    assert [entry.name for entry in manifest.files] == ["croissant.json", "rejected/candidates.parquet"]
    [row] = pq.read_table(finished / "rejected/candidates.parquet").to_pylist()
    assert {**rejected_row("small.png"), **row} == rejected_row("small.png")
    assert manifest.command == (
        "dimmagen dim --profile linear --source folder=FOLDER --shards out/ --variants 2 --seed 0 "
        "--gamma 0.3:2.0 --temperature 1.0 --model linear --compat default --samples-per-shard 3 "
        "--image-format png --light-format same"
    )


def test_light_images_that_are_converted_are_described_as_what_they_became(lights, tmp_path):
    make_tiny(lights, tmp_path / "out", light_format="auto")
    manifest = assert_described(tmp_path / "out", ["png"])
    assert manifest.settings["light_format"] == "png"
    assert manifest.command.endswith("--light-format png")


def test_a_run_says_how_much_there_is_what_is_done_and_what_it_makes(lights, finished, tmp_path):
    noted, plans, out = Noted(), [], str(tmp_path / "out")
    settings = PairSettings(variants=2, samples_per_shard=3)
    generate_dataset(lights, build_dimmer, out, settings, SERIAL, progress=noted, on_plan=plans.append)
    assert (noted.totals, noted.made, noted.shards) == ([(6, 14, 0, 0)], 14, 6)
    [plan] = plans
    assert (plan.pairs, len(plan.shards), plan.base, plan.light_format) == (14, 6, None, "same")
    assert plan.run == Manifest.load(out).run == Manifest.load(str(finished)).run
    assert file_hashes(tmp_path / "out") == file_hashes(finished)


def test_a_stopped_run_counts_its_shards_as_done_and_ends_as_an_undisturbed_one(lights, finished, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        make_tiny(lights, tmp_path / "out", Noted(stop_after=2), variants=2)
    assert not list((tmp_path / "out").rglob("*.tmp"))
    again = Noted()
    make_tiny(lights, tmp_path / "out", again, variants=2)
    (totals,) = again.totals
    assert totals[:3] == (6, 14, 2)
    assert (totals[3] + again.made, again.shards) == (14, 4)
    assert file_hashes(tmp_path / "out") == file_hashes(finished)


def test_a_finished_set_that_is_asked_for_again_is_given_back_without_a_word_written(lights, finished):
    before, noted = {path: path.stat() for path in finished.rglob("*")}, Noted()
    assert make_tiny(lights, finished, noted, variants=2) == Manifest.load(str(finished))
    assert (noted.totals, noted.made, noted.shards) == ([(6, 14, 6, 14)], 0, 0)
    after = {path: path.stat() for path in finished.rglob("*")}
    assert {path: stat.st_mtime_ns for path, stat in after.items() if path.is_file()} == {
        path: stat.st_mtime_ns for path, stat in before.items() if path.is_file()
    }


@pytest.mark.parametrize("change", ["rejects", "choices"])
def test_a_finished_set_asked_for_with_the_same_photos_is_what_the_new_command_makes(
    change, lights, finished, tmp_path
):
    """The fingerprint covers the accepted photos; the rejected ones and the command are in the manifest."""
    changed = {
        "rejects": {"rejects": [rejected_row("small.png"), rejected_row("torn.jpg")]},
        "choices": {"choices": {"min_lightness": 0.125}},
    }[change]
    others = replace(lights, **changed)
    copy, noted = shutil.copytree(finished, tmp_path / "copy"), Noted()
    manifest = make_tiny(others, copy, noted, variants=2)
    assert (noted.totals, noted.made) == ([(6, 14, 6, 14)], 0)
    assert manifest == make_tiny(others, tmp_path / "new", variants=2)
    assert file_hashes(copy) == file_hashes(tmp_path / "new") != file_hashes(finished)
    assert manifest.fingerprint == Manifest.load(str(finished)).fingerprint


def test_what_a_finished_set_has_lost_is_made_again_by_the_same_command(lights, finished, tmp_path):
    """As `verify` advises; of a subset too."""
    subset = tmp_path / "subset"
    pairs, selection = open_pairs(finished), Selection(min_side=13)
    write_subset(pairs, selection, str(subset))
    for name in ("README.md", "croissant.json", "rejected/candidates.parquet"):
        out = shutil.copytree(finished, tmp_path / "out", dirs_exist_ok=True)
        (out / name).unlink()
        make_tiny(lights, out, variants=2)
        assert file_hashes(out) == file_hashes(finished), name
    (out / "rejected/candidates.parquet").write_bytes(b"torn")
    make_tiny(lights, out, variants=2)
    assert file_hashes(out) == file_hashes(finished)
    out = shutil.copytree(subset, tmp_path / "again")
    for name in ("shards/train-00000.tar", "README.md"):
        (out / name).unlink()
        write_subset(pairs, selection, str(out))
        assert file_hashes(out) == file_hashes(subset), name


def test_the_mode_of_resuming_counts(lights, tmp_path):
    with pytest.raises(UsageError, match="holds no run to resume"):
        generate_dataset(lights, build_dimmer, str(tmp_path / "out"), PairSettings(), SERIAL, "always")
    make_tiny(lights, tmp_path / "out")
    generate_dataset(lights, build_dimmer, str(tmp_path / "out"), PairSettings(seed=1), SERIAL, "never")
    assert Manifest.load(str(tmp_path / "out")).settings["seed"] == 1


def test_an_addition_counts_what_was_there_as_done_and_describes_the_whole(lights, tmp_path):
    first, second = tiny_lights(tmp_path / "a", 4), tiny_lights(tmp_path / "b", 3, first=4)
    second.rejects[:] = [rejected_row("dark.png"), rejected_row("other.png")]
    out, settings = str(tmp_path / "out"), PairSettings(variants=2, samples_per_shard=3)
    generate_dataset(first, build_dimmer, out, settings, SERIAL)
    base = open_pairs(out)
    noted = Noted(stop_after=1)
    with pytest.raises(KeyboardInterrupt):
        generate_dataset(second, build_dimmer, out, settings, SERIAL, progress=noted, base=base)
    assert noted.totals == [(6, 14, 4, 8)]
    noted = Noted()
    generate_dataset(second, build_dimmer, out, settings, SERIAL, progress=noted, base=base)
    (totals,) = noted.totals
    assert totals == (6, 14, 5, 11)
    manifest = assert_described(tmp_path / "out", ["jpg", "png"])
    counts = manifest.counts
    assert (counts.lights, counts.pairs, counts.shards, counts.rejected) == (7, 14, 6, 3)
    assert counts.lights_by_source == {"folder": 7}
    assert [entry.name for entry in manifest.files] == [
        "rejected/candidates-00001.parquet",
        "rejected/candidates.parquet",
    ]
    assert [entry.name for entry in manifest.shards] == [f"shards/train-{n:05d}.tar" for n in range(6)]
    assert manifest.shards[:4] == base.manifest.shards
    assert (tmp_path / "out/croissant.json").read_bytes() == croissant_of(manifest)
    assert "--source folder=FOLDER --shards" in manifest.command
    assert manifest.command.endswith("--light-format same")


def test_the_environment_is_that_of_the_model_the_sources_and_what_is_done_to_photos(monkeypatch, tmp_path):
    lights, noted = tiny_lights(tmp_path / "lights", 2), []
    lights.listed[0] = replace(lights.listed[0], transform="exif+icc")
    monkeypatch.setattr(run_plan, "environment_for", lambda *given: noted.append(given) or {})
    plan_dataset(lights, build_dimmer, PairSettings())
    assert noted == [("linear", {"folder": 2}, frozenset({"exif", "icc"}))]


def test_without_a_light_image_there_is_nothing_to_make(tmp_path):
    none = tiny_lights(tmp_path / "none", 0)
    with pytest.raises(UsageError, match="tiny has no light image that passes the rules") as caught:
        plan_dataset(none, build_dimmer, PairSettings())
    assert caught.value.code == "no-match"


def test_a_time_limit_of_workers_is_refused_where_there_are_none():
    with pytest.raises(UsageError, match="`worker_timeout` is for") as caught:
        Execution("serial", worker_timeout=5)
    assert caught.value.code == "conflict"
    assert caught.value.fields == {"parameters": ("worker_timeout", "executor")}
    assert Execution("ray", worker_timeout=5).worker_timeout == 5
    assert Execution("serial").worker_timeout is None


def test_a_ray_run_that_would_join_another_cluster_than_it_names_is_refused_at_once(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    with pytest.raises(UsageError, match="RAY_ADDRESS"):
        Execution("ray")
    assert Execution("serial").address is None
    assert Execution("ray", address="10.0.0.1:6379").address == "10.0.0.1:6379"


def received_by_ray(monkeypatch, lights, out, execution):
    """What the pool of Ray workers is started with, and the function that builds its workers."""

    def run_ray(build_worker, jobs, on_pairs, *rest):
        received.extend([build_worker, [*jobs], on_pairs, *rest])
        raise InterruptedError

    received = []
    monkeypatch.setattr(running, "run_ray", run_ray)
    progress = Noted()
    with pytest.raises(InterruptedError):
        generate_dataset(lights, build_dimmer, str(out), PairSettings(), execution, progress=progress)
    assert received[2] == progress.pairs
    received[-1](None)  # of the workers; a progress of an earlier version has no such method
    return received[0], received[1], received[3:-1]


def test_ray_workers_get_everything_that_an_execution_says(monkeypatch, lights, tmp_path):
    lost = print
    execution = Execution("ray", 3, "10.0.0.1:6379", "cpu", 4, lost, 60.0)
    _, jobs, rest = received_by_ray(monkeypatch, lights, tmp_path / "a", execution)
    assert [job.shards for job in jobs] == [("train-00000",)]
    assert rest == [3, "10.0.0.1:6379", WorkerResources(), lost, 60.0]
    of_gpus = Execution("ray", 2, "10.0.0.1:6379", "cuda", 4)
    _, _, rest = received_by_ray(monkeypatch, lights, tmp_path / "b", of_gpus)
    assert rest == [2, "10.0.0.1:6379", WorkerResources(4, gpus=1), None, None]


def test_a_ray_worker_makes_the_shards_of_its_jobs(monkeypatch, lights, finished, tmp_path):
    execution = Execution("ray", 1, "10.0.0.1:6379")
    build_worker, jobs, _ = received_by_ray(monkeypatch, lights, tmp_path / "out", execution)
    done = []
    records = build_worker()(jobs[0], lambda: done.append(1))
    assert [(record.name, record.samples) for record in records] == [("shards/train-00000.tar", 7)]
    assert len(done) == 7
    assert (tmp_path / "out/shards/train-00000.tar").is_file()


def test_a_device_that_is_not_there_is_told_before_anything_is_planned(monkeypatch, lights, tmp_path):
    def find_device(name):
        raise UsageError(f"no device {name}")

    module = SimpleNamespace(find_device=find_device)  # in place of one that imports torch
    monkeypatch.setitem(sys.modules, "dimmagen.generate.gpu_worker", module)
    execution = Execution("serial", device="cuda")
    with pytest.raises(UsageError, match="no device cuda"):
        generate_dataset(lights, None, str(tmp_path / "out"), PairSettings(), execution)


def test_no_progress_ignores_all_of_it(lights, tmp_path):
    assert make_tiny(lights, tmp_path / "out", NoProgress()) == make_tiny(lights, tmp_path / "again")


def stored(lights, number, transform):
    """A light image that is stored as it is, as those of a MixHQ are; its transform is told and not done."""
    ref = lights.listed[number]
    locator = json.dumps({**json.loads(ref.locator), "stored": True})
    lights.listed[number] = replace(ref, transform=transform, locator=locator)


def test_the_command_has_the_sizes_of_the_light_images_also_of_those_that_were_there(tmp_path):
    first, second = tiny_lights(tmp_path / "a", 2), tiny_lights(tmp_path / "b", 2, first=2)
    stored(first, 0, "exif+short512")
    stored(second, 1, "crop256")
    assert "folder=FOLDER --resize 512 --shards" in make_tiny(first, tmp_path / "out").command
    base = open_pairs(tmp_path / "out")
    settings = PairSettings(samples_per_shard=3)
    made = generate_dataset(second, build_dimmer, str(tmp_path / "out"), settings, SERIAL, base=base)
    assert "folder=FOLDER --resize 512 --crop 256 --shards" in made.command


def test_an_addition_to_converted_light_images_converts_those_that_are_new(tmp_path):
    first, second = tiny_lights(tmp_path / "a", 2), tiny_lights(tmp_path / "b", 2, first=2)
    out = tmp_path / "out"
    make_tiny(first, out, light_format="jpg")
    settings, base = PairSettings(samples_per_shard=3, light_format="auto"), open_pairs(out)
    generate_dataset(second, build_dimmer, str(out), settings, SERIAL, base=base)
    manifest = assert_described(out, ["jpg"])
    assert manifest.settings["light_format"] == "jpg"
    assert manifest.command.endswith("--light-format jpg")


class Watched(Noted):
    def __init__(self):
        super().__init__()
        self.statuses = []

    def workers(self, status):
        self.statuses.append(status)


def test_a_serial_run_tells_of_its_one_worker_and_looks_for_no_device(monkeypatch, lights, tmp_path):
    monkeypatch.setitem(sys.modules, "dimmagen.generate.gpu_worker", None)  # which imports torch
    counted, watched = [], Watched()
    monkeypatch.setattr(running.ray_metrics, "count", lambda *given: counted.append(given))
    manifest = make_tiny(lights, tmp_path / "out", watched)
    assert [one for one in counted if one[0] == "bytes"] == [("bytes", one.bytes) for one in manifest.shards]
    assert watched.statuses == [WorkerStatus("the worker to load"), WorkerStatus(ready=1)]


def test_a_worker_is_built_with_the_device_and_the_threads_of_the_execution(monkeypatch, lights, tmp_path):
    execution = Execution("ray", 1, "10.0.0.1:6379", "cuda", 5)
    build_worker, _, _ = received_by_ray(monkeypatch, lights, tmp_path / "out", execution)
    settings = PairSettings(light_format="same")
    assert build_worker.args[-1].args == (build_dimmer, str(tmp_path / "out"), settings, "cuda", 5)


@pytest.mark.parametrize(("executor", "workers", "at_once"), [("serial", 9, 2), ("ray", 1, 2), ("ray", 2, 1)])
def test_a_job_makes_as_many_variants_as_keep_the_workers_busy(
    executor, workers, at_once, monkeypatch, lights, tmp_path
):
    def run(build_worker, jobs, *rest):
        sizes.update(len(job.shards) for job in jobs)
        raise InterruptedError

    sizes, settings = set(), PairSettings(variants=3, samples_per_shard=1)
    monkeypatch.setattr(running, f"run_{executor}", run)
    execution = Execution(executor, workers, None if executor == "serial" else "10.0.0.1:6379")
    with pytest.raises(InterruptedError):
        generate_dataset(lights, build_dimmer, str(tmp_path / "out"), settings, execution)
    assert max(sizes) == at_once


def test_a_set_at_a_url_has_the_manifest_of_one_in_a_folder(lights, finished):
    settings = PairSettings(variants=2, samples_per_shard=3)
    url = memory_url()
    made = generate_dataset(lights, build_dimmer, url, settings, SERIAL)
    assert made == Manifest.load(str(finished)) == Manifest.load(url)


def test_a_worker_with_a_device_dims_on_it_with_as_many_threads_as_it_is_given(monkeypatch, tmp_path):
    class OnDevice:
        def __init__(self, *given):
            received.append(given)

        samples = "made on the device"

    received = []
    monkeypatch.setitem(sys.modules, "dimmagen.generate.gpu_worker", SimpleNamespace(GpuDimmer=OnDevice))
    build = partial(PairShardWorker, lambda: "dimmer", str(tmp_path), "settings")
    assert build("cuda", 3)._samples == build(device="cuda")._samples == "made on the device"
    assert received == [("dimmer", "settings", "cuda", threads) for threads in (3, 1)]
    assert callable(build()._samples)
    assert len(received) == 2


def test_a_worker_names_the_pair_that_failed_and_adds_the_labels_of_its_light_image(
    lights, monkeypatch, tmp_path
):
    ref, shards, settings = lights.listed[0], ("train-00000", "train-00001"), PairSettings(variants=5)
    job = ShardJob((ref,), shards, (4, 3), (b"[]",), "labels.json")
    work = PairShardWorker(build_dimmer, str(tmp_path), settings)
    gone = replace(ref, locator=ref.locator.replace("0.png", "gone.png"))
    with pytest.raises(DimmagenError, match=rf"pair {ref.key}-v4 .*gone\.png"):
        work(replace(job, refs=(gone,)))
    work(job)
    for shard, variant in zip(shards, job.variants, strict=True):
        with tarfile.open(tmp_path / f"shards/{shard}.tar") as tar:
            assert tar.extractfile(f"{ref.key}-v{variant}.labels.json").read() == b"[]"
    monkeypatch.setattr(ImageDimmer, "dim", lambda *_: None.pixels)
    with pytest.raises(DimmagenError, match=f"pair {ref.key}-v4 .*AttributeError"):
        work(job)


def test_the_excluded_scenes_are_a_setting_of_the_run(lights):
    excluded = {"pictures": 2, "sha256": "1" * 64}
    plan = plan_dataset(replace(lights, excluded=excluded), build_dimmer, PairSettings())
    assert plan.run.settings["exclude"] == excluded
    assert "exclude" not in plan_dataset(lights, build_dimmer, PairSettings()).run.settings
