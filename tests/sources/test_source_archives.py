"""Folders, zips and tars are read alike, and what is damaged or hostile in them is told."""

import bz2
import gzip
import io
import lzma
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import fsspec
import pytest

from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.sources.archives import list_entries, read_entry
from tests.sources.made_archives import FILES, contents, make_folder, make_tar, make_zip


def test_a_folder_a_zip_and_a_tar_of_the_same_files_give_the_same_entries_in_name_order(tmp_path):
    expected = sorted(FILES.items())
    assert contents(make_folder(tmp_path / "folder")) == expected
    assert contents(make_zip(tmp_path / "deflated.zip")) == expected
    assert contents(make_zip(tmp_path / "stored.zip", zipfile.ZIP_STORED)) == expected
    assert contents(make_tar(tmp_path / "gnu.tar")) == expected
    assert contents(make_tar(tmp_path / "pax.tar", tar_format=tarfile.PAX_FORMAT)) == expected


def test_sources_may_be_stored_at_a_url():
    filesystem = fsspec.filesystem("memory")
    filesystem.pipe({f"/places/folder/{name}": data for name, data in FILES.items()})
    buffer = io.BytesIO()
    make_zip(buffer)
    filesystem.pipe_file("/places/photos.zip", buffer.getvalue())
    assert contents("memory://places/folder") == sorted(FILES.items())
    assert contents("memory://places/photos.zip") == sorted(FILES.items())
    filesystem.rm("/places", recursive=True)


def test_a_tar_with_hostile_names_and_links_touches_nothing_outside(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    with tarfile.open(inside / "evil.tar", "w") as archive:
        for name in ("../../escape.jpg", "/etc/passwd.jpg"):
            member = tarfile.TarInfo(name)
            member.size = 4
            archive.addfile(member, io.BytesIO(b"data"))
        for name, kind in (
            ("soft.jpg", tarfile.SYMTYPE),
            ("hard.jpg", tarfile.LNKTYPE),
            ("dev.jpg", tarfile.CHRTYPE),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    entries = {entry.name: entry for entry in list_entries(str(inside / "evil.tar"))}
    assert read_entry(entries["../../escape.jpg"].locator) == b"data"
    assert read_entry(entries["/etc/passwd.jpg"].locator) == b"data"
    for name in ("soft.jpg", "hard.jpg", "dev.jpg"):
        assert "link or a device" in entries[name].refusal
    assert [path.name for path in tmp_path.rglob("*")] == ["inside", "evil.tar"]


def test_a_photo_that_a_backup_stored_as_a_sparse_file_is_not_called_a_link(tmp_path):
    with tarfile.open(tmp_path / "backup.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        member = tarfile.TarInfo("a.jpg")
        member.type, member.size = tarfile.GNUTYPE_SPARSE, 4
        archive.addfile(member, io.BytesIO(b"data"))
    [entry] = list_entries(str(tmp_path / "backup.tar"))
    assert entry.refusal == "is stored with its zeros left out (tar --sparse): pack it without that option"


def test_encrypted_linked_and_unusually_compressed_members_of_a_zip_are_refused_with_the_reason(tmp_path):
    link = zipfile.ZipInfo("link.jpg")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("secret.jpg", b"x")
        archive.writestr("lzma.jpg", b"x", zipfile.ZIP_LZMA)
        archive.filelist[1].flag_bits |= 1
    refusals = {entry.name: entry.refusal for entry in list_entries(str(tmp_path / "x.zip"))}
    assert "link" in refusals["link.jpg"]
    assert "encrypted" in refusals["secret.jpg"]
    assert "method 14" in refusals["lzma.jpg"]


def test_a_zip_member_that_unpacks_to_more_than_its_size_does_not_fill_the_memory(tmp_path):
    path = make_zip(tmp_path / "bomb.zip", files={"bomb.jpg": bytes(50_000_000)})
    locator = dict(list_entries(path)[0].locator, size=1000)
    tracemalloc.start()
    with pytest.raises(DimmagenError, match="damaged"):
        read_entry(locator)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


def test_a_flipped_bit_in_a_zip_member_is_found(tmp_path):
    path = tmp_path / "photos.zip"
    make_zip(path, zipfile.ZIP_STORED)
    damaged = bytearray(path.read_bytes())
    damaged[damaged.index(b"twotwo") + 5] ^= 1
    path.write_bytes(damaged)
    entry = next(entry for entry in list_entries(str(path)) if entry.name == "b/2.jpg")
    with pytest.raises(DimmagenError, match=r"photos\.zip is damaged"):
        read_entry(entry.locator)


@pytest.mark.parametrize("keep", [0.02, 0.5, 0.95])
def test_a_truncated_zip_is_refused(tmp_path, keep):
    path = tmp_path / "photos.zip"
    make_zip(path, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    with pytest.raises(DimmagenError, match=r"photos\.zip is not a complete zip.*fetch it again"):
        list_entries(str(path))


def test_a_tar_truncated_anywhere_is_refused(tmp_path):
    path = tmp_path / "photos.tar"
    make_tar(path, {name: data for name, data in FILES.items() if name.isascii()})
    whole = path.read_bytes()
    with tarfile.open(path) as archive:
        ends = [member.offset_data + -(-member.size // 512) * 512 for member in archive]
    for length in (100, 700, ends[0], ends[0] + 100, ends[1] - 700, ends[1], ends[2]):
        path.write_bytes(whole[:length])
        with pytest.raises(DimmagenError, match=r"photos\.tar is not a complete tar"):
            list_entries(str(path))
    path.write_bytes(whole[: ends[2] + 512])
    assert len(list_entries(str(path))) == 3


def test_a_compressed_tar_and_any_other_file_are_refused_with_advice(tmp_path):
    with tarfile.open(tmp_path / "photos.tar.gz", "w:gz"):
        pass
    with pytest.raises(UsageError, match="packed with gzip: unpack it first"):
        list_entries(str(tmp_path / "photos.tar.gz"))
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(UsageError, match="not a folder, a zip or a tar file"):
        list_entries(str(tmp_path / "notes.txt"))
    with pytest.raises(UsageError, match="there is no folder"):
        list_entries(str(tmp_path / "missing"))


@pytest.mark.parametrize("name", ["photos.zip", "photos.tar", "photos"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(b"x"), "is a file packed with gzip: unpack it first"),
        (bz2.compress(b"x"), "is a file packed with bzip2: unpack it first"),
        (lzma.compress(b"x"), "is a file packed with xz: unpack it first"),
        (b"\x28\xb5\x2f\xfd" + bytes(600), "is a file packed with Zstandard: unpack it first"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(600), "is a 7z archive: unpack it first"),
        (b"Rar!\x1a\x07\1\0" + bytes(600), "is a RAR archive: unpack it first"),
        (b"<!DOCTYPE html><title>Google Drive - Quota exceeded</title>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
    ],
)
def test_what_has_the_name_of_an_archive_and_is_none_says_what_it_is(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=said):
        list_entries(str(tmp_path / name))


@pytest.mark.parametrize(
    "name", ["p.zip.001", "p.z01", "p.tar.001", "p.tar.gz.002", "p.tar.part-ab", "p.part2.rar"]
)
def test_a_part_of_an_archive_is_to_be_joined_and_not_fetched_again(tmp_path, name):
    whole = make_zip(tmp_path / "whole", zipfile.ZIP_STORED) if ".z" in name else make_tar(tmp_path / "whole")
    (tmp_path / name).write_bytes(Path(whole).read_bytes()[:700])
    with pytest.raises(DimmagenError, match="one part of several by its name: join them to one file first"):
        list_entries(str(tmp_path / name))


def test_an_archive_that_shrinks_after_the_listing_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "photos.tar"
    make_tar(path)
    entries = list_entries(str(path))
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(DimmagenError, match=r"photos\.tar ends within a member"):
        read_entry(entries[-1].locator)
    path.unlink()
    with pytest.raises(DimmagenError, match="cannot be read"):
        read_entry(entries[0].locator)


def test_tars_one_after_the_other_in_one_file_are_read_to_the_end(tmp_path):
    first, second = (
        make_tar(tmp_path / "1.tar", {"a.jpg": b"one"}),
        make_tar(tmp_path / "2.tar", {"b.jpg": b"two"}),
    )
    with open(tmp_path / "both.tar", "wb") as both:
        for one in (first, second):
            both.write(Path(one).read_bytes())
    assert contents(tmp_path / "both.tar") == [("a.jpg", b"one"), ("b.jpg", b"two")]


def test_a_tar_of_tars_is_read_as_folders_and_a_cut_one_inside_is_an_error(tmp_path):
    inner = Path(make_tar(tmp_path / "n01440764.tar", {"1.JPEG": b"one", "2.JPEG": b"two"})).read_bytes()
    outer = make_tar(tmp_path / "train.tar", {"n01440764.tar": inner, "x.JPEG": b"x"})
    assert contents(outer) == [
        ("n01440764.tar/1.JPEG", b"one"),
        ("n01440764.tar/2.JPEG", b"two"),
        ("x.JPEG", b"x"),
    ]
    cut = make_tar(tmp_path / "cut.tar", {"n01440764.tar": inner[:1024] + b"broken header" * 50})
    with pytest.raises(DimmagenError, match="not a complete tar"):
        list_entries(cut)


def test_a_zip_with_backslashes_has_folders(tmp_path):
    with zipfile.ZipFile(tmp_path / "windows.zip", "w") as archive:
        archive.writestr("our485\\low\\1.png", b"dark")
    assert contents(tmp_path / "windows.zip") == [("our485/low/1.png", b"dark")]


@pytest.mark.parametrize(("method", "name"), [(9, "Deflate64"), (12, "bzip2"), (99, "encrypted")])
def test_a_member_that_cannot_be_read_says_why_by_name(tmp_path, method, name):
    make_zip(tmp_path / "a.zip", zipfile.ZIP_STORED, {"a.jpg": b"one"})
    data = bytearray((tmp_path / "a.zip").read_bytes())
    for header, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        at = data.index(header) + offset
        data[at : at + 2] = method.to_bytes(2, "little")
    (tmp_path / "a.zip").write_bytes(data)
    (entry,) = list_entries(str(tmp_path / "a.zip"))
    assert name in entry.refusal


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar_that_ends_with_a_zip_is_read_as_a_tar(tmp_path, format):
    """The end of a zip was found in it, and only the photos of that zip were read."""
    with zipfile.ZipFile(tmp_path / "inner.zip", "w") as archive:
        archive.writestr("inside.jpg", b"inside")
    (tmp_path / "photo.jpg").write_bytes(b"a photo")
    with tarfile.open(tmp_path / "photos.tar", "w", format=format) as archive:
        for name in ("photo.jpg", "inner.zip"):
            archive.add(tmp_path / name, name)
    found = list_entries(str(tmp_path / "photos.tar"))
    assert [entry.name for entry in found] == ["inner.zip", "photo.jpg"]
    assert read_entry(found[1].locator) == b"a photo"


def test_a_zip_behind_a_program_is_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "plain.zip", "w") as archive:
        archive.writestr("photo.jpg", b"a photo")
    (tmp_path / "photos.exe").write_bytes(b"MZ" + bytes(998) + (tmp_path / "plain.zip").read_bytes())
    (found,) = list_entries(str(tmp_path / "photos.exe"))
    assert read_entry(found.locator) == b"a photo"
