"""`dimmagen evaluate`: how good a trained network is on real pairs."""

import json
import math
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

from dimmagen.cli.command import command, in_options
from dimmagen.cli.options import LocalPath, Number, recipe_option, split_names
from dimmagen.core import storage
from dimmagen.core.errors import UsageError
from dimmagen.dimmers.real_pairs import check_pairs, load_pairs, refuse_unsuitable_pairs
from dimmagen.enhance.checkpoints import load_network
from dimmagen.enhance.enhancer import MEMORY_GB, Enhancer
from dimmagen.enhance.inputs import FIXED_LIGHTNESS
from dimmagen.enhance.training import pick_device
from dimmagen.evaluation.protocol import (
    PROTOCOL,
    SETTINGS,
    Scored,
    as_json,
    load_metrics,
    mean_scores,
    score,
    unsuitable_metrics,
)
from dimmagen.images import codec
from dimmagen.images.sheets import image_grid
from dimmagen.metrics.base import METRICS, MetricFiles

_FILE = LocalPath(path_type=Path, dir_okay=False)
_WIDTH_OF_FILES = 200  # columns, where the output is no terminal


@command(former_names={"--from": "--network"})
@click.option("--network", "network_path", required=True, help="A run's folder, or a network file.")
@click.option("--pairs", required=True, help="Real pairs: a folder with low/ and high/, or a CSV.")
@click.option("--names", help="Only these pairs, by file name without extension: 2,5,6.")
@click.option("--metrics", help=f"Of {', '.join(METRICS)}.  [default: all whose weights are given]")
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
    network_path,
    pairs,
    names,
    metrics,
    lpips_weights,
    niqe_model,
    lightness,
    json_path,
    sheet_path,
    memory,
    device,
) -> None:
    """Score a trained network on real pairs, with and without GT-mean, at two lightnesses.

    Example: dimmagen evaluate --network run/ --pairs LOL/eval15 --metrics psnr,ssim_rgb --sheet sheet.png
    """
    console = Console(stderr=True)
    for option, path in (("--json", json_path), ("--sheet", sheet_path)):
        if path is not None and path.resolve().is_relative_to(Path(pairs).resolve()):
            raise UsageError(f"{option} {path} lies among the pairs", "write it elsewhere")
    network, _ = load_network(network_path, pick_device(device))
    loaded = load_pairs(pairs, split_names(names))
    refuse_unsuitable_pairs(check_pairs(loaded))
    names_of_metrics = split_names(metrics)
    chosen, failures = load_metrics(names_of_metrics, MetricFiles(lpips_weights, niqe_model))
    unsuitable = unsuitable_metrics(chosen, loaded)
    if unsuitable and names_of_metrics is not None:
        raise UsageError(
            "; ".join(unsuitable.values()), "leave the pair out with --names, or the metric with --metrics"
        )
    reasons = {name: in_options(str(error), evaluate) for name, error in failures.items()} | unsuitable
    for name, reason in reasons.items():
        console.print(f"{name} is left out: {reason}", highlight=False, soft_wrap=True)
        chosen.pop(name, None)
    steps = score(Enhancer(network, memory), loaded, chosen, lightness)
    scored = list(
        track(steps, "scoring", len(loaded), console=console, transient=True, disable=not console.is_terminal)
    )
    _print_table(scored, lightness)
    if json_path is not None:
        storage.atomic_write(json_path, json.dumps(as_json(scored, lightness), indent=1).encode() + b"\n")
    if sheet_path is not None:
        storage.atomic_write(sheet_path, codec.encode_png(_sheet(scored)))


def _print_table(scored: list[Scored], fixed_lightness: float) -> None:
    means = mean_scores(scored)
    title = f"{len(scored)} picture{'s' * (len(scored) > 1)}, protocol {PROTOCOL}"
    table = Table(title=title, title_justify="left")
    table.add_column("lightness")
    table.add_column("GT-mean")
    for metric in next(iter(means.values())):
        table.add_column(METRICS[metric].title, justify="right")
    for setting in SETTINGS:
        wanted = "truth's" if setting.lightness == "truth" else f"{fixed_lightness:g}"
        values = means[setting.name].items()
        cells = (_cell(metric, value) for metric, value in values)
        table.add_row(wanted, "yes" if setting.gt_mean else "no", *cells)
    Console(width=None if Console().is_terminal else _WIDTH_OF_FILES).print(table)


def _cell(metric: str, value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.{METRICS[metric].digits}f}"


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
