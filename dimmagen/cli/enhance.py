"""`dimmagen enhance`: brighten photos with a trained network."""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np

from dimmagen.cli.command import command
from dimmagen.cli.console import Console
from dimmagen.cli.humanize import shorten
from dimmagen.cli.network_options import (
    device_option,
    exact_lightness_option,
    memory_option,
    network_option,
)
from dimmagen.cli.options import LocalPath, Number
from dimmagen.cli.output import echo
from dimmagen.cli.progress import Progress
from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.text import pluralize
from dimmagen.enhance.batch import Equalise
from dimmagen.enhance.checkpoints import load_network
from dimmagen.enhance.enhancer import Enhancer, crops_of_header
from dimmagen.enhance.inputs import FIXED_LIGHTNESS, mean_lightness
from dimmagen.enhance.lightness import LightnessModel, lightness_of_header
from dimmagen.enhance.onnx_model import export_onnx
from dimmagen.enhance.photos import photos_of, read_photo, result_names
from dimmagen.enhance.results import enhance_photo, file_names, requested_lightness
from dimmagen.enhance.training import pick_device
from dimmagen.images.codec import Metadata

AUTO = "auto"
CROP = "crop"


class Lightness(Number):
    """A mean lightness, or `auto`."""

    name = "float|auto"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        return AUTO if value == AUTO else super().convert(value, param, context)


class Window(click.IntRange):
    """Pixels, or `crop`."""

    name = "integer|crop"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        return CROP if value == CROP else super().convert(value, param, context)


@command(former_names={"--from": "--network"})
@click.argument("photos", nargs=-1, type=LocalPath(path_type=Path), metavar="IMAGE|DIR...")
@network_option
@click.option(
    "--lightness",
    "wanted",
    multiple=True,
    type=Lightness(0, 1),
    show_default=str(FIXED_LIGHTNESS),
    help="Mean lightness of the result, or `auto` to let the network choose it. Repeatable: each value "
    "gives a result of its own, and a contact sheet compares them.",
)
@click.option(
    "--match",
    metavar="FILE",
    type=LocalPath(path_type=Path),
    help="Image whose mean lightness the results should have, instead of --lightness.",
)
@exact_lightness_option
@click.option(
    "--out",
    type=LocalPath(path_type=Path, file_okay=False, is_result=True),
    metavar="DIR",
    default=Path("enhanced"),
    help="Folder for the results.",
)
@click.option(
    "--export",
    nargs=2,
    type=(click.Choice(["onnx"]), LocalPath(path_type=Path, dir_okay=False, is_result=True)),
    metavar="onnx FILE",
    help="Export the network as an ONNX model, instead of brightening photos.",
)
@memory_option
@click.option(
    "--window",
    type=Window(1),
    show_default="as large as --memory allows",
    help="Side, in pixels, of the overlapping windows in which larger photos are brightened; `crop` is the "
    "side of the training crops. In our measurements, windows scored lower than whole photos.",
)
@device_option
@click.option("--bf16", is_flag=True, help="Run the network in bfloat16: faster, with rounding differences.")
def enhance(
    photos: tuple[Path, ...],
    network_path: str,
    wanted: tuple[float | str, ...],
    match: Path | None,
    exact_lightness: bool,
    out: Path,
    export: tuple[str, Path] | None,
    memory: float,
    window: int | str | None,
    device: str,
    bf16: bool,
) -> dict[str, Any]:
    """Brighten photos of any size and orientation, and write them as PNG files.

    \b
    Examples:
      dimmagen enhance night.jpg --network run/ --lightness 0.3 --lightness 0.5
      dimmagen enhance --network run/ --export onnx model.onnx

    For a folder, the photos directly in it are brightened. A photo that cannot be read is reported and
    skipped, and the exit code is then 1.

    Results are in sRGB and keep a photo's EXIF data; they have a colour profile if the photo has one. Earlier
    results in --out are overwritten; the photos themselves never are.
    """
    if export is not None:
        if photos or wanted or match is not None:
            raise UsageError(
                "--export writes a model and does not brighten photos",
                "omit the photos and their lightness",
                code="conflict",
            )
        return _export(network_path, export[1])
    if not photos:
        raise UsageError("no photos are given", "give photos, or folders of them", code="missing-argument")
    if match is not None and wanted:
        raise UsageError("--match and --lightness exclude each other", "omit one of the two", code="conflict")
    if match is not None:
        wanted = (mean_lightness(read_photo(match)[0]),)
    levels = tuple(dict.fromkeys(wanted)) or (FIXED_LIGHTNESS,)
    names = result_names(photos_of(photos), out)
    network, header = load_network(network_path, pick_device(device))
    storage.remove_abandoned(out, file_names(list(names.values()), levels))
    own = _own_lightness(header, network_path) if AUTO in levels else None
    side, equalise = _windows(window, header, network_path)
    enhancer = Enhancer(network, memory, side, equalise, bf16, exact_lightness)
    unread: list[Path] = []
    written: list[dict[str, Any]] = []
    for photo, name in names.items():
        try:
            dark, metadata = read_photo(photo)
        except UsageError as error:
            echo(f"Skipped: {error}", err=True, level=logging.WARNING)
            unread.append(photo)
            continue
        requested = requested_lightness(levels, own, dark)
        written += _enhance_photo(enhancer, dark, metadata, requested, out / name)
    if unread:
        raise DimmagenError(
            f"{len(unread)} of {pluralize(len(names), 'photo')} could not be read: "
            f"{', '.join(shorten([str(photo) for photo in unread]))}",
            "the reasons are above; the other photos are done",
            code="unreadable-image",
            paths=[str(photo) for photo in unread],
            images=written,
        )
    return {"images": written}


def _enhance_photo(
    enhancer: Enhancer, dark: np.ndarray, metadata: Metadata, requested: Mapping[str, float], path: Path
) -> list[dict[str, Any]]:
    """Enhance one photo, print its results, and return them for programs."""
    written = []
    for one in enhance_photo(enhancer, dark, metadata, requested, path):
        if one.lightness is None:
            echo(f"{one.path} (the photo and its {len(requested)} results side by side)")
        else:
            echo(f"{one.path} ({one.width}x{one.height}, lightness {one.lightness:.2f})")
            written.append({**asdict(one), "path": str(one.path)})
    return written


def _windows(
    window: int | str | None, header: Mapping[str, Any], network: str
) -> tuple[int | None, Equalise]:
    """Side of the windows, None for tiles as large as the memory allows, and what equalises them.

    Raises:
        UsageError: the side is that of crops which the network's file does not name.
    """
    if not isinstance(window, str):
        return window, "image"
    crops = crops_of_header(header)
    if crops is None:
        raise UsageError(
            f"{network} does not record the size of its training crops, as an earlier version wrote it",
            "give it in pixels: --window 256",
            code="missing-argument",
        )
    return crops.side, crops.equalise


def _own_lightness(header: Mapping[str, Any], network: str) -> LightnessModel | None:
    """What the network learnt of lightness; None, with a message, if it learnt nothing."""
    own = lightness_of_header(header)
    if own is None:
        echo(
            f"Note: {network} has not learnt to choose a lightness, as an earlier version trained it: {AUTO} "
            f"is {FIXED_LIGHTNESS} for every photo.",
            err=True,
        )
    return own


def _export(network_path: str, file: Path) -> dict[str, Any]:
    network, header = load_network(network_path)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        bar.add_task("ONNX model", total=None, waiting="torch to write and onnxruntime to run it")
        report = export_onnx(network, file, header)
    sizes = ", ".join(f"{width}x{height}" for width, height in report.sizes)
    echo(
        f"{file}: ONNX, opset {report.opset}, {report.bytes / 1e6:.1f} MB; inputs `dark` (float32, "
        f"1x3xHxW, RGB in [0, 1]) and `lightness` (float32, 1), output `light`.\n"
        f"onnxruntime gives the network's result for {sizes}, to within {report.difference:.1g}."
    )
    return {"model": str(file), "opset": report.opset, "difference": report.difference}
