import io
import os
import tarfile
import tracemalloc
import zipfile

import fsspec
import pytest

from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.sources.archives import list_entries, read_entry

FILES = {"b/2.jpg": b"two" * 1000, "a.jpg": b"one", "b/10.jpg": b"ten" * 50, "ü.png": b"umlaut"}


def make_folder(root):
    for name, data in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return str(root)


def make_zip(path, method=zipfile.ZIP_DEFLATED, files=FILES):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return str(path)


def make_tar(path, files=FILES, tar_format=tarfile.GNU_FORMAT):
    with tarfile.open(path, "w", format=tar_format) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return str(path)


def contents(path):
    return [(entry.name, read_entry(entry.locator)) for entry in list_entries(str(path))]


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


def test_hidden_files_and_macos_copies_are_skipped(tmp_path):
    files = {"__MACOSX/x/._a.jpg": b"", "x/._a.jpg": b"", "x/a.jpg": b"photo", ".DS_Store": b""}
    assert contents(make_zip(tmp_path / "mac.zip", files=files)) == [("x/a.jpg", b"photo")]


def test_a_glob_selects_files(tmp_path):
    root = make_folder(tmp_path / "photos")
    assert [name for name, _ in contents(f"{root}/b/*.jpg")] == ["10.jpg", "2.jpg"]
    assert [name for name, _ in contents(f"{root}/**/*.jpg")] == ["a.jpg", "b/10.jpg", "b/2.jpg"]


def test_links_in_a_folder_are_followed_and_loops_end(tmp_path):
    root = tmp_path / "photos"
    make_folder(root)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "c.jpg").write_bytes(b"linked")
    os.symlink(tmp_path / "elsewhere", root / "linked")
    os.symlink(root, root / "b" / "loop")
    os.symlink(tmp_path / "nowhere", root / "dangling.jpg")
    entries = {entry.name: entry for entry in list_entries(str(root))}
    assert sorted(entries) == sorted([*FILES, "linked/c.jpg", "dangling.jpg"])
    assert "cannot be opened" in entries["dangling.jpg"].refusal


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
    with pytest.raises(UsageError, match="decompress it first"):
        list_entries(str(tmp_path / "photos.tar.gz"))
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(UsageError, match="not a folder, a zip or a tar file"):
        list_entries(str(tmp_path / "notes.txt"))
    with pytest.raises(UsageError, match="there is no folder"):
        list_entries(str(tmp_path / "missing"))


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
