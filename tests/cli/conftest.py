"""A small trained network, and a way to run commands beside it."""

import numpy as np
import pytest
from skimage import data

from dimmagen.cli import cli, main
from dimmagen.images.codec import encode_png
from tests.cli.quick_training import QUICK
from tests.dataset_helpers import make, write_photos


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with `shards` of 5 photos, 3 `pairs`, and a `network`."""
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


@pytest.fixture
def run(capfd, monkeypatch, place):
    """Runs a command line in that folder; returns exit code, output and messages."""
    monkeypatch.chdir(place)

    def run(*words):
        with pytest.raises(SystemExit) as exit_:
            main([str(word) for word in words])
        captured = capfd.readouterr()
        assert "Traceback" not in captured.err
        return exit_.value.code, captured.out, captured.err

    return run
