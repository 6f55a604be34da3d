"""Untrusted archives: members that are not files, names of arbitrary bytes, and duplicate names."""

import io
import struct
import tarfile
import zipfile

import pyarrow.parquet as pq
import pytest
from skimage import data

from dimmagen.core import tar
from dimmagen.core.errors import DimmagenError
from dimmagen.images import codec
from dimmagen.sources.archives import DamagedArchiveError, list_entries, read_entry
from tests.commands import exit_code

PHOTO = codec.encode_png(data.astronaut()[:300, :300].copy())
OTHER = codec.encode_png(data.coffee()[:300, :300].copy())
ODD = b"caf\xe9\xff.png"


def hostile_tar(path):
    """Two intact photos, one with a name that is not UTF-8, among all kinds of members of a tar."""
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT, errors="surrogateescape") as archive:
        for name, content in (
            ("good.png", PHOTO),
            (ODD.decode("utf-8", "surrogateescape"), OTHER),
            ("../../escape.png", b"x"),
            ("/etc/absolute.png", b"x"),
            ("twice.png", b"first"),
            ("twice.png", b"second"),
            ("line\nbreak.png", b"x"),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, kind in {
            "soft.png": tarfile.SYMTYPE,
            "hard.png": tarfile.LNKTYPE,
            "block.png": tarfile.BLKTYPE,
            "pipe.png": tarfile.FIFOTYPE,
        }.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    return path


def hostile_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("good.png", PHOTO)
        archive.writestr("odd-name.png", OTHER)
        archive.writestr("../../escape.png", b"x")
        archive.writestr("/etc/absolute.png", b"x")
        link = zipfile.ZipInfo("soft.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("twice.png", b"first")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("twice.png", b"second")
    whole = path.read_bytes()
    assert whole.count(b"odd-name.png") == 2
    path.write_bytes(whole.replace(b"odd-name.png", b"odd-\xff\xe9\nx.png"))
    return path


@pytest.mark.parametrize("make", [hostile_tar, hostile_zip])
def test_a_hostile_archive_gives_its_whole_photos_a_row_for_all_else_and_touches_nothing(
    make, tmp_path, capsys, monkeypatch
):
    inside = tmp_path / "inside"
    inside.mkdir()
    monkeypatch.chdir(inside)
    archive = make(inside / "stranger")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    code = exit_code("build-mixhq", "--source", f"folder={archive}", "--out", "mixhq")
    output = capsys.readouterr()
    assert code == 0, output.err
    rows = pq.read_table("mixhq/catalog/part-00000.parquet").to_pylist()
    accepted = [row for row in rows if row["accepted"]]
    assert "good.png" in {row["name"] for row in accepted}
    assert len(rows) == len(list_entries(str(archive)))
    assert all(row["rule"] == "unreadable" and row["reason"] for row in rows if not row["accepted"])
    assert sum(row["name"] == "twice.png" for row in rows) == 2
    outside = {path for path in tmp_path.rglob("*") if inside / "mixhq" not in (path, *path.parents)}
    assert outside == set(before)


def test_a_name_that_is_not_utf8_is_recorded_with_its_bytes(tmp_path):
    entries = list_entries(str(hostile_tar(tmp_path / "stranger.tar")))
    (odd,) = (entry for entry in entries if entry.name.startswith("caf"))
    assert read_entry(odd.locator) == OTHER
    exit_code("build-mixhq", "--source", f"folder={tmp_path}/stranger.tar", "--out", f"{tmp_path}/mixhq")
    rows = pq.read_table(tmp_path / "mixhq/catalog/part-00000.parquet").to_pylist()
    assert r"caf\udce9\udcff.png" in {row["name"] for row in rows}


def test_a_photo_in_a_folder_under_a_name_of_arbitrary_bytes_is_accepted(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    with open(bytes(folder) + b"/" + ODD, "wb") as file:
        file.write(PHOTO)
    (entry,) = list_entries(str(folder))
    assert read_entry(entry.locator) == PHOTO


@pytest.mark.parametrize("field", ["header_offset", "compressed", "size"])
def test_a_zip_directory_that_lies_about_a_member_is_damage(field, tmp_path):
    path = tmp_path / "lying.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", PHOTO)
    whole = bytearray(path.read_bytes())
    directory = whole.index(b"PK\1\2")
    place = directory + {"compressed": 20, "size": 24, "header_offset": 42}[field]
    struct.pack_into("<I", whole, place, 7)
    path.write_bytes(whole)
    with pytest.raises(DimmagenError, match=r"lying\.zip (is damaged|is not a complete zip|ends within)"):
        read_entry(list_entries(str(path))[0].locator)


def test_a_sparse_member_of_a_terabyte_is_rejected_unread(tmp_path):
    member = tarfile.TarInfo("huge.png")
    member.type, member.size = tarfile.GNUTYPE_SPARSE, 512
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[483:495] = b"%011o\0" % 2**32
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + sum(header[156:512]) + 8 * 32)
    path = tmp_path / "sparse.tar"
    path.write_bytes(bytes(header) + bytes(512) + bytes(10_240))
    try:
        entries = list_entries(str(path))
    except DimmagenError:
        return
    assert all(entry.refusal for entry in entries)


def member_of_size(name, size):
    """The header of a tar's member, with a size that no member has."""
    header = bytearray(tarfile.TarInfo(name).tobuf(tarfile.GNU_FORMAT))
    header[124:136] = struct.pack(">iq", -1 if size < 0 else -(2**31), size)
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return bytes(header)


@pytest.mark.parametrize("size", [-1, -512, -1024, -5000, 2**62])
def test_a_member_of_a_size_that_no_member_has_ends_the_reading_of_a_tar(size, tmp_path):
    path = tmp_path / "photos.tar"
    others = [tarfile.TarInfo(name).tobuf() for name in ("a.png", "b.png")]
    path.write_bytes(b"".join([*others, member_of_size("c.png", size), bytes(10240)]))
    with pytest.raises(DimmagenError, match="not a complete tar") as caught:
        list_entries(str(path))
    assert caught.value.code == "archive"
    with open(path, "rb") as file, pytest.raises(DimmagenError) as caught:
        list(tar.members(file, "train-00000.tar"))
    assert caught.value.code == "damaged"


def test_records_of_a_sparse_file_that_are_none_are_damage(tmp_path):
    path = tmp_path / "train-00000.tar"
    member = tarfile.TarInfo("a.png")
    member.size, member.pax_headers = 100, {"GNU.sparse.map": "1,x"}
    path.write_bytes(member.tobuf(tarfile.PAX_FORMAT) + bytes(10240))
    with open(path, "rb") as file, pytest.raises(DimmagenError, match="not a readable tar"):
        list(tar.members(file, path.name))


def test_tars_inside_tars_without_end_are_refused(tmp_path):
    content = b""
    for _ in range(1000):
        member = tarfile.TarInfo("inner.tar")
        member.size = len(content)
        content = member.tobuf() + content + bytes(1024)
    (tmp_path / "outer.tar").write_bytes(content)
    with pytest.raises(DimmagenError, match="tars inside tars, more than 16 deep"):
        list_entries(str(tmp_path / "outer.tar"))


@pytest.mark.parametrize(
    ("compressed", "start"), [(2**50, 0), (2**64 - 1, 0), (100, 2**62), (100, 2**63 + 5)]
)
def test_a_zip_member_whose_place_no_file_has_is_damaged_and_takes_no_memory(compressed, start, tmp_path):
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", PHOTO)
        archive.writestr("b.png", OTHER)
    data = bytearray(path.read_bytes())
    at, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    extra = struct.pack("<HHQQ", 1, 16, compressed, start)
    (listed,) = struct.unpack_from("<I", data, end + 12)
    struct.pack_into("<I", data, end + 12, listed + len(extra))
    struct.pack_into("<H", data, at + 30, len(extra))
    data[at + 20 : at + 24] = data[at + 42 : at + 46] = b"\xff" * 4
    data[at + 46 + 5 : at + 46 + 5] = extra  # behind the name
    path.write_bytes(data)
    one, other = list_entries(str(path))
    with pytest.raises(DamagedArchiveError):
        read_entry(one.locator)
    assert read_entry(other.locator) == OTHER
