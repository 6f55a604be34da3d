"""Members of an archive that a later one of the same name replaces."""

import io
import tarfile
import zipfile

import pytest

from dimmagen.sources.archives import list_entries, read_entry
from dimmagen.sources.archives.entry import REPLACED


def make_tar_of(path, members):
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            if data is None:  # as GNU tar stores a file with several links that is named twice
                member.type, member.linkname = tarfile.LNKTYPE, name
            member.size = len(data or b"")
            archive.addfile(member, io.BytesIO(data or b""))
    return path


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_of_members_with_one_name_the_last_is_the_file_and_the_others_are_told(tmp_path):
    """`tar --append` and `--update` leave the old ones; who unpacks the archive has the last."""
    inner = [make_tar_of(tmp_path / "in.tar", [("x.jpg", data)]).read_bytes() for data in (b"5", b"66")]
    members = [("a.jpg", b"old"), ("b.jpg", b"b"), ("in.tar", inner[0]), ("./a.jpg", b"newer")]
    made = make_tar_of(tmp_path / "updated.tar", [*members, ("in.tar", inner[1]), ("b.jpg", None)])
    found = {(entry.name, entry.size): entry.refusal for entry in list_entries(str(made))}
    assert found == {
        ("a.jpg", 3): REPLACED,
        ("./a.jpg", 5): "",
        ("b.jpg", 1): "",
        ("b.jpg", 0): "is a link or a device in the archive",
        ("in.tar/x.jpg", 1): REPLACED,
        ("in.tar/x.jpg", 2): "",
    }
    with zipfile.ZipFile(tmp_path / "updated.zip", "w") as archive:
        for name, data in [*members[:2], ("a.jpg", b"newer")]:
            archive.writestr(name, data)
    listed = list_entries(str(tmp_path / "updated.zip"))
    assert [(entry.size, entry.refusal) for entry in listed] == [(3, REPLACED), (5, ""), (1, "")]
    with_labels = list_entries(str(tmp_path / "updated.zip"), wanted="images")
    assert [(entry.name, entry.size) for entry in with_labels] == [("a.jpg", 5), ("b.jpg", 1)]


def test_of_tars_one_after_the_other_each_has_its_own_files(tmp_path):
    first, second = (make_tar_of(tmp_path / f"{data}.tar", [("1.jpg", data)]) for data in (b"one", b"two"))
    (tmp_path / "both.tar").write_bytes(first.read_bytes() + second.read_bytes())
    entries = list_entries(str(tmp_path / "both.tar"))
    assert sorted(read_entry(entry.locator) for entry in entries) == [b"one", b"two"]
    assert {(entry.name, entry.refusal) for entry in entries} == {("1.jpg", "")}
