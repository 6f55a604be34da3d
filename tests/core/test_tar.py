"""The headers of a tar are those of `tarfile`, byte for byte."""

import io
import tarfile

import pytest

from dimmagen.core.tar import TarWriter


class Sized(bytes):
    """Data of any length, of which nothing is written."""

    def __new__(cls, size: int):
        made = super().__new__(cls)
        made.size = size
        return made

    def __len__(self) -> int:
        return self.size


def header_of_tarfile(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


@pytest.mark.parametrize(
    "name", ["a", "coco-0123456789abcdef-v0.dark.png", "b" * 100, "c" * 60 + "/" + "d" * 60]
)
@pytest.mark.parametrize("size", [0, 1, 511, 2**20 + 1, 8**11 - 1])
def test_a_header_is_that_of_tarfile(name, size):
    file = io.BytesIO()
    tar = TarWriter(file)
    tar._write = file.write  # the lengths of what is not there
    tar._pad = lambda unit: None
    tar.add(name, Sized(size))
    assert file.getvalue() == header_of_tarfile(name, size)


def test_what_tarfile_refuses_is_refused():
    tar = TarWriter(io.BytesIO())
    for name, size, error in (
        ("ä", 1, UnicodeEncodeError),
        ("e" * 101, 1, ValueError),
        ("f", 8**11, ValueError),
    ):
        for write in (header_of_tarfile, lambda name, size: tar.add(name, Sized(size))):
            with pytest.raises(error):
                write(name, size)
