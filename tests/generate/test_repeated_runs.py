"""The guarantees of `dim`: nothing is lost when it is stopped, and the command goes on with what is there."""

import pytest

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.dataset.compare import assert_same_dataset
from dimmagen.dataset.verify import verify_dataset
from dimmagen.generate.resume import DatasetFolder
from tests.tiny_set import Noted, files, make_tiny, tiny_lights


@pytest.fixture(scope="module")
def lights(tmp_path_factory):
    """Eight tiny photos, for what does not depend on pixels."""
    return tiny_lights(tmp_path_factory.mktemp("lights"), 8)


@pytest.fixture(scope="module")
def tiny(lights, tmp_path_factory):
    """The data set of an undisturbed run: 8 tiny photos, 2 variants, 6 shards."""
    out = tmp_path_factory.mktemp("tiny") / "out"
    make_tiny(lights, out, variants=2)
    return out


@pytest.mark.parametrize("stopped_after", [1, 3, 5])
def test_a_resumed_run_ends_with_the_bytes_of_an_undisturbed_one(stopped_after, lights, tiny, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        make_tiny(lights, out, variants=2, progress=Noted(stop_after=stopped_after))
    kept = [path.stat().st_mtime_ns for path in sorted((out / "shards").iterdir())]
    assert len(kept) == stopped_after
    assert not (out / "manifest.json").exists()
    make_tiny(lights, out, variants=2, resume="always")
    assert_same_dataset(tiny, out)
    after = [path.stat().st_mtime_ns for path in sorted((out / "shards").iterdir())]
    assert after[:stopped_after] == kept, "a complete shard was made again"


def test_temporary_and_unfinished_files_of_a_killed_run_are_gone_after_the_resume(lights, tiny, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        make_tiny(lights, out, variants=2, progress=Noted(stop_after=2))
    (out / "rejected").mkdir()
    for folder in ("", "shards", "metadata", "rejected", ".dimmagen", ".dimmagen/records"):
        (out / folder / ".any-name.0a1b2c3d.4711.tmp").write_bytes(b"half a file")
    (out / "shards/train-00002.tar").write_bytes(b"a shard whose parquet was never written")
    make_tiny(lights, out, variants=2)
    assert_same_dataset(tiny, out)
    assert not (out / ".dimmagen").exists()


def test_a_run_that_fails_leaves_no_temporary_file_of_itself_or_another(lights, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        make_tiny(lights, out, variants=2, progress=Noted(stop_after=2))
    (out / "rejected").mkdir()
    monkeypatch.setattr("dimmagen.generate.worker.light_image.load_light_image", lambda ref: 1 / 0)
    monkeypatch.setattr(DatasetFolder, "begin", lambda *_: None)  # which also removes such files
    folders = ("", "shards", "metadata", "rejected", ".dimmagen", ".dimmagen/records")
    for folder in folders:
        (out / folder / ".any-name.0a1b2c3d.4711.tmp").write_bytes(b"half a file")
    with pytest.raises(DimmagenError, match="ZeroDivisionError"):
        make_tiny(lights, out, variants=2)
    assert [folder for folder in folders if (out / folder / ".any-name.0a1b2c3d.4711.tmp").exists()] == []
    assert len(list((out / ".dimmagen/records").iterdir())) == 2


def test_a_damaged_record_costs_only_its_own_shard(lights, tiny, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        make_tiny(lights, out, variants=2, progress=Noted(stop_after=3))
    before = {path.name: path.stat().st_mtime_ns for path in (out / "shards").iterdir()}
    records = out / ".dimmagen/records"
    (records / "0-notes.txt").write_text("not a record")
    (records / ".hidden.json").write_text("{}")
    (records / "train-00000.json").write_text("{")
    make_tiny(lights, out, variants=2)
    assert_same_dataset(tiny, out)
    after = {name: (out / "shards" / name).stat().st_mtime_ns for name in before}
    assert [name for name in before if after[name] != before[name]] == ["train-00000.tar"]


def test_a_stop_right_behind_the_manifest_leaves_nothing_once_the_command_is_run_again(
    lights, tiny, tmp_path, monkeypatch
):
    out, removed = tmp_path / "out", []

    def remove_few(path):
        if "/records/" in path:
            if len(removed) == 2:
                raise KeyboardInterrupt
            removed.append(path)
        storage_remove(path)

    storage_remove = storage.remove
    with monkeypatch.context() as patch:
        patch.setattr(storage.listing, "remove", remove_few)
        with pytest.raises(KeyboardInterrupt):
            make_tiny(lights, out, variants=2)
    assert (out / "manifest.json").exists()
    assert (out / ".dimmagen/run.json").exists()
    make_tiny(lights, out, variants=2)
    assert_same_dataset(tiny, out)
    assert not (out / ".dimmagen").exists()


def test_the_same_command_on_a_finished_set_writes_nothing(lights, tmp_path):
    out = tmp_path / "out"
    manifest = make_tiny(lights, out, variants=2)
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in sorted(out.rglob("*"))}
    for resume in ("if-possible", "always"):
        assert make_tiny(lights, out, variants=2, resume=resume) == manifest
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in sorted(out.rglob("*"))} == before


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "parquet"])
def test_a_damaged_shard_is_made_again_by_the_same_command(damage, lights, tiny, tmp_path):
    out = tmp_path / "out"
    make_tiny(lights, out, variants=2)
    path = out / ("metadata/train-00001.parquet" if damage == "parquet" else "shards/train-00001.tar")
    data = bytearray(path.read_bytes())
    if damage == "remove":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    make_tiny(lights, out, variants=2)
    assert_same_dataset(tiny, out)


def test_more_variants_keep_the_shards_that_are_there(lights, tiny, tmp_path):
    out = tmp_path / "out"
    make_tiny(lights, out, variants=1)
    before = {path.name: path.stat().st_mtime_ns for path in (out / "shards").iterdir()}
    make_tiny(lights, out, variants=2)
    assert_same_dataset(tiny, out)
    after = {path.name: path.stat().st_mtime_ns for path in (out / "shards").iterdir()}
    assert {name: after[name] for name in before} == before


def test_changed_settings_are_refused_by_name_with_both_values_and_the_ways_on(lights, tmp_path):
    out = tmp_path / "out"
    make_tiny(lights, out, seed=0)
    before = {name: (out / name).read_bytes() for name in files(out)}
    with pytest.raises(UsageError) as refusal:
        make_tiny(lights, out, seed=5, samples_per_shard=4)
    message = str(refusal.value)
    assert refusal.value.code == "other-settings"
    for part in (
        "3 complete shards",
        "seed: 0 → 5",
        "samples_per_shard: 3 → 4",
        "`out`",
        '`resume="never"`',
    ):
        assert part in message
    assert "variants" not in message
    assert {name: (out / name).read_bytes() for name in files(out)} == before


def test_a_run_that_ended_before_its_first_shard_does_not_fix_the_settings(
    lights, tiny, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    monkeypatch.setattr("dimmagen.generate.worker.light_image.load_light_image", lambda ref: 1 / 0)
    with pytest.raises(DimmagenError, match="ZeroDivisionError"):
        make_tiny(lights, out, seed=7)
    monkeypatch.undo()
    make_tiny(lights, out, variants=2)
    assert_same_dataset(tiny, out)


def test_fewer_variants_are_refused_and_nothing_is_removed(lights, tmp_path):
    make_tiny(lights, tmp_path / "out", variants=2)
    with pytest.raises(UsageError, match="variants: 2 → 1"):
        make_tiny(lights, tmp_path / "out", variants=1)
    assert verify_dataset(str(tmp_path / "out")).faults == []


def test_resume_never_discards_what_another_run_made(lights, tiny, tmp_path):
    out = tmp_path / "out"
    make_tiny(lights, out, seed=7, samples_per_shard=1)
    make_tiny(lights, out, variants=2, resume="never")
    assert_same_dataset(tiny, out)


def test_resume_always_requires_a_run_to_resume(lights, tmp_path):
    with pytest.raises(UsageError, match="no run to resume") as error:
        make_tiny(lights, tmp_path / "out", resume="always")
    assert error.value.code == "nothing-to-resume"
    assert files(tmp_path) == []


def test_a_folder_with_other_files_is_refused_and_left_as_it_was(lights, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    for resume in ("if-possible", "never"):
        with pytest.raises(UsageError, match=r"thesis\.tex"):
            make_tiny(lights, out, resume=resume)
    assert files(out) == ["thesis.tex"]


def test_a_second_run_in_the_same_folder_is_refused_while_the_first_one_works(lights, tmp_path):
    out = tmp_path / "out"
    with DatasetFolder(str(out)).locked(), pytest.raises(DimmagenError, match="another run is writing"):
        make_tiny(lights, out)
    make_tiny(lights, out)
