"""`dimmagen profile evaluate`: how true profiles are, side by side."""

import json
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

from dimmagen.cli.command import command
from dimmagen.cli.options import split_names
from dimmagen.core.errors import UsageError
from dimmagen.core.processors import processor_count
from dimmagen.core.storage import atomic_write, last_part
from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.dimmers.profile import Profile, open_profile
from dimmagen.dimmers.real_pairs import check_pairs, load_pairs, refuse_unsuitable_pairs
from dimmagen.evaluation.realism import MODES, Mode, dump, evaluate, pairs_fitted_on
from dimmagen.evaluation.realism_summary import ALL_MEASURES, RealismSummary, as_json, best_dimmers, summarise

_TITLES = {"gamma1": "Dimmed with gamma 1", "matched": "Dimmed with gamma matched to each real mean"}
_WIDTH_OF_FILES = 200  # columns, where the output is no terminal


@command("evaluate")
@click.argument("profiles", nargs=-1, required=True, metavar="NAME[:MODEL[:COMPAT]]...")
@click.option(
    "--pairs",
    "pairs_path",
    required=True,
    help="Held-out pairs: a folder with low/ and high/, or a CSV of dark and light files.",
)
@click.option("--names", help="Only these pairs, by file name without extension: 2,5,6.")
@click.option("--draws", type=click.IntRange(1), default=4, show_default=True, help="Dark pictures a pair.")
@click.option("--seed", default=0, show_default=True, help="Of the draws and the intervals.")
@click.option("--json", "json_path", type=click.Path(), help="Write every number to this file.")
@click.option(
    "--html", "html_path", type=click.Path(), help="Write one file with tables, plots and pictures."
)
@click.option(
    "--dump",
    "dump_path",
    type=click.Path(path_type=Path),
    help="Write dark pictures (gamma 1) as FOLDER/NAME.",
)
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one a processor]")
def profile_evaluate(
    profiles: tuple[str, ...],
    pairs_path: str,
    names: str | None,
    draws: int,
    seed: int,
    json_path: str | None,
    html_path: str | None,
    dump_path: Path | None,
    workers: int | None,
) -> None:
    """Measure how true profiles are to the camera's own dark pictures.

    Each NAME is a profile, with a model of it (lol3:mdn) and, for models that have it, the authors' own
    transform (lol3:mdn:reference). PAIRS must be pairs that the profiles were not fitted on. What the
    measures mean is said in docs/realism.md and at the end of the HTML report.

    \b
    dimmagen profile evaluate lol3 lol3:mdn linear --pairs lol/eval15 --html realism.html
    """
    console = Console(width=None if Console().is_terminal else _WIDTH_OF_FILES)
    short = [last_part(spec) for spec in profiles]  # of a folder its own name will do
    labels = short if len(set(short)) == len(short) else profiles
    opened = {label: _open(spec) for label, spec in zip(labels, profiles, strict=True)}
    dimmers = {label: dimmer for label, (_, dimmer) in opened.items()}
    pairs = load_pairs(pairs_path, split_names(names))
    findings = check_pairs(pairs)
    refuse_unsuitable_pairs(findings)
    for finding in findings:
        click.echo(f"Note: {finding}", err=True)
    seen = {label: pairs_fitted_on(profile, pairs) for label, (profile, _) in opened.items()}
    for label, used in seen.items():
        if used:
            text = (
                f"Note: {label} was fitted on {', '.join(used)}: its numbers are better than they should be"
            )
            click.echo(text, err=True)

    steps = iter(
        track(range(len(pairs)), "Measuring pairs", console=console, disable=not console.is_terminal)
    )
    next(steps)
    results = evaluate(
        dimmers,
        pairs,
        draws=draws,
        seed=seed,
        workers=workers or processor_count(),
        on_pair=lambda: next(steps, None),
    )
    summary = summarise(results, seed)
    for mode in MODES:
        console.print(_table(summary, mode, list(dimmers)))

    settings: dict[str, object] = {"pairs": len(pairs), "draws": draws, "seed": seed}
    if any(seen.values()):
        settings["fitted on"] = "; ".join(
            f"{label}: {', '.join(used)}" for label, used in seen.items() if used
        )
    if json_path:
        text = json.dumps(as_json(summary, results, dimmers, settings), indent=1, allow_nan=False)
        atomic_write(json_path, text.encode())
    if html_path:
        from dimmagen.evaluation.realism_report import html_report  # matplotlib takes a second to import

        atomic_write(html_path, html_report(summary, results, dimmers, pairs, settings).encode())
    if dump_path:
        dump(dimmers, pairs, dump_path, seed)
    for written in (json_path, html_path, dump_path):
        if written:
            console.print(f"Wrote {written}")


def _open(spec: str) -> tuple[Profile, ImageDimmer]:
    """The profile and dimmer of NAME, NAME:MODEL or NAME:MODEL:COMPAT."""
    if Path(spec).is_dir():
        return open_profile(spec), ImageDimmer.from_profile(spec)
    name, *rest = spec.split(":")
    if len(rest) > 2 or "" in (name, *rest):
        raise UsageError(f"{spec!r} is not NAME, NAME:MODEL or NAME:MODEL:COMPAT", "write lol3 or lol3:mdn")
    model = rest[0] if rest else None
    compat = rest[1] if len(rest) > 1 else "default"
    return open_profile(name), ImageDimmer.from_profile(name, model=model, compat=compat)


def _table(summary: RealismSummary, mode: Mode, dimmers: list[str]) -> Table:
    labels = [*dimmers, *(label for label in summary if label not in dimmers)]
    table = Table(title=_TITLES[mode], title_justify="left", caption_justify="left")
    table.caption = (
        "mean over pairs ± half of the 95 % interval; signed measures: mean | mean of the absolutes"
    )
    table.add_column("measure", no_wrap=True)
    for label in labels:
        table.add_column(label, justify="right", style="" if label in dimmers else "dim")
    item = 1
    for measure in ALL_MEASURES:
        best = best_dimmers(summary, measure, mode, dimmers)
        cells = []
        for label in labels:
            estimate = summary[label][mode].get(measure.name)
            if estimate is None:
                cells.append("—")
                continue
            spread = f"{(estimate.high - estimate.low) / 2:.{measure.digits}f}"
            text = f"{estimate.text(measure)} [dim]±{spread}[/dim]"
            cells.append(f"[bold]{text}[/bold]" if label in best else text)
        if measure.item != item:
            table.add_section()
            item = measure.item
        if set(cells) != {"—"}:
            table.add_row(f"{measure.label} [dim]({measure.unit})[/dim]", *cells)
    return table
