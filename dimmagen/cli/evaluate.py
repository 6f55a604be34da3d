"""`dimmagen evaluate`: how good a trained network is on real pairs."""

import json
import math
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

from dimmagen.cli.local import LocalPath
from dimmagen.cli.names import split_names
from dimmagen.cli.ranges import Number
from dimmagen.cli.recipe_option import recipe_option
from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.dimmers.real_pairs import check_pairs, load_pairs, refuse_unsuitable_pairs
from dimmagen.enhance.checkpoints import load_network
from dimmagen.enhance.enhancer import MEMORY_GB, Enhancer
from dimmagen.enhance.inputs import FIXED_LIGHTNESS
from dimmagen.enhance.training import pick_device
from dimmagen.evaluation.protocol import (
    ALL_METRICS,
    PROTOCOL,
    SETTINGS,
    Metric,
    Scored,
    as_json,
    choose_metrics,
    mean_scores,
    score,
    unfit_metrics,
)
from dimmagen.images import codec
from dimmagen.images.sheets import image_grid
from dimmagen.metrics.lpips import LPIPS, Backbone, load_lpips
from dimmagen.metrics.niqe import PristineModel

_BACKBONES: tuple[Backbone, ...] = ("alex", "vgg")
_FILE = LocalPath(path_type=Path, dir_okay=False)
_WIDTH_OF_FILES = 200  # columns, where the output is no terminal
_TITLES = {
    "psnr": "PSNR",
    "ssim_rgb": "SSIM RGB",
    "ssim_gray": "SSIM gray",
    "delta_e76": "ΔE 76",
    "delta_e2000": "ΔE 2000",
    "lpips_alex": "LPIPS alex",
    "lpips_vgg": "LPIPS vgg",
    "niqe": "NIQE",
}


@click.command()
@click.option("--from", "run", required=True, help="A run's folder, or a network file.")
@click.option("--pairs", required=True, help="Real pairs: a folder with low/ and high/, or a CSV.")
@click.option("--names", help="Only these pairs, by file name without extension: 2,5,6.")
@click.option("--metrics", help=f"Of {', '.join(ALL_METRICS)}.  [default: all whose weights are given]")
@click.option("--lpips-weights", help="File or folder of LPIPS weights.  [default: the lpips package's]")
@click.option("--niqe-model", help="niqe_pris_params.npz.")
@click.option(
    "--lightness",
    type=Number(0, 1),
    default=FIXED_LIGHTNESS,
    show_default=True,
    help="Fixed lightness, for the scores without the truth's.",
)
@click.option("--json", "json_path", type=_FILE, help="Write every number to this file.")
@click.option("--sheet", "sheet_path", type=_FILE, help="Write dark | output | truth to this PNG.")
@click.option(
    "--memory",
    type=Number(0),
    default=MEMORY_GB,
    show_default=True,
    help="GB that a picture may take; more is tiled.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@recipe_option
def evaluate(
    run, pairs, names, metrics, lpips_weights, niqe_model, lightness, json_path, sheet_path, memory, device
) -> None:
    """Score a trained network on real pairs, with and without GT-mean, at two lightnesses.

    Example: dimmagen evaluate --from run/ --pairs LOL/eval15 --metrics psnr,ssim_rgb --sheet sheet.png
    """
    console = Console(stderr=True)
    for option, path in (("--json", json_path), ("--sheet", sheet_path)):
        if path is not None and path.resolve().is_relative_to(Path(pairs).resolve()):
            raise UsageError(f"{option} {path} lies among the pairs", "write it elsewhere")
    network, _ = load_network(run, pick_device(device))
    loaded = load_pairs(pairs, split_names(names))
    refuse_unsuitable_pairs(check_pairs(loaded))
    chosen = _choose(console, metrics, lpips_weights, niqe_model)
    if unfit := unfit_metrics(chosen, loaded):
        if metrics is not None:
            raise UsageError(
                "; ".join(unfit.values()), "leave the pair out with --names, or the metric with --metrics"
            )
        for name, reason in unfit.items():
            console.print(f"{name} is left out: {reason}", highlight=False, soft_wrap=True)
            del chosen[name]
    steps = score(Enhancer(network, memory), loaded, chosen, lightness)
    scored = list(
        track(steps, "scoring", len(loaded), console=console, transient=True, disable=not console.is_terminal)
    )
    _print_table(scored, lightness)
    if json_path is not None:
        storage.atomic_write(json_path, json.dumps(as_json(scored, lightness), indent=1).encode() + b"\n")
    if sheet_path is not None:
        storage.atomic_write(sheet_path, codec.encode_png(_sheet(scored)))


def _choose(
    console: Console, names: str | None, lpips_weights: str | None, niqe_model: str | None
) -> dict[str, Metric]:
    """The metrics asked for; without --metrics those that can be had, saying which are left out."""
    wanted = ALL_METRICS if names is None else split_names(names) or ()
    unknown = [name for name in wanted if name not in ALL_METRICS]
    if unknown:
        raise UsageError(f"there is no metric {', '.join(unknown)}", f"known are {', '.join(ALL_METRICS)}")
    networks: dict[str, LPIPS] = {}
    failures: dict[str, DimmagenError] = {}
    pristine = None
    for backbone in _BACKBONES:
        if f"lpips_{backbone}" in wanted:
            try:
                networks[backbone] = load_lpips(backbone, lpips_weights)
            except DimmagenError as error:
                failures[backbone] = error
    # A file holds one backbone of the two: where no metric is named, the one that it holds is meant.
    if failures and (names is not None or (lpips_weights is not None and not networks)):
        raise next(iter(failures.values()))
    for name, failure in failures.items():
        console.print(
            f"LPIPS with {name} is left out: {failure.what}; give --lpips-weights",
            highlight=False,
            soft_wrap=True,
        )
    if niqe_model is not None:
        pristine = PristineModel.load(niqe_model)
    elif names is not None and "niqe" in wanted:
        raise UsageError("NIQE needs its pristine model", "give --niqe-model niqe_pris_params.npz")
    elif "niqe" in wanted:
        console.print("NIQE is left out: give --niqe-model", highlight=False)
    return choose_metrics(wanted, networks, pristine)


def _print_table(scored: list[Scored], fixed_lightness: float) -> None:
    means = mean_scores(scored)
    title = f"{len(scored)} picture{'s' * (len(scored) > 1)}, protocol {PROTOCOL}"
    table = Table(title=title, title_justify="left")
    table.add_column("lightness")
    table.add_column("GT-mean")
    for metric in next(iter(means.values())):
        table.add_column(_TITLES[metric], justify="right")
    for setting in SETTINGS:
        wanted = "truth's" if setting.lightness == "truth" else f"{fixed_lightness:g}"
        values = means[setting.name].items()
        cells = (_cell(metric, value) for metric, value in values)
        table.add_row(wanted, "yes" if setting.gt_mean else "no", *cells)
    Console(width=None if Console().is_terminal else _WIDTH_OF_FILES).print(table)


def _cell(metric: str, value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.4f}" if metric.startswith(("ssim", "lpips")) else f"{value:.2f}"


def _sheet(scored: list[Scored]):
    return image_grid(
        [
            [
                (f"{one.name}, dark", one.dark),
                (
                    f"output, {one.scores['truth']['psnr']:.2f} dB"
                    if "psnr" in one.scores["truth"]
                    else "output",
                    one.output,
                ),
                ("truth", one.truth),
            ]
            for one in scored
        ]
    )
