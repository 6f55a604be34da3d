"""A small trained network, and a way to run commands beside it."""

import shutil
import sys

import numpy as np
import pytest
from skimage import data

from dimmagen.cli import cli
from dimmagen.images.codec import encode_png
from tests.cli.quick_training import QUICK
from tests.commands import run_command
from tests.dataset_helpers import make, write_photos


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """The folder that :func:`place` copies."""
    folder = tmp_path_factory.mktemp("training")
    make(write_photos(folder / "photos", 5), folder / "shards", samples_per_shard=2)
    for side, divisor in (("low", 9), ("high", 1)):
        (folder / "pairs" / side).mkdir(parents=True)
        for index, image in enumerate((data.astronaut(), data.coffee(), data.chelsea())):
            pixels = np.ascontiguousarray(image[50:114, 60:156] // divisor)
            (folder / "pairs" / side / f"{index}.png").write_bytes(encode_png(pixels))
    for side, divisor in (("low", 9), ("high", 1)):
        (folder / "small" / side).mkdir(parents=True)
        pixels = np.ascontiguousarray(data.astronaut()[:8, :10] // divisor)
        (folder / "small" / side / "0.png").write_bytes(encode_png(pixels))
    words = ["train", "--data", "shards", "--out", "network", "--iterations", "4", *QUICK]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        cli.main([*words, "--validation-photos", "2"], standalone_mode=False)
    return folder


@pytest.fixture(scope="module")
def place(trained, tmp_path_factory):
    """A folder with `shards` of 5 photos, 3 `pairs`, a `small` pair, and a `network`."""
    return shutil.copytree(trained, tmp_path_factory.mktemp("place") / "training")


@pytest.fixture
def run(capfd, monkeypatch, place):
    """Runs a command line in that folder; returns exit code, output and messages."""
    monkeypatch.chdir(place)

    def run(*words):
        return run_command(capfd, *words)

    return run


@pytest.fixture
def refused(run, place, monkeypatch):
    """Runs a command line that has to fail and to change no file in that folder; returns its messages."""
    for absent in ("lpips", "torch.utils.tensorboard", "wandb", "mlflow"):
        monkeypatch.setitem(sys.modules, absent, None)

    def refused(*words):
        shutil.rmtree(place / "new", ignore_errors=True)  # what an earlier case began
        before = {file: file.read_bytes() for file in place.rglob("*") if file.is_file()}
        code, _, err = run(*words)
        assert code in (1, 2)
        assert {file: file.read_bytes() for file in before} == before
        assert not (place / "new" / "best.safetensors").exists()
        return err

    return refused
