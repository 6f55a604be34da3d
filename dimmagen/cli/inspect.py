"""`dimmagen inspect`: what is in a data set, as a table and as a sheet of pictures."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from dimmagen import images, randomness, storage
from dimmagen.contact_sheet import PairView, contact_sheet, png_bytes
from dimmagen.manifest import Manifest
from dimmagen.shards.parquet import read_rows
from dimmagen.shards.reading import read_member
from dimmagen.shards.schema import PAIR_SCHEMA

_DRAWS = ("gamma", "tau", "exposure", "lightness_before", "lightness_after")


@click.command()
@click.argument("out")
@click.option("--sheet", type=click.Path(path_type=Path), help="Write a contact sheet (PNG) here.")
@click.option("--pairs", type=click.IntRange(1), default=8, show_default=True, help="Pairs on the sheet.")
def inspect(out: str, sheet: Path | None, pairs: int) -> None:
    """Summarise the data set in OUT; with --sheet, draw some of its pairs (light, dark, dark with gain)."""
    manifest = Manifest.load(out)
    rows = [
        {**row, "shard": shard.name}
        for shard in manifest.shards
        for row in read_rows(storage.join(out, shard.metadata.name), PAIR_SCHEMA)
    ]
    console = Console()
    console.print(_summary(manifest, out))
    console.print(_draws(rows))
    if sheet is not None:
        storage.atomic_write(
            sheet.absolute(), png_bytes(contact_sheet(list(_views(out, _choose(rows, pairs)))))
        )
        click.echo(f"{sheet}: {min(pairs, len(rows))} pairs, light | dark | dark with gain")


def _summary(manifest: Manifest, out: str) -> Table:
    counts, settings = manifest.counts, manifest.settings
    table = Table(title=out, title_justify="left", show_header=False)
    table.add_row("pairs", f"{counts.pairs}: {counts.lights} photos x {settings['variants']} variants")
    table.add_row("shards", f"{counts.shards}, {sum(s.bytes for s in manifest.shards) / 1e6:.1f} MB")
    table.add_row("sources", ", ".join(f"{name} {count}" for name, count in counts.lights_by_source.items()))
    table.add_row("rejected", str(counts.rejected))
    table.add_row("profile", f"{settings['profile']}, model {settings['model']}, seed {settings['seed']}")
    table.add_row("command", manifest.command)
    table.add_row("root hash", manifest.root_hash)
    return table


def _draws(rows: Sequence[dict]) -> Table:
    table = Table("", "smallest", "mean", "largest", title="draws and lightness", title_justify="left")
    for name in _DRAWS:
        values = [row[name] for row in rows]
        numbers = (min(values), sum(values) / len(values), max(values))
        table.add_row(name.replace("_", " "), *(f"{number:.3f}" for number in numbers))
    return table


def _choose(rows: Sequence[dict], count: int) -> list[dict]:
    """A fixed choice that does not depend on the order of the set: photos once, if there are enough of them,
    darkest last."""
    shuffled = sorted(rows, key=lambda row: randomness.rank(0, row["key"], "sheet"))
    first_of_photo = {row["light_key"]: row for row in reversed(shuffled)}
    others = [row for row in shuffled if first_of_photo[row["light_key"]] is not row]
    chosen = [*first_of_photo.values(), *others][:count]
    return sorted(chosen, key=lambda row: -row["lightness_after"])


def _views(out: str, rows: Sequence[dict]) -> Iterator[PairView]:
    for row in rows:
        light, dark = (
            images.decode_rgb8(read_member(out, row["shard"], row[f"{side}_offset"], row[f"{side}_size"]))[0]
            for side in ("light", "dark")
        )
        lightness = f"lightness {row['lightness_before']:.3f} to {row['lightness_after']:.3f}"
        yield PairView(light, dark, f"{row['key']}    gamma {row['gamma']:.2f}    {lightness}")
