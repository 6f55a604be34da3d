"""The lines for an option file that `export` prints: every path in them exists in the export."""

import re

import pytest

from dimmagen.export.layouts import LAYOUTS
from dimmagen.export.readers import READERS, layout_lines, readers_of
from tests.commands import exit_code
from tests.dataset_helpers import make, write_photos

LABELLED = ("coco", "yolo", "voc", "masks")
# Their readers have the places in their code, or lines that differ from reader to reader.
WITHOUT = {"lol-v1", "lol-v2", "retinexnet-syn", "unpaired-ab", "single-jpg"}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lines")
    make(write_photos(folder / "photos", 4), folder / "out")
    return folder / "out"


@pytest.mark.parametrize("name", [name for name in LAYOUTS if name not in LABELLED])
def test_the_lines_of_a_layout_name_what_the_export_has(name, dataset, tmp_path, capsys):
    out = tmp_path / "export"
    assert exit_code("export", dataset, "--layout", name, "--out", out) == 0
    shown = capsys.readouterr().out
    lines = layout_lines(LAYOUTS[name], out)
    assert bool(lines) is (name not in WITHOUT)
    for line in lines:
        assert f"  {line}\n" in shown
    if not lines and readers_of(name):
        assert f"--layout {readers_of(name)[0].name}" in shown
    for line in lines:
        for path in re.findall(rf"{re.escape(out.as_posix())}[\w./-]*", line):
            assert (tmp_path / path).exists(), line


@pytest.mark.parametrize("name", ["basicsr", "basicsr-lmdb", "llformer"])
def test_an_export_without_validation_pairs_has_no_lines_for_them(name, dataset, tmp_path, capsys):
    out = tmp_path / "export"
    assert exit_code("export", dataset, "--layout", name, "--out", out, "--validation", "0") == 0
    shown = capsys.readouterr().out
    lines = layout_lines(LAYOUTS[name], out)
    assert [line for line in lines if "train" in line.lower()]
    assert all(line in shown for line in lines)
    assert not re.search(r"^ *val", shown, re.IGNORECASE | re.MULTILINE)


@pytest.mark.parametrize("name", LABELLED)
def test_layouts_of_labels_have_lines_for_every_split(name, tmp_path):
    lines = layout_lines(LAYOUTS[name], tmp_path / "export")
    assert lines
    assert all(str(tmp_path.as_posix()) in line for line in lines)


def test_only_readers_that_have_their_places_in_their_code_have_no_lines():
    assert [name for name, reader in READERS.items() if not reader.options] == ["kind-plus", "retinexnet"]
