"""A trained network as an ONNX model for apps, with the computation of its inputs inside the graph.

An app gives an image and a lightness, and gets an image: equalisation, colour map, condition and padding are
ONNX operations, made of the functions of :mod:`dimmagen.enhance.inputs`. The image is processed as a whole.
"""

import importlib
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError
from dimmagen.core.optional_packages import missing_package
from dimmagen.enhance.inputs import CONDITION_STEPS, condition, mean_lightness, network_input, network_inputs
from dimmagen.enhance.network import EnhancementNetwork

OPSET = 18
TOLERANCE = 1e-3  # of the output, in [0, 1]
CHECKED_SIZES = ((96, 64), (101, 75), (64, 120))  # width, height; the second is padded on both axes
_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True, slots=True)
class OnnxReport:
    """What was exported and checked.

    Attributes:
        opset: of the model.
        bytes: of the file.
        sizes: (width, height) of the images that onnxruntime was given.
        difference: largest difference of its outputs from the network's, in [0, 1].
    """

    opset: int
    bytes: int
    sizes: Sequence[tuple[int, int]]
    difference: float


class AppNetwork(nn.Module):
    """The network with its inputs, of one image of any size.

    Args:
        network: in eval mode, on the processor.

    Shape:
        dark: float32 (1, 3, H, W), RGB in [0, 1], of an 8-bit image. lightness: float32 (1,), requested mean
        of the result, in [0, 1]. Result: float32 (1, 3, H, W) in [0, 1].
    """

    def __init__(self, network: EnhancementNetwork) -> None:
        super().__init__()
        self.network = network
        self.multiple = network.architecture.multiple

    def forward(self, dark: Tensor, lightness: Tensor) -> Tensor:
        values = (dark.clamp(0, 1) * 255).round().to(torch.uint8)
        inputs = network_inputs(values.permute(0, 2, 3, 1))
        mean = values.double().mean((1, 2, 3)) / 255
        level = (CONDITION_STEPS * (lightness.double() - mean).clamp(0, 1)).round().long()
        height, width = dark.shape[2:]
        rows, columns = self._mirrored(height), self._mirrored(width)
        padded = inputs.index_select(2, rows).index_select(3, columns)
        return self.network(padded, level)[:, :, :height, :width]

    def _mirrored(self, length: int) -> Tensor:
        """The pixels of an axis, mirrored at its end up to the next multiple: int64."""
        places = torch.arange((length + self.multiple - 1) // self.multiple * self.multiple)
        period = torch.full((1,), 2 * length, dtype=torch.int64)  # a tensor: ONNX divides by no number
        places = torch.remainder(places, period)
        return torch.minimum(places, period - 1 - places)


def export_onnx(
    network: EnhancementNetwork, file: str | Path, notes: Mapping[str, Any] | None = None
) -> OnnxReport:
    """Write a network as an ONNX model, after onnxruntime has given its results for three sizes.

    Args:
        network: in eval mode, on the processor.
        file: to write, complete or not at all.
        notes: JSON values that are stored in the model under `dimmagen`.

    Raises:
        UsageError: a package is missing: the extra `onnx`.
        DimmagenError: the architecture cannot be exported, or onnxruntime gives other results; nothing is
            written.
    """
    packages = {name: _package(name) for name in _PACKAGES}
    data = _converted(AppNetwork(network).eval(), packages["onnx"], dict(notes or {}))
    packages["onnxruntime"].disable_telemetry_events()  # of a check on the user's machine
    session = packages["onnxruntime"].InferenceSession(data, providers=["CPUExecutionProvider"])
    difference = max(_difference(session, network, size) for size in CHECKED_SIZES)
    if not difference <= TOLERANCE:
        raise DimmagenError(
            f"onnxruntime gives other results than the network: they differ by {difference:.2g}",
            "export with other versions of torch, onnxscript and onnxruntime",
            code="failed",
        )
    storage.write_result(file, data)
    return OnnxReport(OPSET, len(data), CHECKED_SIZES, difference)


@contextmanager
def _only_errors() -> Iterator[None]:
    """Torch warns and logs about its own code; in this block it does not."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _converted(network: AppNetwork, onnx: Any, notes: dict[str, Any]) -> bytes:
    example = (torch.rand(1, 3, 75, 101), torch.tensor([0.5]))
    any_size = torch.export.Dim.DYNAMIC
    try:
        with _only_errors():
            program = torch.onnx.export(
                network,
                example,
                dynamo=True,
                input_names=["dark", "lightness"],
                output_names=["light"],
                dynamic_shapes={"dark": {2: any_size, 3: any_size}, "lightness": None},
                opset_version=OPSET,
                verbose=False,
            )
    except Exception as error:  # the exporter has its own errors in every version
        raise DimmagenError(
            f"torch cannot write the architecture {network.network.architecture_name} as ONNX "
            f"({type(error).__name__}: {str(error).splitlines()[0]})",
            "try other versions of torch and onnxscript",
            code="failed",
        ) from error
    if program is None:
        raise DimmagenError("torch wrote no ONNX model", "try another version of torch", code="failed")
    model = program.model_proto
    model.producer_name = "dimmagen"
    onnx.helper.set_model_props(model, {"dimmagen": json.dumps(notes)})
    return bytes(model.SerializeToString())


def _difference(session: Any, network: EnhancementNetwork, size: tuple[int, int]) -> float:
    """The largest difference of one result, in [0, 1]."""
    width, height = size
    dark = np.random.default_rng(0).integers(0, 60, (height, width, 3), np.uint8)
    given = {
        "dark": np.ascontiguousarray(dark.transpose(2, 0, 1)[None]).astype(np.float32) / 255,
        "lightness": np.array([0.5], np.float32),
    }
    level = torch.tensor([condition(mean_lightness(dark), 0.5)])
    multiple = network.architecture.multiple
    padding = ((0, 0), (0, -height % multiple), (0, -width % multiple))
    inputs = np.pad(network_input(dark), padding, mode="symmetric")
    with torch.inference_mode():
        expected = network(torch.from_numpy(inputs)[None], level)[:, :, :height, :width].numpy()
    return float(np.abs(session.run(None, given)[0] - expected).max())


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise missing_package("an ONNX model needs", name, "onnx", error) from None
