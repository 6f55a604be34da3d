"""Untrusted JSON, parquet and tensor files: accepted if valid, otherwise rejected with a message."""

import json
import os
import pickle
import random
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

from dimmagen import build_mixhq
from dimmagen.core import hashing
from dimmagen.core.errors import DimmagenError
from dimmagen.core.parquet import read_rows
from dimmagen.dataset.checking import check_pair_shard
from dimmagen.dataset.manifest import Manifest, Run, fingerprint, root_hash
from dimmagen.dataset.reader import open_pairs
from dimmagen.dataset.schema import PAIR_SCHEMA
from dimmagen.dataset.verify import verify_dataset
from dimmagen.dimmers import profile as profiles
from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.dimmers.profile_json import fingerprint_of
from dimmagen.enhance.checkpoints import BEST, load_network
from dimmagen.generate.from_manifest import dimmer_from_manifest
from dimmagen.generate.resume import DatasetFolder
from dimmagen.sources import mixhq, parse_specs
from dimmagen.sources.candidate_files import list_candidate_files
from dimmagen.sources.light_images import MixHQLightImages
from dimmagen.sources.mixhq_reading import MIXHQ_CATALOG
from tests import fuzzing
from tests.dataset_helpers import make, write_catalog, write_photos

MUTATIONS = 150
VALUES = [
    *(None, True, -1, 0, 1.5, 1e400, float("nan"), 2**70, "", "\0", "x" * 300),
    *("../../etc/passwd", "/etc/passwd", "folder/", [], {}, [[]], {"a": 1}),
]
NOT_OBJECTS = ["", "{", "[]", "[1]", "null", '"x"', "7", "[" * 100_000, '{"a":' * 100_000, "\xff\xfe", "\0"]


def places(value, path=()):
    """The path of every value inside a JSON value."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        yield from places(inner, (*path, name))


def mutants(valid, repair=lambda value: None):
    """JSON texts with a value removed or replaced; half of them with new hashes, as from a careful
    attacker."""
    generator = random.Random(0)
    paths = list(places(valid))
    for index in range(MUTATIONS):
        value = json.loads(json.dumps(valid))
        *way, last = generator.choice(paths)
        parent = value
        for name in way:
            parent = parent[name]
        if generator.random() < 0.2:
            del parent[last]
        else:
            parent[last] = generator.choice(VALUES)
        if index % 2:
            try:
                repair(value)
            except (KeyError, TypeError, ValueError, AttributeError):
                continue  # so damaged that no hash can be computed
        yield json.dumps(value)


def refusals(path: Path, texts, use) -> int:
    """Write each text to the file and read it; returns the number of rejected texts. Other errors
    propagate."""
    valid, refused = path.read_bytes(), 0
    for text in texts:
        path.write_bytes(text.encode("latin-1"))
        try:
            use()
        except DimmagenError:
            refused += 1
    path.write_bytes(valid)
    return refused


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("documents")
    write_photos(folder / "photos", 4)
    make(folder / "photos", folder / "out", variants=2)
    build_mixhq(["sample"], folder / "mixhq", samples_per_shard=3)
    return folder


@pytest.fixture
def out(folder, tmp_path):
    return shutil.copytree(folder / "out", tmp_path / "out")


def test_a_changed_manifest(out):
    def use():
        dimmer_from_manifest(open_pairs(out).manifest.settings)

    def repair(value):
        value["fingerprint"] = fingerprint(value["settings"], value["environment"])

    path = out / "manifest.json"
    texts = [*mutants(json.loads(path.read_text()), repair), *NOT_OBJECTS]
    assert refusals(path, texts, use) > MUTATIONS / 2


@pytest.mark.parametrize("kind", ["camera", "mdn", "deterministic"])
def test_a_changed_profile(kind, tmp_path):
    folder = shutil.copytree(profiles.BUNDLED / "lol3", tmp_path / "stranger")
    light = np.full((4, 4, 3), 99, np.uint8)

    def use():
        dimmer = ImageDimmer.from_profile(folder, model=kind)
        json.dumps(dimmer.settings(), allow_nan=False)
        dimmer.dim(light, dimmer.draw("key"))

    def repair(value):
        value["fingerprint"] = fingerprint_of(value["default_model"], value["models"])

    path = folder / "profile.json"
    content = json.loads(path.read_text())
    content["provenance"] = {}
    texts = [*mutants(content, repair), *NOT_OBJECTS]
    assert refusals(path, texts, use) > MUTATIONS / 4


def test_a_changed_note_of_an_unfinished_run(folder, tmp_path):
    out = tmp_path / "out"
    manifest = Manifest.load(str(folder / "out"))
    run = Run(manifest.settings, manifest.environment)
    state = DatasetFolder(str(out))
    state.begin(run, {})
    state.notes.add(run, manifest.shards[0].shard_record())
    path = out / ".dimmagen/run.json"
    texts = [*mutants(json.loads(path.read_text())), *NOT_OBJECTS]
    assert refusals(path, texts, lambda: state.complete_shards(run, "if-possible")) > len(NOT_OBJECTS)
    record = out / ".dimmagen/records/train-00000.json"
    texts = [*mutants(json.loads(record.read_text())), *NOT_OBJECTS]
    assert refusals(record, texts, lambda: state.complete_shards(run, "if-possible")) == 0, (
        "a damaged record means that its shard is made again"
    )


def test_a_changed_manifest_of_a_mixhq(folder, tmp_path):
    place = shutil.copytree(folder / "mixhq", tmp_path / "mixhq")
    inputs = mixhq.describe_inputs(list_candidate_files(parse_specs(["sample"])), None, 3)

    def use():
        MixHQLightImages(str(place)).refs()
        mixhq.finished_verdict_counts(str(place), inputs)

    path = place / "manifest.json"
    texts = [*mutants(json.loads(path.read_text())), *NOT_OBJECTS]
    assert refusals(path, texts, use) > len(NOT_OBJECTS)


def test_damaged_parquet_is_refused_and_its_shard_found_at_fault(out):
    record = Manifest.load(str(out)).shards[0].shard_record()
    path = out / record.metadata.name
    valid, unreadable = path.read_bytes(), 0
    for index in range(200):
        damaged = fuzzing.mutate(valid, random.Random(index))
        if damaged == valid:
            continue
        path.write_bytes(damaged)
        with pytest.raises(DimmagenError):
            open_pairs(out)
        assert check_pair_shard(str(out), record).faults
        try:
            read_rows(str(path), PAIR_SCHEMA)
        except DimmagenError:
            unreadable += 1
    assert unreadable > 100


def forge(out, change):
    """Change the rows of the first shard and all hashes that cover them, like a careful attacker."""
    manifest = json.loads((out / "manifest.json").read_text())
    entry = manifest["shards"][0]["metadata"]
    rows = pq.read_table(out / entry["name"]).to_pylist()
    change(rows)
    nullable = pa.schema([pa.field(field.name, field.type) for field in PAIR_SCHEMA])
    pq.write_table(pa.Table.from_pylist(rows, schema=nullable), out / entry["name"], store_schema=False)
    data = (out / entry["name"]).read_bytes()
    entry.update(bytes=len(data), sha256=hashing.sha256(data))
    loaded = Manifest.model_validate_json(json.dumps(manifest))
    manifest["root_hash"] = root_hash([*loaded.shards, *loaded.files])
    (out / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("key", "../../escape", "holds invalid keys"),
        ("key", "/etc/passwd", "holds invalid keys"),
        ("key", "", "holds invalid keys"),
        ("key", None, "without a value in key"),
        ("dark_size", None, "without a value in dark_size"),
        ("dark_offset", -1, "outside its shard"),
        ("light_size", 2**62, "outside its shard"),
        ("dark_member", "x", "names members that are not those of its pairs"),
        ("light_member", "../../etc/passwd.light.png", "names members that are not those of its pairs"),
        ("width", 0, "sizes that no image has"),
        ("height", 2**62, "sizes that no image has"),
        ("gamma", float("nan"), "a number that is not finite in gamma"),
        ("lightness_after", float("inf"), "a number that is not finite in lightness_after"),
    ],
)
def test_rows_with_fitting_hashes_that_point_elsewhere(column, value, message, out):
    forge(out, lambda rows: rows[0].update({column: value}))
    with pytest.raises(DimmagenError, match=message):
        open_pairs(out)
    assert verify_dataset(str(out)).faults


@pytest.mark.parametrize(
    ("setting", "value"), [("labels", "coco"), ("labels", {"categories": []}), ("source_terms", ["MIT"])]
)
def test_settings_with_a_fitting_fingerprint_that_nothing_can_read(setting, value, out):
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["settings"][setting] = value
    manifest["fingerprint"] = fingerprint(manifest["settings"], manifest["environment"])
    (out / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DimmagenError, match=f"is not a manifest of this version: {setting}"):
        open_pairs(out)


def test_a_shard_without_the_columns_that_the_settings_name_is_a_fault(out):
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["settings"]["white_balance"] = "drawn"
    manifest["fingerprint"] = fingerprint(manifest["settings"], manifest["environment"])
    (out / "manifest.json").write_text(json.dumps(manifest))
    shards = {entry.metadata.name for entry in Manifest.load(str(out)).shards}
    assert {fault.where for fault in verify_dataset(str(out)).faults} == shards


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("shard", "../../../etc/passwd"),
        ("shard", "/etc/passwd"),
        ("key", "../escape"),
        ("extension", "../sh"),
        ("offset", -1),
        ("light_bytes", -1),
    ],
)
def test_a_catalog_of_a_mixhq_that_points_elsewhere(column, value, folder, tmp_path):
    place = shutil.copytree(folder / "mixhq", tmp_path / "mixhq")
    table = pq.read_table(place / MIXHQ_CATALOG)
    rows = table.to_pylist()
    next(row for row in rows if row["accepted"])[column] = value
    write_catalog(place, pa.Table.from_pylist(rows, schema=table.schema))
    with pytest.raises(DimmagenError, match="has invalid values"):
        MixHQLightImages(str(place))


class Payload:
    """Unpickling it creates a folder."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """The file of a small network."""
    from dimmagen.enhance.network import EnhancementNetwork
    from dimmagen.enhance.run_folder import RunFolder

    run = RunFolder(tmp_path_factory.mktemp("run"))
    network = EnhancementNetwork("compact")
    run.save(BEST, network.state_dict(), {"model": "compact", "iteration": 1, "psnr": 10.0})
    return run.path / BEST


def test_a_network_with_a_pickle_payload_is_refused_and_never_run(weights, tmp_path):
    for save in (torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))):
        path = tmp_path / BEST
        save({"weight": Payload(tmp_path / "executed")}, path)
        with pytest.raises(DimmagenError, match="not a readable checkpoint"):
            load_network(path)
    assert not (tmp_path / "executed").exists()
    pickle.loads(pickle.dumps(Payload(tmp_path / "executed")))
    assert (tmp_path / "executed").exists(), "the payload itself works"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_network_with_weights_that_are_no_numbers_is_refused(value, weights, tmp_path):
    load_network(weights)
    tensors, header = load_file(weights), json.loads(_header(weights))
    next(iter(tensors.values())).view(-1)[0] = value
    save_file(tensors, tmp_path / BEST, header)
    with pytest.raises(DimmagenError, match="NaN or infinity"):
        load_network(tmp_path / BEST)


def test_a_damaged_network_is_refused(weights, tmp_path):
    valid = weights.read_bytes()
    end, refused = 8 + int.from_bytes(valid[:8], "little"), 0
    for index in range(60):
        (tmp_path / BEST).write_bytes(fuzzing.mutate(valid[:end], random.Random(index)) + valid[end:])
        try:
            load_network(tmp_path / BEST)
        except DimmagenError:
            refused += 1
    assert refused > 50


def _header(path: Path) -> str:
    data = path.read_bytes()
    return json.dumps(json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"])
