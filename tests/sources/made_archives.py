"""The same files as a folder, a zip and a tar."""

import io
import tarfile
import zipfile

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
