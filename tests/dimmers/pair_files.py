"""Files of dark and light images that say by their grey level which pair they belong to."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dimmagen.core.errors import UsageError
from dimmagen.dimmers.real_pairs import load_pairs


def write(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 4, 3), value, np.uint8)).save(path, quality=100)


def make(root: Path, files: dict[int, tuple[str, str]]) -> None:
    """Dark files have the value of their pair's number, light ones 100 + that of their last dark file."""
    for scene, (dark, light) in files.items():
        write(root / dark, scene)
        write(root / light, 100 + scene)


def values(pairs) -> dict[str, tuple[int, int]]:
    return {pair.name: (int(pair.dark[0, 0, 0]), int(pair.light[0, 0, 0])) for pair in pairs}


def refused(path) -> UsageError:
    with pytest.raises(UsageError) as caught:
        load_pairs(path)
    return caught.value


def write_list(root: Path, files: dict[int, tuple[str, str]], text: str) -> Path:
    """A list of pairs beside their files."""
    make(root, files)
    path = root / "pairs.csv"
    path.write_text(text, "utf-8")
    return path
