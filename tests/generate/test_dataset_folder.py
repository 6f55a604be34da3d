"""The state of an output folder: what is complete, what is kept, and what is removed."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from dimmagen.core.lock import STATE
from dimmagen.dataset.croissant import croissant_of
from dimmagen.dataset.manifest import Manifest, Run, build_manifest, changes
from dimmagen.dataset.writer import ShardRecord
from dimmagen.generate.resume import DatasetFolder
from tests.dataset_helpers import file_hashes, refused
from tests.tiny_set import tiny_set


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished set of 4 pairs in 2 shards."""
    return Path(tiny_set(tmp_path_factory.mktemp("made") / "out").out)


@pytest.fixture
def out(made, tmp_path):
    return shutil.copytree(made, tmp_path / "out")


def other_run(run: Run, **changed) -> Run:
    return Run({**run.settings, **changed}, run.environment)


def names_in(out) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def begin_anew(out, keep: int = 0, **changed) -> tuple[DatasetFolder, Run, dict]:
    """A run that was begun where a finished one was, with the first of its shards."""
    state, manifest = DatasetFolder(str(out)), Manifest.load(str(out))
    run = other_run(manifest.run, **changed)
    kept = {Path(entry.name).stem: entry.shard_record() for entry in manifest.shards[:keep]}
    state.begin(run, kept)
    return state, run, kept


def records_of(manifest):
    return {Path(entry.name).stem: entry.shard_record() for entry in manifest.shards}


def test_a_new_folder_an_empty_one_and_one_with_nothing_but_a_lock_have_no_shards(tmp_path):
    run = Run({"seed": 0}, {})
    (tmp_path / "locked" / STATE).mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty", "locked"):
        state = DatasetFolder(str(tmp_path / name))
        assert state.complete_shards(run, "if-possible") == state.complete_shards(run, "never") == {}
        error = refused(state.complete_shards, run, "always")
        assert (error.code, error.fields) == ("nothing-to-resume", {"path": state.out})
        assert state.finished(run, {}) is None
        assert not state.is_begun(run)


def test_a_folder_with_other_files_is_refused_with_the_first_of_them(tmp_path):
    for name in ("a", "b", "c", "d", STATE):
        (tmp_path / name).mkdir()
    for resume in ("if-possible", "always", "never"):
        error = refused(DatasetFolder(str(tmp_path)).complete_shards, Run({}, {}), resume)
        assert "not part of a dimmagen data set (a, b, c)" in error.what
        assert (error.code, error.fields) == ("no-room", {"path": str(tmp_path)})


def test_intact_shards_of_a_finished_set_are_complete(out):
    state, manifest = DatasetFolder(str(out)), Manifest.load(str(out))
    records = {Path(entry.name).stem: entry.shard_record() for entry in manifest.shards}
    assert list(records) == ["train-00000", "train-00001"]
    for resume in ("if-possible", "always"):
        assert state.complete_shards(manifest.run, resume) == records
    assert state.complete_shards(manifest.run, "never") == {}
    for name in ("shards/train-00000.tar", "metadata/train-00000.parquet"):
        whole = (out / name).read_bytes()
        for damaged in (whole[:-1] + b"?", whole + b"?"):
            (out / name).write_bytes(damaged)
            assert list(state.complete_shards(manifest.run, "if-possible")) == ["train-00001"]
        (out / name).unlink()
        assert list(state.complete_shards(manifest.run, "if-possible")) == ["train-00001"]
        (out / name).write_bytes(whole)


def test_a_run_that_was_killed_after_its_note_keeps_the_shards_of_the_manifest(out):
    state, manifest = DatasetFolder(str(out)), Manifest.load(str(out))
    run = other_run(manifest.run, variants=2)  # which may grow
    (out / STATE).mkdir()
    note = {"settings": run.settings, "environment": run.environment}
    (out / STATE / "run.json").write_text(json.dumps(note))
    records = {Path(entry.name).stem: entry.shard_record() for entry in manifest.shards}
    assert state.complete_shards(run, "if-possible") == records
    (out / STATE / "run.json").write_text(json.dumps({**note, "settings": {**run.settings, "seed": 1}}))
    assert state.complete_shards(other_run(run, seed=1), "if-possible") == {}


@pytest.mark.parametrize(
    ("changed", "discards", "ways", "last"),
    [
        ({"lights": 9, "labels": {"sha256": "1"}}, True, "four", 'give `resume="never"`'),
        ({"lights": 9, "seed": 1}, True, "three", 'give `resume="never"`'),
        ({"lights": 9}, False, "three", "remove the folder"),
    ],
)
def test_other_settings_are_refused_with_what_can_be_done(changed, discards, ways, last, out):
    run = Manifest.load(str(out)).run
    error = refused(
        DatasetFolder(str(out), discards).complete_shards, other_run(run, **changed), "if-possible"
    )
    differences = changes(run, other_run(run, **changed))
    assert (error.code, error.fields) == ("other-settings", {"path": str(out), "differences": differences})
    lines = "".join(f"    {line}\n" for line in differences)
    add = "    add to them:   give `add=True`\n" if ways == "four" else ""
    assert str(error) == (
        f"{out} holds 2 complete shards of a run with other settings:\n{lines}Choose one of {ways}:\n"
        f"    keep them:     use the settings that they were made with\n{add}"
        "    keep both:     choose another `out` folder\n"
        f"    discard them:  {last}"
    )


def test_a_run_that_was_begun_keeps_its_shards_and_nothing_else(out):
    (out / "rejected/.x.0123abcd.7.tmp").write_bytes(b"")
    state, run, kept = begin_anew(out, keep=1, seed=1)
    record = f"{STATE}/records/train-00000.json"
    left = [record, f"{STATE}/run.json", "metadata/train-00000.parquet", "shards/train-00000.tar"]
    assert names_in(out) == left
    assert not (out / "rejected").exists()
    note = {"settings": run.settings, "environment": run.environment}
    assert json.loads((out / STATE / "run.json").read_text()) == note
    shard = {"fingerprint": run.fingerprint, "shard": kept["train-00000"].to_dict()}
    assert json.loads((out / record).read_text()) == shard
    assert state.complete_shards(run, "always") == kept
    assert state.is_begun(run)
    assert not state.is_begun(other_run(run, seed=2))
    assert not state.is_growing()
    assert state.finished(run, {}) is None
    assert state.complete_shards(other_run(run, seed=2), "never") == {}
    error = refused(state.complete_shards, other_run(run, seed=2), "always")
    assert "holds 1 complete shard of an unfinished run" in error.what
    assert "resume it:     use the settings that it was begun with" in error.todo
    assert error.todo.endswith('discard them:  give `resume="never"`')


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("train-00000.json", lambda note: {**note, "fingerprint": "0" * 64}),
        ("train-00000.json", lambda note: {"fingerprint": note["fingerprint"]}),
        ("train-00000.json", lambda note: {**note, "shard": {**note["shard"], "bytes": "1"}}),
        ("train-00000.txt", lambda note: note),
        (".train-00000.json", lambda note: note),
    ],
)
def test_a_record_that_is_none_costs_its_own_shard_alone(name, change, out):
    state, run, kept = begin_anew(out, keep=2)
    path = out / STATE / "records/train-00000.json"
    note = json.loads(path.read_text())
    path.unlink()
    (path.parent / name).write_text(json.dumps(change(note)))
    assert state.complete_shards(run, "if-possible") == {"train-00001": kept["train-00001"]}


def test_a_set_that_is_asked_for_again_is_cleaned_of_what_a_kill_left(out):
    before, manifest = names_in(out), Manifest.load(str(out))
    state = DatasetFolder(str(out))
    (out / STATE / "records").mkdir(parents=True)
    (out / STATE / "run.json").write_text("{}")
    folders = ("", "shards/", "metadata/", "rejected/", f"{STATE}/", f"{STATE}/records/")
    for folder in folders:
        (out / f"{folder}.x.0123abcd.7.tmp").write_bytes(b"")
    assert state.finished(other_run(manifest.run, seed=1), records_of(manifest)) is None
    assert len(names_in(out)) == len(before) + len(folders) + 1
    assert state.finished(manifest.run, {}) is None
    assert state.finished(manifest.run, records_of(manifest)) == manifest
    assert names_in(out) == before
    assert not (out / STATE).exists()


def test_the_state_goes_with_the_lock_unless_a_run_was_begun(out):
    state = DatasetFolder(str(out))
    with state.locked():
        assert (out / STATE).is_dir()
    assert not (out / STATE).exists()
    with state.locked():
        begin_anew(out, keep=1)
    assert (out / STATE / "records/train-00000.json").is_file()


def begin_growing(out) -> tuple[DatasetFolder, Manifest, Run]:
    state, base = DatasetFolder(str(out)), Manifest.load(str(out))
    run = other_run(base.run, generations=1)
    state.begin_addition(base, run, {})
    return state, base, run


def add_copy(out, state, base, run, number: int = 2) -> ShardRecord:
    """A shard of an addition that was made: a copy of the first."""
    names = {"tar": "shards", "parquet": "metadata"}
    for suffix, folder in names.items():
        shutil.copy(out / folder / f"train-00000.{suffix}", out / folder / f"train-0000{number}.{suffix}")
    first = base.shards[0].shard_record()
    metadata = replace(first.metadata, name=f"metadata/train-0000{number}.parquet")
    record = replace(first, name=f"shards/train-0000{number}.tar", metadata=metadata)
    state.notes.add(run, record)
    return record


def test_an_addition_leaves_the_set_as_it_is_and_keeps_its_own_shards(out):
    before = file_hashes(out)
    for name in (
        "shards/train-00007.tar",
        "metadata/train-00007.parquet",
        "rejected/candidates-00007.parquet",
    ):
        (out / name).write_bytes(b"of another addition")
    (out / "shards/.x.0123abcd.7.tmp").write_bytes(b"")
    state, base, run = begin_growing(out)
    assert file_hashes(out, ignored=("run.json",)) == before
    assert (state.is_growing(), state.is_begun(run), state.is_begun(base.run)) == (True, True, False)
    assert state.complete_addition(base, run) == {}
    record = add_copy(out, state, base, run)
    assert state.complete_addition(base, run) == {"train-00002": record}
    assert state.complete_addition(base, other_run(run, generations=2)) == {}
    state.begin_addition(base, run, {"train-00002": record})
    assert state.complete_addition(base, run) == {"train-00002": record}
    (out / record.name).write_bytes(b"")
    assert state.complete_addition(base, run) == {}
    assert state.complete_shards(base.run, "always").keys() == {"train-00000", "train-00001"}
    assert state.finished(base.run, records_of(base)) == base
    assert state.is_growing()
    (out / "manifest.json").unlink()
    assert not state.is_growing(), "there is nothing that grows"


def test_an_addition_that_is_dropped_leaves_no_trace(out):
    before = file_hashes(out)
    state, base, run = begin_growing(out)
    add_copy(out, state, base, run)
    (out / "rejected/candidates-00001.parquet").write_bytes(b"")
    (out / "metadata/.x.0123abcd.7.tmp").write_bytes(b"")
    state.drop_addition(base)
    assert file_hashes(out) == before
    assert not (out / STATE).exists()
    (out / "shards/train-00002.tar").write_bytes(b"")
    state.drop_addition(base)
    assert (out / "shards/train-00002.tar").exists(), "no addition was begun, so nothing of one is looked for"


def grown_manifest(base: Manifest, run: Run, record: ShardRecord) -> Manifest:
    shards = [*(entry.shard_record() for entry in base.shards[1:]), record]
    files = [entry.record() for entry in base.files]
    return build_manifest(run, "command", {"folder": 4}, 1, shards, files)


@pytest.mark.parametrize("killed", [False, True])
def test_a_published_addition_removes_what_its_manifest_no_longer_names(killed, out, monkeypatch):
    state, base, run = begin_growing(out)
    manifest = grown_manifest(base, run, add_copy(out, state, base, run))
    if killed:  # just after the manifest was written
        (out / "manifest.json").write_bytes(manifest.dump())
        state.drop_addition(manifest)
    else:
        state.finish(manifest)
    assert Manifest.load(str(out)) == manifest
    assert (out / "croissant.json").read_bytes() == croissant_of(manifest)
    assert [path.name for path in sorted((out / "shards").iterdir())] == [
        "train-00001.tar",
        "train-00002.tar",
    ]
    assert [path.stem for path in sorted((out / "metadata").iterdir())] == ["train-00001", "train-00002"]
    assert (out / "rejected/candidates.parquet").is_file()
    assert not (out / STATE).exists()
    error = refused(state.complete_addition, base, run)
    assert (error.code, error.fields) == ("locked", {"path": str(out)})


def test_a_set_that_is_finished_has_its_manifest_and_no_state(out):
    state, run, kept = begin_anew(out, keep=2, seed=1)
    manifest = build_manifest(run, "command", {"folder": 4}, 0, [*kept.values()], [])
    (out / "shards/.x.0123abcd.7.tmp").write_bytes(b"")
    state.finish(manifest)
    assert names_in(out) == [
        "manifest.json",
        *(f"metadata/train-0000{number}.parquet" for number in range(2)),
        *(f"shards/train-0000{number}.tar" for number in range(2)),
    ]
    assert not (out / STATE).exists()
    assert state.finished(run, kept) is None, "there is no card"
    for name in ("README.md", ".huggingface.yaml", "sheet.jpg", "croissant.json"):
        (out / name).write_bytes(b"")
    assert state.finished(run, kept) == manifest
    assert state.finished(run, {"train-00000": kept["train-00000"]}) is None


@pytest.mark.parametrize(
    "name",
    [
        "shards/notes.txt",
        "shards/train-00000.parquet",
        "shards/train-1.tar",
        "shards/train-00009.tar/",
        "metadata/train-00000.tar",
        "rejected/why.md",
        "rejected/candidates-1.parquet",
    ],
)
def test_what_no_run_writes_is_refused_before_anything_is_removed(name, out):
    path = out / name
    path.mkdir() if name.endswith("/") else path.write_bytes(b"mine")
    (out / "shards/.x.0123abcd.7.tmp").write_bytes(b"")
    state, base = DatasetFolder(str(out)), Manifest.load(str(out))
    before = names_in(out)
    for begin in (lambda: state.begin(base.run, {}), lambda: state.begin_addition(base, base.run, {})):
        error = refused(begin)
        assert (error.code, error.fields) == ("no-room", {"path": str(path)})
        assert names_in(out) == before
