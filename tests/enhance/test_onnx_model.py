"""The ONNX model: the network's results for any size, from an image and a lightness alone."""

import logging
import os
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.enhance import onnx_model
from dimmagen.enhance.enhancer import Enhancer
from dimmagen.enhance.network import EnhancementNetwork
from dimmagen.enhance.onnx_model import AppNetwork, export_onnx

PAGE = Path(__file__).parents[2] / "docs" / "training.md"


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = EnhancementNetwork("compact").eval()
    with torch.no_grad():  # an untrained network ignores most of its inputs
        for parameter in network.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return network


def image(height, width, limit=60):
    return np.random.default_rng(height).integers(0, limit, (height, width, 3), np.uint8)


def as_tensor(dark):
    return torch.from_numpy(dark.transpose(2, 0, 1)[None] / np.float32(255))


@pytest.mark.parametrize("size", [(64, 96), (75, 101), (5, 3), (1, 1)])
def test_the_graph_computes_the_inputs_and_pads_as_enhancing_does(network, size):
    dark = image(*size)
    with torch.no_grad():
        light = AppNetwork(network)(as_tensor(dark), torch.tensor([0.5]))[0]
    expected = Enhancer(network).enhance(dark, 0.5)
    assert np.abs(light.permute(1, 2, 0).numpy() * 255 - expected).max() <= 0.5 + 1e-3


def test_onnxruntime_gives_the_result_for_sizes_that_were_not_exported(network, tmp_path, monkeypatch):
    runtime = pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        report = export_onnx(network, tmp_path / "model.onnx", {"iteration": 3})
    assert [one.message for one in told if one.category is FutureWarning] == []
    assert logging.getLogger("torch.onnx").level == logging.NOTSET  # as it was: a user's own exports log
    assert report.bytes == (tmp_path / "model.onnx").stat().st_size
    assert report.difference <= 1e-3
    session = runtime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    for size in ((40, 33), (8, 120), (3, 5)):
        dark = image(*size)
        given = {"dark": as_tensor(dark).numpy(), "lightness": np.array([0.4], np.float32)}
        light = session.run(["light"], given)[0][0].transpose(1, 2, 0)
        assert np.abs(light * 255 - Enhancer(network).enhance(dark, 0.4)).max() <= 0.5 + 0.255
    (snippet,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    Image.fromarray(image(21, 34)).save("night.jpg")
    exec(compile(snippet, str(PAGE), "exec"), {})
    with Image.open("light.png") as light:
        assert light.size == (34, 21)
    stored = {one.key: one.value for one in onnx.load(tmp_path / "model.onnx").metadata_props}
    assert stored["dimmagen"] == '{"iteration": 3}'


@pytest.mark.skipif("DIMMAGEN_ONNX" not in os.environ, reason="minutes each; make test-onnx")
@pytest.mark.parametrize("architecture", ["small", "paper"])
def test_the_larger_networks_are_exported_and_give_their_results(architecture, tmp_path):
    torch.manual_seed(0)
    network = EnhancementNetwork(architecture).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    report = export_onnx(network, tmp_path / "model.onnx")
    assert report.sizes == onnx_model.CHECKED_SIZES
    assert report.difference <= 1e-3


def test_a_model_that_gives_other_results_is_not_written(network, tmp_path, monkeypatch):
    class Session:
        def __init__(self, *_, **__):
            pass

        def run(self, _, given):
            return [given["dark"]]

    class Runtime:
        InferenceSession = Session

        @staticmethod
        def disable_telemetry_events():
            pass

    monkeypatch.setattr(onnx_model, "_package", lambda name: Runtime)
    monkeypatch.setattr(onnx_model, "_converted", lambda *_: b"model")
    with pytest.raises(DimmagenError, match="other results than the network"):
        export_onnx(network, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named_with_its_extra(network, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    monkeypatch.setitem(sys.modules, "onnx", sys)
    with pytest.raises(UsageError, match=r"dimmagen\[onnx\]"):
        export_onnx(network, tmp_path / "model.onnx")
