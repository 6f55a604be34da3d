"""`dimmagen evaluate`: score a trained network on real pairs."""

import math
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.table import Table

from dimmagen.cli.command import command
from dimmagen.cli.console import Console
from dimmagen.cli.network_options import (
    device_option,
    exact_lightness_option,
    lpips_weights_option,
    memory_option,
    network_option,
)
from dimmagen.cli.options import (
    PNG_FILE,
    LocalPath,
    Number,
    json_option,
    names_option,
    pairs_option,
    split_names,
    write_json,
)
from dimmagen.cli.output import echo
from dimmagen.cli.progress import Progress
from dimmagen.cli.wording import command_message
from dimmagen.core import storage
from dimmagen.core.errors import UsageError
from dimmagen.core.text import pluralize
from dimmagen.dimmers.pair_matching import listed
from dimmagen.dimmers.pair_problems import accept_pairs
from dimmagen.dimmers.real_pairs import load_pairs
from dimmagen.enhance.checkpoints import load_network
from dimmagen.enhance.enhancer import Enhancer
from dimmagen.enhance.inputs import FIXED_LIGHTNESS
from dimmagen.enhance.provenance import pairs_trained_on
from dimmagen.enhance.training import pick_device
from dimmagen.evaluation.protocol import (
    PROTOCOL,
    SETTINGS,
    Scored,
    load_metrics,
    mean_scores,
    score,
    scores_as_json,
    unsuitable_metrics,
)
from dimmagen.images import codec
from dimmagen.images.sheets import image_grid
from dimmagen.metrics.base import METRICS, MetricFiles


@command(former_names={"--from": "--network"})
@network_option
@pairs_option
@names_option
@click.option(
    "--metrics",
    metavar="NAME,...",
    show_default="all whose files are available",
    help=f"Metrics to compute: {', '.join(METRICS)}.",
)
@lpips_weights_option
@click.option("--niqe-model", metavar="FILE", help="File niqe_pris_params.npz, which the metric niqe needs.")
@click.option(
    "--lightness",
    type=Number(0, 1),
    default=FIXED_LIGHTNESS,
    help="Fixed mean lightness of the output, for the scores that do not use the ground truth's.",
)
@exact_lightness_option
@json_option("all scores", LocalPath(dir_okay=False))
@click.option(
    "--sheet",
    "sheet_path",
    metavar="FILE",
    type=PNG_FILE,
    help="Write dark image, output and ground truth side by side to this PNG file.",
)
@memory_option
@device_option
def evaluate(
    network_path: str,
    pairs: str,
    names: str | None,
    metrics: str | None,
    lpips_weights: str | None,
    niqe_model: str | None,
    lightness: float,
    exact_lightness: bool,
    json_file: str | None,
    sheet_path: Path | None,
    memory: float,
    device: str,
) -> dict[str, Any]:
    """Score a trained network on real pairs, with and without GT-mean, at two levels of lightness.

    \b
    Example:
      dimmagen evaluate --network run/ --pairs LOL/eval15 --metrics psnr,ssim_rgb

    The table has one column for each combination of the output's lightness (the ground truth's, or a fixed
    one) and GT-mean.
    """
    console = Console(stderr=True)
    json_path = Path(json_file) if json_file else None
    for option, path in (("--json", json_path), ("--sheet", sheet_path)):
        if path is not None and path.resolve().is_relative_to(Path(pairs).resolve()):
            raise UsageError(
                f"{option} {path} is in the folder of the pairs",
                "write it to another folder",
                code="no-room",
                path=str(path),
            )
    if json_path is not None and sheet_path is not None and json_path.resolve() == sheet_path.resolve():
        raise UsageError(
            f"--json and --sheet are the same file, {json_path}", "name two", code="conflict", path=json_file
        )
    network, header = load_network(network_path, pick_device(device))
    loaded = load_pairs(pairs, split_names(names))
    accept_pairs(loaded)
    if trained_on := pairs_trained_on(header, loaded):
        of_all = "all of these pairs" if len(trained_on) == len(loaded) else listed(trained_on)
        echo(f"Note: the network was trained on {of_all}: its scores are optimistic", err=True)
    requested = split_names(metrics)
    chosen, failures = load_metrics(requested, MetricFiles(lpips_weights, niqe_model))
    unsuitable = unsuitable_metrics(chosen, loaded)
    if unsuitable and requested is not None:
        raise UsageError(
            "; ".join(unsuitable.values()),
            "exclude the pair with --names, or the metric with --metrics",
            code="too-small",
            metrics=list(unsuitable),
        )
    reasons = {name: command_message(error, evaluate) for name, error in failures.items()} | unsuitable
    for name, reason in reasons.items():
        console.print(f"{name} is skipped: {reason}", highlight=False, soft_wrap=True)
        chosen.pop(name, None)
    steps = score(Enhancer(network, memory, exact_lightness=exact_lightness), loaded, chosen, lightness)
    with Progress(console=console, transient=True) as bar:
        scored = list(bar.track(steps, len(loaded), description="scoring"))
    _print_table(scored, lightness, exact_lightness)
    result = scores_as_json(scored, lightness, exact_lightness) | {"trained_on": trained_on}
    if json_path is not None:
        write_json(str(json_path), result)
    if sheet_path is not None:
        storage.write_result(sheet_path, codec.encode_png(_sheet(scored), is_result=True))
    return result


def _print_table(scored: list[Scored], fixed_lightness: float, exact_lightness: bool) -> None:
    """A row for each metric and a column for each setting, so that all metrics fit into 80 columns."""
    means = mean_scores(scored)
    exactly = ", exact lightness" if exact_lightness else ""
    title = f"{pluralize(len(scored), 'image')}, protocol {PROTOCOL}{exactly}"
    table = Table("lightness", title=title, title_justify="left")
    for setting in SETTINGS:
        table.add_column(
            "truth's" if setting.lightness == "truth" else f"{fixed_lightness:g}", justify="right"
        )
    table.add_row("GT-mean", *("yes" if setting.gt_mean else "no" for setting in SETTINGS))
    table.add_section()
    for metric in next(iter(means.values())):
        cells = (_cell(metric, means[setting.name][metric]) for setting in SETTINGS)
        table.add_row(METRICS[metric].title, *cells)
    Console().print(table)


def _cell(metric: str, value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.{METRICS[metric].digits}f}"


def _sheet(scored: list[Scored]) -> np.ndarray:
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
