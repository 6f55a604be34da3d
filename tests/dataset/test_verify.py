"""Verification detects damage to a finished data set and reports where it is."""

import errno
import io
import json
import os
import shutil
import tarfile

import numpy as np
import pytest

from dimmagen.core.errors import DimmagenError, MachineError
from dimmagen.core.lock import STATE
from dimmagen.core.parquet import read_table
from dimmagen.core.storage import reading
from dimmagen.core.tar import members
from dimmagen.dataset.manifest import FileEntry, Manifest, ShardEntry, fingerprint, root_hash
from dimmagen.dataset.schema import schema_of
from dimmagen.dataset.verify import verify_dataset
from dimmagen.images import codec
from tests.dataset_helpers import replace_member
from tests.tiny_set import make_tiny, tiny_lights

SHARD = "shards/train-00001.tar"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    make_tiny(tiny_lights(folder / "photos", 4), folder / "out", samples_per_shard=2)
    return folder / "out"


@pytest.fixture
def out(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "out")


def faults(out) -> str:
    return "\n".join(map(str, verify_dataset(str(out)).faults))


def test_an_intact_data_set_has_no_faults(out):
    assert faults(out) == ""


def test_a_tar_truncated_at_any_member_boundary_is_reported_with_the_first_lost_sample(finished, tmp_path):
    whole = (finished / SHARD).read_bytes()
    with open(finished / SHARD, "rb") as file:
        found = list(members(file, SHARD))
    boundaries = [member.offset - tarfile.BLOCKSIZE for member in found]
    boundaries.append(found[-1].offset + -(-found[-1].size // 512) * 512)
    for number, end in enumerate(boundaries):
        out = shutil.copytree(finished, tmp_path / str(number))
        (out / SHARD).write_bytes(whole[:end])
        found_faults = faults(out)
        assert f"{SHARD}: has {end} bytes, the manifest says {len(whole)}" in found_faults
        if number < len(found):
            missing = len(found) - number
            assert f"ends before {found[number].name} ({missing} members are missing)" in found_faults
            assert f"sample {found[number].name.split('.')[0]}" in found_faults


@pytest.mark.parametrize(("number", "field"), [(0, "dark.png"), (2, "light."), (4, "json")])
def test_a_changed_member_is_reported_with_its_name(number, field, out):
    name = replace_member(out / SHARD, number, b'{"key": "other"}' if field == "json" else b"not an image")
    found_faults = faults(out)
    assert field in name
    assert f"{SHARD}: does not have the SHA-256 of the manifest" in found_faults
    assert f"sample {name.split('.')[0]}" in found_faults
    expected = (
        "the JSON differs from its row in key"
        if field == "json"
        else f"{name}: is not an image of a known kind"
    )
    assert expected in found_faults


def test_an_image_that_cannot_be_decoded_is_said_to_be_so_once(out):
    broken = bytearray(codec.encode_png(np.zeros((9, 7, 3), np.uint8)))
    broken[-20] ^= 255
    name = replace_member(out / SHARD, 0, bytes(broken))
    assert f"{name}: cannot be decoded: " in faults(out)
    assert faults(out).count("decoded") == 1


@pytest.mark.parametrize("data", [b"{", b"[3]", b"[0]", b"3", b"\xff"])
def test_a_sidecar_that_is_not_a_json_object_is_reported(data, out):
    name = replace_member(out / SHARD, 4, data)
    assert f"{SHARD}: sample {name.split('.')[0]}: the JSON file is not a JSON object" in faults(out)


@pytest.mark.parametrize("name", [SHARD, "metadata/train-00000.parquet", "croissant.json", "README.md"])
def test_a_missing_file_is_reported_with_its_name(name, out):
    (out / name).unlink()
    assert f"{name}: is missing" in faults(out)


@pytest.mark.parametrize(
    "name", ["shards/train-00009.tar", "metadata/notes.csv", "extra.txt", "shards/.x.1.tmp"]
)
def test_an_additional_file_is_reported_with_its_name(name, out):
    (out / name).write_bytes(b"")
    assert f"{name}: does not belong to the data set" in faults(out)


def test_two_exchanged_shards_are_detected(out):
    for folder, suffix in (("shards", "tar"), ("metadata", "parquet")):
        first, second = (out / folder / f"train-0000{index}.{suffix}" for index in (0, 1))
        first.rename(out / "aside")
        second.rename(first)
        (out / "aside").rename(second)
    assert "shards/train-00000.tar" in faults(out)


def rewrite_manifest(out, change):
    path = out / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("change", "entry"),
    [
        (lambda m: m.update(schema_version=2), "schema_version"),
        (lambda m: m.update(shards="all"), "shards"),
        (lambda m: m.pop("root_hash"), "root_hash"),
        (lambda m: m.update(surprise=1), "surprise"),
        (lambda m: m["shards"][0].update(name="shards/../../etc/passwd"), "shards.0.name"),
        (lambda m: m["shards"][0].update(name="/etc/passwd"), "shards.0.name"),
        (lambda m: m["shards"][0].update(bytes=-1), "shards.0.bytes"),
        (lambda m: m["shards"][0].update(samples="2"), "shards.0.samples"),
        (lambda m: m["shards"][0]["metadata"].update(name="../x.parquet"), "shards.0.metadata.name"),
        (lambda m: m["shards"][0].update(sha256="0" * 64), "root hash"),
        (lambda m: m["settings"].update(seed=9), "fingerprint"),
    ],
)
def test_a_changed_manifest_is_refused_with_the_changed_entry(change, entry, out):
    rewrite_manifest(out, change)
    with pytest.raises(DimmagenError, match=entry.replace(".", r"\.")):
        verify_dataset(str(out))


@pytest.mark.parametrize("adds", [{}, {"adds": True}])
def test_the_state_of_the_run_that_made_the_set_is_no_fault_but_files_that_it_does_not_name_are(adds, out):
    """A disk may refuse to remove it, or the run be killed before."""
    begin(out, {}, **adds)
    (out / STATE / "records").mkdir()
    (out / STATE / "records/train-00000.json").write_bytes(b"{}")
    for _ in range(2):  # with its settings, and without them
        found = verify_dataset(str(out))
        assert found.unfinished == [STATE]
        assert {fault.where for fault in found.faults} > {*ADDED, "shards/other.tar", "extra.txt"}
        (out / STATE / "run.json").unlink(missing_ok=True)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '{"schema_version": NaN}', "\x00"])
def test_a_manifest_with_other_content_is_refused(text, out):
    (out / "manifest.json").write_text(text)
    with pytest.raises(DimmagenError, match="not a manifest"):
        verify_dataset(str(out))


def test_the_error_for_an_unfinished_data_set_says_how_to_finish_it(out):
    (out / "manifest.json").unlink()
    with pytest.raises(DimmagenError, match="if a run was stopped there, start it again"):
        verify_dataset(str(out))


def test_a_link_in_a_tar_is_reported_and_not_followed(out):
    with tarfile.open(out / SHARD, "w", format=tarfile.USTAR_FORMAT) as tar:
        link = tarfile.TarInfo("folder-1-v0.dark.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    assert f"\n{SHARD}: the member 'folder-1-v0.dark.png' is not a plain file" in faults(out)


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EMFILE])
@pytest.mark.parametrize("ending", [".tar", ".parquet"])
def test_trouble_of_the_machine_is_no_fault_of_a_data_set(number, ending, finished, monkeypatch):
    def failing(path, *arguments, **options):
        if str(path).endswith(ending):
            raise OSError(number, os.strerror(number), path)
        return open(path, *arguments, **options)

    monkeypatch.setattr(reading, "open", failing, raising=False)
    with pytest.raises(MachineError, match=rf"out/.*\{ending}: {os.strerror(number)}"):
        verify_dataset(str(finished))


def test_a_full_memory_is_no_fault_of_a_data_set(finished, monkeypatch):
    monkeypatch.setattr(codec, "as_array", lambda image: (_ for _ in ()).throw(MemoryError))
    with pytest.raises(MachineError, match=r"train-00000\.tar: Cannot allocate memory"):
        verify_dataset(str(finished))


def test_the_pairs_are_counted_before_and_while_they_are_checked(finished):
    begun, checked = [], []
    found = verify_dataset(str(finished), begun.append, checked.append)
    assert found.manifest == Manifest.load(str(finished))
    assert (begun, checked) == ([4], [2, 2])


def test_an_unknown_file_is_the_only_fault_that_it_makes(out):
    for name in ("extra.txt", "rejected/x.csv"):
        (out / name).write_bytes(b"")
    lines = [f"{name}: does not belong to the data set" for name in ("extra.txt", "rejected/x.csv")]
    assert verify_dataset(str(out)).unfinished == []
    assert faults(out).split("\n") == lines


def forge_manifest(out, change):
    """Change a manifest and its own hashes, which then fit."""

    def forge(manifest):
        change(manifest)
        manifest["fingerprint"] = fingerprint(manifest["settings"], manifest["environment"])
        shards = map(ShardEntry.model_validate, manifest["shards"])
        manifest["root_hash"] = root_hash([*shards, *map(FileEntry.model_validate, manifest["files"])])

    rewrite_manifest(out, forge)


NUMBERED = "manifest.json: its shards are not numbered from 0 without gaps"
TWICE = "manifest.json: it names a shard twice"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda m: m["counts"].update(shards=3), ["manifest.json: counts 3 shards, names 2"]),
        (
            lambda m: m["counts"].update(pairs=5),
            ["manifest.json: counts 5 pairs, its shards hold a different number"],
        ),
        (lambda m: m["shards"].reverse(), [NUMBERED]),
        (lambda m: (m["settings"].update(removed=[]), m["shards"].reverse()), []),
        (
            lambda m: (m["settings"].update(removed=[]), m["shards"].__setitem__(1, m["shards"][0])),
            [TWICE],
        ),
    ],
)
def test_counts_and_numbers_that_do_not_fit_are_reported(change, expected, out):
    forge_manifest(out, change)
    found = [line for line in faults(out).split("\n") if line.startswith("manifest.json")]
    assert found == expected


def test_a_key_of_two_shards_is_reported_once_with_the_second(out):
    shutil.copy(out / "shards/train-00000.tar", out / SHARD)
    shutil.copy(out / "metadata/train-00000.parquet", out / "metadata/train-00001.parquet")
    first = json.loads((out / "manifest.json").read_text())["shards"][0]

    def repeat(manifest):
        names = {"name": SHARD, "metadata": {**first["metadata"], "name": "metadata/train-00001.parquet"}}
        manifest["shards"][1] = {**first, **names}

    forge_manifest(out, repeat)
    keys = read_table(str(out / first["metadata"]["name"]), schema_of({}))["key"].to_pylist()
    expected = [f"{SHARD}: sample {key}: its key occurs twice in the data set" for key in keys]
    assert faults(out).split("\n") == expected


@pytest.mark.parametrize("names", [(), ("lock",), ("lock", ".run.json.0123abcd.7.tmp")])
def test_a_run_that_was_stopped_before_it_wrote_anything_is_no_fault(names, out):
    (out / STATE).mkdir()
    for name in names:
        (out / STATE / name).write_bytes(b"")
    found = verify_dataset(str(out))
    assert (found.unfinished, found.faults) == ([STATE], [])


ADDED = (
    ".croissant.json.0123abcd.7.tmp",
    "metadata/train-00002.parquet",
    "rejected/candidates-00002.parquet",
    "shards/.train-00003.tar.0123abcd.7.tmp",
    "shards/train-00002.tar",
)


def begin(out, changed, **note):
    (out / STATE).mkdir()
    manifest = json.loads((out / "manifest.json").read_text())
    values = {"settings": {**manifest["settings"], **changed}, "environment": manifest["environment"]}
    (out / STATE / "run.json").write_text(json.dumps({**values, **note}))
    for name in (*ADDED, "shards/other.tar", "extra.txt", "rejected/train-00002.parquet"):
        (out / name).write_bytes(b"")


def test_what_a_stopped_addition_has_written_is_no_fault_but_what_it_would_not_write_is(out):
    begin(out, {"seed": 7}, adds=True)
    found = verify_dataset(str(out))
    assert sorted(found.unfinished) == sorted([STATE, *ADDED])
    unknown = ["extra.txt", "rejected/train-00002.parquet", "shards/other.tar"]
    assert [fault.where for fault in found.faults] == unknown


@pytest.mark.parametrize(
    ("settings", "note"),
    [
        ({"seed": 7}, {}),
        ({"seed": 7}, {"adds": False}),
        ({"seed": 7}, {"adds": 1}),
        ({}, {"adds": True, "settings": 3}),
        ({"seed": float("nan")}, {"adds": True}),
    ],
)
def test_the_state_of_another_run_does_not_belong_to_the_data_set(settings, note, out):
    begin(out, settings, **note)
    found = verify_dataset(str(out))
    assert found.unfinished == []
    assert {STATE, *ADDED} < {fault.where for fault in found.faults}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"settings": {}}', "\xff"])
def test_a_damaged_note_of_a_run_is_no_addition(text, out):
    begin(out, {})
    (out / STATE / "run.json").write_text(text)
    assert verify_dataset(str(out)).unfinished == []


@pytest.mark.parametrize("dark_image", [b"", b"no image"])
def test_of_a_sample_without_a_dark_image_the_rest_is_checked(dark_image, out):
    with tarfile.open(out / SHARD) as tar:
        files = {entry.name: tar.extractfile(entry).read() for entry in tar.getmembers()}
    dark, json_file, light, *_ = files
    contents = {dark: dark_image} if dark_image else {}
    contents |= {name: files[name][:-1] + b"?" for name in (json_file, light)}
    with tarfile.open(out / SHARD, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    found, sample = faults(out), f"{SHARD}: sample {dark.split('.')[0]}"
    assert f"{sample}: {dark} is not at byte {tarfile.BLOCKSIZE}\n" in found
    assert (f"{sample}: {dark}: is not an image of a known kind (" in found) == bool(dark_image)
    assert f"{sample}: the bytes of {light} are not those of its row\n" in found
    assert f"{sample}: the JSON file is not a JSON object" in found


@pytest.mark.parametrize(
    ("old", "new", "differs"),
    [
        (b'"variant": 0', b'"variant": 1', "variant"),
        (b'"width": 16', b'"width":  7', "width"),
        (b'"variant": 0', b'"variant":0 ', "its keys or number formats"),
        (b'"profile": "linear",\n "model": "linear"', b'"model": "nearly"', "model"),
    ],
)
def test_a_sidecar_with_other_values_is_reported_with_their_keys(old, new, differs, out):
    with open(out / SHARD, "rb") as file:
        member = list(members(file, SHARD))[1]
        file.seek(member.offset)
        text = file.read(member.size)
    assert text.count(old) == 1
    replace_member(out / SHARD, 1, text.replace(old, new))
    assert faults(out).endswith(f": the JSON differs from its row in {differs}")
