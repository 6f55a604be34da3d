"""What a type checker knows about the loaders in a user's program."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")
ROOT = Path(__file__).parents[2]
SNIPPET = """
import torch
import dimmagen

def stacked(pair: dimmagen.PairSample) -> torch.Tensor:
    return torch.stack([pair["dark"], pair["light"]])

def named(pair: dimmagen.PairSample) -> tuple[str, float]:
    return pair["key"], pair["gamma"]

pairs = dimmagen.PairDataset("out", crop=64)
reveal_type(pairs)
reveal_type(pairs[0]["dark"])
reveal_type(pairs[0]["variant"])
reveal_type(dimmagen.PairDataset("out", transform=named)[0])
for batch in dimmagen.pair_loader("out", batch_size=4):
    reveal_type(batch)
    reveal_type(batch["key"])
    reveal_type(batch["gamma"])
for tensor in dimmagen.pair_loader("out", batch_size=4, transform=stacked):
    reveal_type(tensor)
reveal_type(len(dimmagen.pair_loader("out", batch_size=4)))
"""
# Only the modules that the types are in are read: the whole package takes a quarter of a minute.
SETTINGS = """
[mypy]
ignore_missing_imports = true
[mypy-dimmagen.*,numpy.*]
follow_imports = skip
[mypy-dimmagen,dimmagen.dataset,dimmagen.dataset.loaders,dimmagen.dataset.pair_dataset]
follow_imports = silent
[mypy-dimmagen.dataset.loader_items]
follow_imports = silent
"""
# A part of torch's own types, which take a type checker half a minute.
TORCH = {
    "torch/__init__.pyi": (
        "from typing import Any, Sequence\n"
        "class Tensor: ...\n"
        "def stack(tensors: Sequence[Tensor]) -> Tensor: ...\n"
        "def __getattr__(name: str) -> Any: ...\n"
    ),
    "torch/utils/__init__.pyi": "",
    "torch/utils/data.pyi": (
        "from typing import Any, Generic, TypeVar\n"
        "T = TypeVar('T', covariant=True)\n"
        "class Dataset(Generic[T]):\n    def __getitem__(self, index: Any) -> T: ...\n"
        "class IterableDataset(Dataset[T]): ...\n"
        "def default_collate(batch: Any) -> Any: ...\n"
        "def get_worker_info() -> Any: ...\n"
    ),
}


def test_pairs_and_batches_have_types_in_a_strict_program(tmp_path):
    for name, text in TORCH.items():
        file = tmp_path / "stubs" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / "program.py").write_text(SNIPPET)
    (tmp_path / "mypy.ini").write_text(SETTINGS)
    words = ["-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "program.py"]
    environment = {**os.environ, "MYPYPATH": f"{tmp_path / 'stubs'}{os.pathsep}{ROOT}"}
    result = subprocess.run(
        [sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
    revealed = re.findall(r'Revealed type is "(.*)"', result.stdout)
    assert [re.sub(r"TypedDict\((\S+), \{.*?\}\)|builtins\.", r"\1", text) for text in revealed] == [
        "dimmagen.dataset.pair_dataset.PairDataset[dimmagen.dataset.loader_items.PairSample]",
        "torch.Tensor",
        "int",
        "tuple[str, float]",
        "dimmagen.dataset.loader_items.PairBatch",
        "list[str]",
        "torch.Tensor",
        "torch.Tensor",
        "int",
    ]
