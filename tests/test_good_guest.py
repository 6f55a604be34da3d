"""Importing and calling the library changes nothing of the process that does it."""

import ast
import io
import logging
import os
import random
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from dimmagen.dimmers.jpeg import jpeg_quality
from dimmagen.enhance.state import TrainSettings
from dimmagen.enhance.training import TrainConfig, run_training
from dimmagen.images import codec, pillow_warnings
from tests.commands import exit_code
from tests.dataset_helpers import make, write_photos

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("photos") / "photos", 3)


def run_python(code: str) -> str:
    """What a program prints, in a process of its own."""
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_NUM_THREADS": "3"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_making_a_data_set_leaves_the_thread_counts(photos, tmp_path):
    """Which are 1 while it computes: sums keep one order."""
    code = f"""
import numba, torch
torch.set_num_threads(3)
from dimmagen.generate import worker
from tests.dataset_helpers import make
real, seen = worker.make_pair, []
def make_pair(*arguments):
    seen.append((torch.get_num_threads(), numba.get_num_threads()))
    return real(*arguments)
worker.make_pair = make_pair
make({str(photos)!r}, {str(tmp_path / "out")!r})
print(set(seen), torch.get_num_threads(), numba.get_num_threads())
"""
    assert run_python(code).split("\n")[0] == "{(1, 1)} 3 3"


def test_fitting_a_network_leaves_the_thread_counts():
    code = """
import numpy, torch
torch.set_num_threads(3)
from dimmagen.dimmers.mdn.fit import fit_network
from dimmagen.dimmers.real_pairs import RealPair
light = numpy.random.default_rng(0).integers(0, 256, (64, 64, 3), numpy.uint8)
seen, pair = [], RealPair("a", light // 9, light, "", "")
fit_network([pair], 0, lambda done: seen.append(torch.get_num_threads()), steps=2)
print(set(seen), torch.get_num_threads())
"""
    assert run_python(code) == "{1} 3\n"


def test_fitting_a_camera_leaves_the_thread_counts_of_linear_algebra():
    """NumPy's and SciPy's split the sums of long vectors: 1 while it computes."""
    code = """
import numpy, threadpoolctl
from dimmagen.dimmers.camera import fit
from dimmagen.dimmers.real_pairs import RealPair
light = numpy.random.default_rng(0).integers(0, 256, (64, 64, 3), numpy.uint8)
real, seen = fit.fit_response, []
def threads():
    return {one["num_threads"] for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"}
def fit_response(*arguments):
    seen.append(threads())
    return real(*arguments)
fit.fit_response = fit_response
threadpoolctl.threadpool_limits(3, "blas")
before = threads()
fit.fit_camera([RealPair("a", light // 9, light, "", "")])
print({*map(str, seen)} == {"{1}"}, before == threads() == {3})
"""
    assert run_python(code) == "True True\n"


def warning_image() -> bytes:
    """A photo that Pillow warns of: its EXIF data break off."""
    exif = b"Exif\0\0II*\0\x08\0\0\0\x05\0" + b"\x12\x01\x03\0\x01\0\0\0\x01\0\0\0"
    stream = io.BytesIO()
    Image.fromarray(np.full((64, 64, 3), 99, np.uint8)).save(stream, "JPEG", exif=exif)
    return stream.getvalue()


def test_the_image_of_these_tests_makes_pillow_warn():
    with pytest.warns(UserWarning, match="EXIF"), Image.open(io.BytesIO(warning_image())) as image:
        Image.Image.getexif(image).get(1)


@pytest.mark.parametrize("context_aware", [False, True])
def test_a_warning_of_pillow_refuses_no_photo_where_warnings_are_errors(context_aware, monkeypatch):
    monkeypatch.setattr(pillow_warnings, "_CONTEXT_AWARE", context_aware)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        filters = list(warnings.filters)
        pixels, facts = codec.decode_rgb8(warning_image())
        assert (pixels.shape, facts.transform) == ((64, 64, 3), "verbatim")
        assert codec.read_facts(warning_image()).width == 64
        assert jpeg_quality(warning_image()) == 75
        assert list(warnings.filters) == filters


def test_no_warning_filter_stays():
    """Not after the import, not after photos were decoded in threads, not where the user's own change."""
    code = f"""
import warnings
from concurrent.futures import ThreadPoolExecutor
from PIL import Image
import numpy, pandas, torch, skimage  # they have filters of their own
before = list(warnings.filters)
from dimmagen.images import codec, pillow_warnings
from dimmagen import PairDataset
data = {warning_image()!r}
def decode(number):
    for _ in range(20):
        codec.decode_rgb8(data)
    with warnings.catch_warnings():
        codec.decode_rgb8(data)
with ThreadPoolExecutor(4) as pool:
    list(pool.map(lambda _: [codec.decode_rgb8(data) for _ in range(20)], range(8)))
with pillow_warnings.ignored_warnings(), warnings.catch_warnings(record=True) as told:
    warnings.resetwarnings()
with pillow_warnings.ignored_warnings(), pillow_warnings.ignored_warnings():
    pass
print(list(warnings.filters) == before)
with pillow_warnings.ignored_warnings():
    warnings.resetwarnings()  # by another thread of the user's
print(warnings.filters)
"""
    assert run_python(code) == "True\n[]\n"


def test_what_python_has_warned_of_once_is_not_shown_again():
    """Changing its filters makes Python forget which warnings it has shown."""
    code = f"""
import sys
from dimmagen.images import codec
import warnings
warnings.showwarning = lambda message, *_: print(message)
for _ in range(3):
    warnings.warn("the user's own")
    codec.decode_rgb8({warning_image()!r})
"""
    assert run_python(code) == "the user's own\n"


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.xdist_group("ray")
def test_ray_leaves_the_environment_and_the_signals():
    code = """
import os, signal
from dimmagen.core.executors.ray_cluster import connect_ray
def handler(*_): ...
signal.signal(signal.SIGTERM, handler)
os.environ["PYTHONBREAKPOINT"] = "the user's own"  # Ray sets another one
before = dict(os.environ)
with connect_ray(1, None) as ray:
    print(ray.get(ray.remote(lambda: os.environ["RAY_USAGE_STATS_ENABLED"]).remote()))
    print(dict(os.environ) == before)
print(dict(os.environ) == before, signal.getsignal(signal.SIGTERM) is handler)
"""
    assert run_python(code) == "0\nTrue\nTrue True\n"


def test_training_leaves_the_random_generators(pair_set, tmp_path):
    torch.manual_seed(9)
    random.seed(9)
    np.random.seed(9)
    drawn = torch.rand(1), random.random(), np.random.rand()
    torch.manual_seed(9)
    random.seed(9)
    np.random.seed(9)
    settings = TrainSettings(iterations=1)
    config = TrainConfig(
        data=str(pair_set), crop=32, batch=1, perceptual="none", validation_photos=1, training=settings
    )
    run_training(config, tmp_path / "run", "if-possible", Silent())
    assert (torch.rand(1), random.random(), np.random.rand()) == drawn


class Silent:
    def begin(self, done, total): ...

    def iteration(self, values): ...


@pytest.fixture(scope="module")
def mixed_sizes(tmp_path_factory):
    """A data set of two photos of 256 pixels and two of 288."""
    folder = tmp_path_factory.mktemp("mixed")
    write_photos(folder / "photos", 2)
    for index in range(2):
        pixels = np.ascontiguousarray(data.astronaut()[index : 288 + index, :288])
        (folder / "photos" / f"large{index}.png").write_bytes(codec.encode_png(pixels))
    make(folder / "photos", folder / "out")
    return folder / "out"


LEFT_OUT = "2 pairs are left out: smaller than the crop of 288"


def test_the_library_logs_its_messages_and_prints_nothing(mixed_sizes, tmp_path, capfd, caplog):
    config = TrainConfig(
        data=str(mixed_sizes), crop=288, batch=1, perceptual="none", validation_photos=1,
        training=TrainSettings(iterations=1),
    )  # fmt: skip
    with caplog.at_level(logging.INFO, "dimmagen"):
        run_training(config, tmp_path / "run", "if-possible", Silent())
    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        ("dimmagen.enhance.training_data", LEFT_OUT)
    ]
    assert capfd.readouterr() == ("", "")


def test_the_command_line_shows_what_the_library_logs(mixed_sizes, tmp_path, capfd):
    handlers = list(logging.getLogger("dimmagen").handlers)
    words = f"train --shards {mixed_sizes} --out {tmp_path / 'run'} --iterations 1 --crop 288 --batch 1"
    code = exit_code(*words.split(), "--perceptual", "none", "--validation-photos", "1")
    printed, said = capfd.readouterr()
    assert code == 0, said
    assert LEFT_OUT in said.splitlines()
    assert LEFT_OUT not in printed
    assert logging.getLogger("dimmagen").handlers == handlers


def test_a_message_that_no_program_asks_for_is_not_shown():
    code = "import dimmagen, logging; logging.getLogger('dimmagen.core').warning('no one asked')"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (run.stdout, run.stderr) == ("", "")


def test_only_the_command_line_prints_and_ends_the_process():
    """Nor does any module reach into Ray's private ones."""
    found = set()
    for path in (ROOT / "dimmagen").rglob("*.py"):
        module = path.relative_to(ROOT / "dimmagen")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "sys.exit", "os._exit"):
                found.add((module.parts[0], ast.unparse(node.func)))
            if isinstance(node, ast.Attribute) and ast.unparse(node).startswith("ray._private"):
                found.add((module.as_posix(), ast.unparse(node)))
    assert found == {("cli", "sys.exit"), ("cli", "os._exit")}


def test_importing_every_module_changes_nothing_else():
    """Except the modules that are made of another library, which may be missing or change the environment."""
    code = """
import importlib, logging, os, pkgutil, signal, sys
def state():
    handlers = [signal.getsignal(number) for number in signal.valid_signals()], list(logging.root.handlers)
    loggers = [(one.level, list(one.handlers)) for one in map(logging.getLogger, ("paramiko", "PIL"))]
    return dict(os.environ), handlers, loggers, sys.excepthook, os.getcwd(), list(sys.path)
before = state()
import dimmagen
names = [module.name for module in pkgutil.walk_packages(dimmagen.__path__, "dimmagen.")]
others = ("__main__", ".for_albumentations", ".for_kornia", ".fused")
others += (".triton_kernel", ".triton_norm", ".triton_norm_kernels", ".triton_structure", ".triton_tables")
for name in names:
    if not name.endswith(others):
        importlib.import_module(name)
print(len(names) > 100, state() == before)
"""
    assert run_python(code) == "True True\n"
