"""`dimmagen inspect`: a summary of a data set, as tables and as a sheet of images."""

from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa
from rich.table import Table

from dimmagen.cli.command import command
from dimmagen.cli.console import Console
from dimmagen.cli.network_summary import is_network, network_summary
from dimmagen.cli.options import PAGE, PNG_FILE, Integer
from dimmagen.cli.output import echo
from dimmagen.cli.results import dataset_result
from dimmagen.core import storage
from dimmagen.core.errors import UsageError
from dimmagen.core.text import one_line, pluralize
from dimmagen.dataset.manifest import Manifest
from dimmagen.dataset.pair_tables import whole_rows
from dimmagen.dataset.reader import open_pairs
from dimmagen.dataset.report import report_page
from dimmagen.dataset.sheet import CHOSEN_BY, choose_rows, pair_views, spread_over_lightness
from dimmagen.evaluation.darkness import darkness
from dimmagen.images.sheets import contact_sheet, png_bytes

_DRAWS = ("gamma", "tau", "exposure", "lightness_before", "lightness_after")


@command()
@click.argument("dataset")
@click.option(
    "--sheet",
    metavar="FILE",
    type=PNG_FILE,
    help="Write a contact sheet to this PNG file.",
)
@click.option(
    "--html",
    "page",
    metavar="FILE",
    type=PAGE,
    help="Write an interactive page for a browser to this HTML file.",
)
@click.option(
    "--pairs",
    "count",
    type=Integer(1),
    show_default="8 on the sheet, 48 on the page",
    help="Number of pairs to show.",
)
def inspect(dataset: str, sheet: Path | None, page: Path | None, count: int | None) -> dict[str, Any]:
    """Summarise the data set, or the trained network, in DATASET and show some of its pairs.

    \b
    Examples:
      dimmagen inspect out/ --sheet sheet.png
      dimmagen inspect out/ --html report.html
      dimmagen inspect run/

    The sheet shows each pair as light image, dark image, and dark image with gain. The page is a single file
    with a gain slider, filters, plots, a slider between the light and the dark image, and close-ups of some
    pairs at 100 %, from dark to bright, to compare the noise.

    For a trained network (the folder of a training run, or its best.safetensors), the command shows the data
    set, version and commit that it was trained with.
    """
    if is_network(dataset):
        if sheet is not None or page is not None or count is not None:
            raise UsageError(
                f"{dataset} is a trained network, which has no pairs to show",
                "omit the options, or give a data set",
                code="conflict",
                path=dataset,
            )
        table, result = network_summary(dataset)
        Console().print(table)
        return result
    pairs = open_pairs(dataset, tuple(dict.fromkeys((*CHOSEN_BY, *_DRAWS, "source", "profile"))))
    variants = pairs.manifest.settings["variants"]
    console = Console()
    compared = darkness(pairs.manifest.settings, np.asarray(pairs.table["lightness_after"]))
    console.print(_summary(pairs.manifest, dataset, compared))
    console.print(_draws(pairs.table))
    if sheet is not None:
        chosen = whole_rows(dataset, pairs.manifest, choose_rows([pairs.table], variants, count or 8))
        storage.write_result(sheet.absolute(), png_bytes(contact_sheet(pair_views(pairs, chosen))))
        echo(f"{sheet}: {pluralize(len(chosen), 'pair')}, light | dark | dark with gain")
    if page is not None:
        chosen = whole_rows(dataset, pairs.manifest, choose_rows([pairs.table], variants, count or 48))
        chosen = spread_over_lightness(chosen)
        facts = {"darkness": compared} if compared else {}
        storage.write_result(page.absolute(), report_page(pairs, chosen, facts).encode())
        echo(f"{page}: {pluralize(len(chosen), 'pair')}; open it in a browser")
    return dataset_result(
        dataset,
        pairs.manifest,
        command=pairs.manifest.command,
        profile=pairs.manifest.settings["profile"],
        draws={name: _spread(pairs.table, name) for name in _DRAWS},
    )


def _summary(manifest: Manifest, dataset: str, compared: str) -> Table:
    counts, settings = manifest.counts, manifest.settings
    table = Table(title=one_line(dataset), title_justify="left", show_header=False)
    photos, variants = pluralize(counts.lights, "photo"), pluralize(settings["variants"], "variant")
    table.add_row("pairs", f"{counts.pairs}: {photos} x {variants}")
    table.add_row("shards", f"{counts.shards}, {sum(s.bytes for s in manifest.shards) / 1e6:.1f} MB")
    sources = ", ".join(f"{name} {count}" for name, count in counts.lights_by_source.items())
    table.add_row("sources", one_line(sources))
    table.add_row("rejected", str(counts.rejected))
    profile = f"{settings['profile']}, model {settings['model']}, seed {settings['seed']}"
    table.add_row("profile", one_line(profile))
    if compared:
        table.add_row("darkness", compared)
    table.add_row("command", one_line(manifest.command))
    table.add_row("root hash", manifest.root_hash)
    return table


def _draws(pairs: pa.Table) -> Table:
    table = Table("", "minimum", "mean", "maximum", title="draws and lightness", title_justify="left")
    for name in _DRAWS:
        table.add_row(name.replace("_", " "), *(f"{one:.3f}" for one in _spread(pairs, name).values()))
    return table


def _spread(pairs: pa.Table, name: str) -> dict[str, float]:
    values = pairs[name].to_pylist()  # of all rows only these: there may be millions
    return {"minimum": min(values), "mean": sum(values) / len(values), "maximum": max(values)}
