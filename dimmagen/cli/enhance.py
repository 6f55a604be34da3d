"""`dimmagen enhance`: brighten photos with a trained network."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np

from dimmagen.cli.command import command
from dimmagen.cli.options import LocalPath, Number
from dimmagen.core import storage
from dimmagen.core.errors import UsageError
from dimmagen.enhance.checkpoints import load_network
from dimmagen.enhance.enhancer import MEMORY_GB, Enhancer
from dimmagen.enhance.inputs import FIXED_LIGHTNESS, mean_lightness
from dimmagen.enhance.training import pick_device
from dimmagen.images import codec
from dimmagen.images.sheets import image_grid


@command(former_names={"--from": "--network"})
@click.argument("photos", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE...")
@click.option("--network", "network_path", required=True, help="A run's folder, or a network file.")
@click.option(
    "--lightness",
    "wanted",
    multiple=True,
    type=Number(0, 1),
    help=f"Mean of the result, 0..1; several make a ladder and a sheet.  [default: {FIXED_LIGHTNESS}]",
)
@click.option("--match", type=click.Path(path_type=Path), help="Take the lightness of this picture.")
@click.option(
    "--out",
    type=LocalPath(path_type=Path, file_okay=False),
    default=Path("enhanced"),
    show_default=True,
    help="Folder.",
)
@click.option(
    "--memory",
    type=Number(0),
    default=MEMORY_GB,
    show_default=True,
    help="GB that a picture may take; more is tiled.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
def enhance(
    photos: tuple[Path, ...],
    network_path: str,
    wanted: tuple[float, ...],
    match: Path | None,
    out: Path,
    memory: float,
    device: str,
) -> None:
    """Brighten photos of any size and orientation; writes PNG files.

    Earlier results in --out are replaced; a photo that is given never is.

    Example: dimmagen enhance night.jpg --network run/ --lightness 0.2 --lightness 0.4 --lightness 0.6
    """
    if match is not None and wanted:
        raise UsageError("--match and --lightness ask for two things", "leave one of them away")
    if match is not None:
        wanted = (mean_lightness(_read(match)),)
    wanted = tuple(dict.fromkeys(wanted)) or (FIXED_LIGHTNESS,)
    digits = "" if len({f"{level:.2f}" for level in wanted}) < len(wanted) else ".2f"
    targets = _targets(photos, out)
    network, _ = load_network(network_path, pick_device(device))
    enhancer = Enhancer(network, memory)
    for photo, target in targets.items():
        dark = _read(photo)
        rungs = [(f"dark, {mean_lightness(dark):.2f}", dark)]
        for level in wanted:
            light = enhancer.enhance(dark, level)
            name = f"{target}.png" if len(wanted) == 1 else f"{target}-{level:{digits}}.png"
            _write(out / name, light)
            if len(wanted) > 1:
                rungs.append((f"asked {level:.2f}, got {mean_lightness(light):.2f}", light))
        if len(wanted) > 1:
            _write(out / f"{target}-ladder.png", image_grid([rungs]))


def _read(path: Path) -> np.ndarray:
    with _told(path):
        return codec.decode_rgb8(path.read_bytes())[0]


def _refuse_unreadable(path: Path) -> None:
    """By its header, before the first photo is brightened."""
    with _told(path):
        codec.read_facts(path.read_bytes())


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except codec.ImageError as error:
        raise UsageError(f"{path}: {error.reason}", "convert it to an 8-bit RGB picture") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror})", "check the path") from None


def _targets(photos: tuple[Path, ...], out: Path) -> dict[Path, str]:
    """The name, without extension, of each photo's result; none may meet another or a photo itself."""
    targets: dict[Path, str] = {}
    for photo in photos:
        _refuse_unreadable(photo)
        if photo.stem in targets.values():
            raise UsageError(
                f"two photos are called {photo.stem}", "enhance them into two folders, with --out"
            )
        if photo.resolve().parent == out.resolve():
            raise UsageError(f"{photo} lies in the folder of the results, {out}", "give another --out")
        targets[photo] = photo.stem
    return targets


def _write(path: Path, image: np.ndarray) -> None:
    storage.atomic_write(path, codec.encode_png(image))
    click.echo(f"{path} ({image.shape[1]}x{image.shape[0]}, lightness {mean_lightness(image):.2f})")
