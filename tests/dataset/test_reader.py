"""A finished data set as a list of pairs: rows by index and by key, bytes by offset, and what is refused."""

import shutil
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dimmagen.core import hashing, storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.tar import members
from dimmagen.dataset import pair_tables as pair_tables_of
from dimmagen.dataset.pair_tables import pair_tables, whole_rows
from dimmagen.dataset.reader import PairSet, open_pairs, read_member
from dimmagen.dataset.schema import PAIR_SCHEMA
from dimmagen.dataset.writer import write_pair_shard
from dimmagen.images import codec
from tests.dataset.test_writer import sample
from tests.tiny_set import tiny_set


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> PairSet:
    return tiny_set(tmp_path_factory.mktemp("tiny") / "out")


@pytest.fixture
def pairs(tiny) -> PairSet:
    keys = ["coco-aa-v1", "coco-aa-v10", "coco-ab-v1", *(f"coco-b{number}-v1" for number in range(6))]
    table = tiny.table.take([0] * len(keys))
    return replace(tiny, table=table.set_column(0, "key", pa.array(keys)))


def test_a_pair_is_found_by_its_key_or_by_the_only_one_that_begins_so(pairs):
    assert pairs.find("coco-aa-v1") == pairs.row(0)  # also the beginning of another one
    assert pairs.find("coco-ab") == pairs.row(2)
    with pytest.raises(UsageError, match=r"2 keys begin with 'coco-aa'.*coco-aa-v1, coco-aa-v10 \.\.\."):
        pairs.find("coco-aa")
    with pytest.raises(UsageError, match=r"6 keys begin with 'coco-b'.*coco-b3-v1, coco-b4-v1 \.\.\."):
        pairs.find("coco-b")
    with pytest.raises(UsageError, match=r"has no pair 'clic'.*its first key is coco-aa-v1$"):
        pairs.find("clic")


def test_a_row_is_found_by_its_index_from_either_end(tiny):
    rows = tiny.rows()
    assert len(rows) == len(tiny) == 4
    for index in range(4):
        assert tiny.row(index) == tiny.row(index - 4) == rows[index]
    for index in (4, -5):
        with pytest.raises(IndexError, match=f"pair {index} of 4"):
            tiny.row(index)


@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize("columns", [None, ("key",), ("width", "height")])
def test_whole_rows_are_read_again_where_the_table_has_some_columns(columns, at_once, tiny, monkeypatch):
    monkeypatch.setattr(pair_tables_of, "_ROWS_AT_ONCE", at_once)
    part, rows = open_pairs(tiny.out, columns), tiny.rows()
    assert list(part.whole()) == rows
    for chosen in ([], [0], [3], [1, 2], [0, 1, 3]):
        assert list(part.whole(chosen)) == [rows[index] for index in chosen]
    if columns != ("width", "height"):
        assert part.find(rows[2]["key"]) == rows[2]


def test_a_parquet_file_with_fewer_rows_than_the_manifest_says_is_refused(tiny, tmp_path):
    out = shutil.copytree(tiny.out, tmp_path / "out")
    name = tiny.manifest.shards[0].metadata.name
    pq.write_table(pq.read_table(out / name).slice(1), out / name)
    data = (out / name).read_bytes()
    record = tiny.manifest.shards[0].metadata.model_copy(
        update={"bytes": len(data), "sha256": hashing.sha256(data)}
    )
    shards = [tiny.manifest.shards[0].model_copy(update={"metadata": record}), *tiny.manifest.shards[1:]]
    manifest = tiny.manifest.model_copy(update={"shards": shards})
    with pytest.raises(DimmagenError, match="has 1 row, the manifest says 2") as caught:
        open_pairs(str(out), manifest=manifest)
    assert caught.value.code == "damaged"


def test_the_table_names_the_shard_of_each_pair_behind_the_columns_of_the_files(tiny):
    shards = [f"shards/train-0000{number}.tar" for number in (0, 0, 1, 1)]
    assert tiny.table["shard"].to_pylist() == shards
    assert tiny.table.column_names[-1] == "shard"
    assert tiny.table.schema.field("shard").type == pa.string()


def test_images_and_their_bytes_are_those_of_the_shard(tiny):
    for row in tiny.rows():
        with open(storage.join(tiny.out, row["shard"]), "rb") as file:
            found = {member.name: member for member in members(file, row["shard"])}
        images = tiny.images(row)
        for side, pixels in zip(("dark", "light"), images, strict=True):
            member = found[row[f"{side}_member"]]
            data = tiny.data(row, side)
            assert data == read_member(tiny.out, row["shard"], member.offset, member.size)
            assert (codec.decode_rgb8(data)[0] == pixels).all()
            assert codec.pixel_sha256(pixels) == row[f"{side}_pixel_sha256"]


@pytest.mark.parametrize("side", ["dark", "light"])
def test_a_changed_byte_is_an_error_that_names_the_pair_and_the_shard(side, tiny, tmp_path):
    copy = replace(tiny, out=str(shutil.copytree(tiny.out, tmp_path / "out")))
    row = copy.row(1)
    path = storage.join(copy.out, row["shard"])
    with open(path, "r+b") as file:
        file.seek(row[f"{side}_offset"] + row[f"{side}_size"] - 1)
        file.write(b"?")
    for read in (lambda: copy.images(row), lambda: copy.data(row, side)):
        with pytest.raises(DimmagenError, match=f"the bytes of {row[f'{side}_member']} are not") as error:
            read()
        assert error.value.fields == {"path": path, "key": row["key"]}
    assert copy.data(row, "light" if side == "dark" else "dark")


def test_a_missing_shard_is_an_error_with_its_path(tiny, tmp_path):
    moved = replace(tiny, out=str(tmp_path))
    path = storage.join(str(tmp_path), "shards/train-00000.tar")
    with pytest.raises(DimmagenError, match=r"train-00000\.tar is missing") as error:
        moved.images(moved.row(0))
    assert (error.value.code, error.value.fields) == ("missing-path", {"path": path})


def test_a_set_without_labels_says_how_to_make_one_with_them(tiny):
    with pytest.raises(UsageError, match="has no labels: make it again with the labels") as error:
        tiny.labels(tiny.row(0))
    assert error.value.fields == {"parameter": "labels", "path": tiny.out}


@pytest.fixture
def labelled(tiny, tmp_path) -> PairSet:
    """Two pairs with labels, which a writer has written beside nothing else."""
    given = [
        replace(sample(f"folder-{number}-v0"), labels=b"%d" % number, labels_extension="labels.json")
        for number in (1, 2)
    ]
    record = write_pair_shard(str(tmp_path), "train-00000", given)
    return with_table(tiny, str(tmp_path), pq.read_table(tmp_path / record.metadata.name), record)


def with_table(pairs: PairSet, out: str, table: pa.Table, shard) -> PairSet:
    """A set of one shard whose parquet file has other rows, as its manifest says."""
    path = storage.join(out, "metadata/other.parquet")
    nowhere_null = pa.schema([field.with_nullable(False) for field in table.schema])
    pq.write_table(table.cast(nowhere_null), path, store_schema=False)
    size, sha256 = storage.size_and_sha256(path)
    [entry, *_] = pairs.manifest.shards
    metadata = entry.metadata.model_copy(
        update={"name": "metadata/other.parquet", "bytes": size, "sha256": sha256}
    )
    known = {"name": shard.name, "bytes": shard.bytes, "samples": len(table), "metadata": metadata}
    labels = {"labels": {"format": "json"}} if "labels_member" in table.column_names else {}
    update = {
        "shards": [entry.model_copy(update=known)],
        "settings": {**pairs.manifest.settings, **labels},
    }
    return replace(pairs, out=out, manifest=pairs.manifest.model_copy(update=update), table=table)


def test_labels_are_those_of_the_row(labelled):
    [table] = pair_tables(labelled.out, labelled.manifest)
    assert [labelled.labels(row) for row in table.to_pylist()] == [b"1", b"2"]
    with pytest.raises(DimmagenError, match=r"the bytes of folder-1-v0\.labels\.json are not"):
        labelled.labels({**table.to_pylist()[0], "labels_offset": 0})


END = "the size of the shard"


@pytest.mark.parametrize(
    ("column", "value", "is_inside"),
    [
        ("dark_offset", 0, True),
        ("dark_offset", -1, False),
        ("dark_size", 0, True),
        ("dark_size", -1, False),
        ("dark_size", "light_offset", False),
        ("light_size", 0, True),
        ("light_size", -1, False),
        ("light_size", END, False),
        ("light_offset", END, False),
        ("labels_offset", 0, True),
        ("labels_offset", -1, False),
        ("labels_offset", END, False),
        ("labels_size", 0, True),
        ("labels_size", -1, False),
        ("labels_size", END, False),
    ],
)
def test_offsets_may_not_leave_the_shard(column, value, is_inside, labelled):
    [shard] = labelled.manifest.shards
    rows = labelled.rows()
    value = {END: shard.bytes, "light_offset": rows[1]["light_offset"]}.get(value, value)
    assert_inside(labelled, [rows[0], {**rows[1], column: value}], is_inside)


@pytest.mark.parametrize("over", [0, 1])
def test_the_last_byte_of_a_shard_is_inside(over, labelled):
    [shard] = labelled.manifest.shards
    row, end = labelled.rows()[1], shard.bytes + over
    files = {"light_size": end - row["light_offset"], "labels_size": end - row["labels_offset"]}
    for name, size in files.items():
        assert_inside(labelled, [{**row, name: size}], not over)
    assert_inside(labelled, [{**row, "light_offset": end, "light_size": 0}], not over)
    assert_inside(labelled, [{**row, "labels_offset": end, "labels_size": 0}], not over)
    assert_inside(labelled, [{**row, "dark_size": row["light_offset"] - row["dark_offset"] + over}], not over)


def assert_inside(pairs: PairSet, rows: list[dict], is_inside: bool) -> None:
    [shard] = pairs.manifest.shards
    changed = with_table(pairs, pairs.out, pa.Table.from_pylist(rows, pairs.table.schema), shard)
    if is_inside:
        [table] = pair_tables(changed.out, changed.manifest)
        assert table.drop("shard").to_pylist() == rows
        return
    with pytest.raises(DimmagenError, match="has offsets outside its shard") as error:
        list(pair_tables(changed.out, changed.manifest))
    assert error.value.fields == {"path": storage.join(changed.out, "metadata/other.parquet")}


def test_the_rows_are_those_that_the_manifest_names(tiny, tmp_path):
    out = shutil.copytree(tiny.out, tmp_path / "out")
    path = out / "metadata/train-00001.parquet"
    whole = path.read_bytes()
    for other in (whole + b"\0", whole[:-5] + b"?" + whole[-4:]):
        path.write_bytes(other)
        with pytest.raises(DimmagenError, match=r"00001\.parquet is not the .* names: run `verify\("):
            open_pairs(out)
    path.unlink()
    with pytest.raises(DimmagenError, match=r"00001\.parquet is missing"):
        open_pairs(out)
    with pytest.raises(UsageError, match="does not exist"):
        open_pairs(out / "elsewhere")


def test_some_columns_are_read_as_they_are_among_all(tiny, tmp_path):
    columns = ("light_key", "light_offset", "light_size", "width")
    some = open_pairs(tiny.out, columns)
    assert some.table.to_pylist() == tiny.table.select([*columns, "shard"]).to_pylist()
    row = some.row(2)
    assert some._range(row, row["light_offset"], row["light_size"]) == tiny.data(tiny.row(2), "light")
    table = pa.table({name: tiny.table[name] for name in PAIR_SCHEMA.names if name != "exposure"})
    (tmp_path / "metadata").mkdir()
    changed = with_table(tiny, str(tmp_path), table.slice(0, 2), tiny.manifest.shards[0])
    with pytest.raises(DimmagenError, match="does not have the columns"):
        list(pair_tables(changed.out, changed.manifest, columns))
    cut = tiny.manifest.model_copy(
        update={"shards": [tiny.manifest.shards[0].model_copy(update={"bytes": 512})]}
    )
    with pytest.raises(DimmagenError, match="has offsets outside its shard"):
        list(pair_tables(tiny.out, cut, columns))


def test_whole_rows_are_those_of_the_keys_in_their_order(tiny):
    some = open_pairs(tiny.out, ("key",)).rows()
    chosen = [some[3], some[0], some[3], some[2]]
    rows = tiny.rows()
    assert whole_rows(tiny.out, tiny.manifest, chosen) == [rows[3], rows[0], rows[3], rows[2]]


def test_more_rows_than_the_shard_has_samples_are_refused(labelled):
    [entry] = labelled.manifest.shards
    for samples in (2, 1):
        shards = [entry.model_copy(update={"samples": samples})]
        manifest = labelled.manifest.model_copy(update={"shards": shards})
        if samples == 2:
            assert len(next(pair_tables(labelled.out, manifest))) == 2
        else:
            with pytest.raises(DimmagenError, match="2 rows"):
                next(pair_tables(labelled.out, manifest))


@pytest.mark.parametrize("key", ["a--b", "A-1", "a.b", "-a", "a-", "a\n", "\na"])
def test_keys_that_are_no_names_of_files_are_refused(key, labelled):
    rows = [labelled.rows()[0], {**labelled.rows()[1], "key": key}]
    [shard] = labelled.manifest.shards
    changed = with_table(labelled, labelled.out, pa.Table.from_pylist(rows, labelled.table.schema), shard)
    with pytest.raises(DimmagenError, match="holds invalid keys"):
        list(pair_tables(changed.out, changed.manifest))


def test_a_member_of_a_shard_is_read_by_its_place(tiny):
    with open(storage.join(tiny.out, "shards/train-00001.tar"), "rb") as file:
        data = file.read()
    assert read_member(tiny.out, "shards/train-00001.tar", 100, 77) == data[100:177]
