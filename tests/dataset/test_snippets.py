"""The Python that we print, in docs and in data cards, run on a data set of somebody who means harm."""

import io
import os
import pickle
import re
import shutil
import tarfile
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest
import webdataset as wds

_ROOT = Path(__file__).resolve().parents[2]
# Members that one reader or another decodes by running what is in them.
_DECODED_BY_RUNNING = ("pyd", "pkl", "pickle", "pth", "pt", "npy", "npz")
_HARM = "harm-was-done"


class _Harm:
    def __reduce__(self):
        return (Path(_HARM).write_text, ("",))


def _poison(tar: Path) -> None:
    """Add members that run code when they are unpickled, in front of every sample and behind the last."""
    with tarfile.open(tar) as file:
        members = [(info, file.extractfile(info).read()) for info in file]
    payload = pickle.dumps(_Harm())
    with tarfile.open(tar, "w", format=tarfile.USTAR_FORMAT) as file:
        for info, data in members:
            file.addfile(info, io.BytesIO(data))
            key = info.name.split(".")[0]
            if info.name.endswith(".json"):
                for extension in _DECODED_BY_RUNNING:
                    extra = tarfile.TarInfo(f"{key}.{extension}")
                    extra.size = len(payload)
                    file.addfile(extra, io.BytesIO(payload))


@pytest.fixture
def hostile(pair_set, tmp_path, monkeypatch):
    out = tmp_path / "out"
    shutil.copytree(pair_set, out)
    for tar in (out / "shards").glob("*.tar"):
        _poison(tar)
    monkeypatch.chdir(tmp_path)
    return out


def _snippets(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def test_the_set_does_harm_to_a_reader_that_decodes_every_member(hostile):
    url = str(hostile / "shards/train-00000.tar")
    with suppress(Exception):  # some decoders refuse; by then others have run the code
        list(wds.WebDataset(url, shardshuffle=False).decode("rgb8"))
    assert Path(_HARM).exists()


@pytest.mark.parametrize("place", ["card", "loaders"])
def test_no_snippet_runs_what_a_set_carries(place, hostile, monkeypatch):
    if place == "card":
        monkeypatch.chdir(hostile)
        snippets = _snippets((hostile / "README.md").read_text())
    else:
        snippets = _snippets((_ROOT / "docs/loaders.md").read_text())
    assert any("webdataset" in snippet for snippet in snippets)
    for snippet in snippets:
        # Another reader may refuse such a set; it must not run it.
        with nullcontext() if "wds." in snippet else suppress(Exception):
            exec(compile(snippet, "snippet", "exec"), {"__name__": "snippet"})
        assert not any(path.name == _HARM for path in Path(os.curdir).rglob("*")), snippet


def test_every_page_that_reads_with_webdataset_selects_its_members():
    pages = [*_ROOT.glob("*.md"), *(_ROOT / "docs").rglob("*.md"), *(_ROOT / "benchmarks").glob("*.md")]
    readers = [path for path in pages if "wds.WebDataset(" in path.read_text(encoding="utf-8")]
    assert _ROOT / "docs/loaders.md" in readers
    for path in readers:
        for call in re.findall(r"wds\.WebDataset\([^\n]*", path.read_text(encoding="utf-8")):
            assert "select_files=" in call, (path, call)
