"""Untrusted archives: members that are not files, names of arbitrary bytes, and duplicate names."""

import io
import struct
import tarfile
import zipfile

import pyarrow.parquet as pq
import pytest
from skimage import data

from dimmagen.core.errors import DimmagenError
from dimmagen.images import codec
from dimmagen.sources.archives import list_entries, read_entry
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
