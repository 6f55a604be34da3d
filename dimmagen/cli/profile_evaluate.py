"""`dimmagen profile evaluate`: the realism of profiles, side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from dimmagen.cli.command import command
from dimmagen.cli.console import Console
from dimmagen.cli.options import (
    PAGE,
    PAIRS_HELP,
    Integer,
    LocalPath,
    json_option,
    names_option,
    split_names,
    write_json,
)
from dimmagen.cli.output import echo
from dimmagen.cli.profile_view import WIDTH, wrapped
from dimmagen.cli.progress import steps_bar
from dimmagen.core.errors import UsageError
from dimmagen.core.processors import processor_count
from dimmagen.core.storage import last_part, write_result
from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.dimmers.pair_facts import PairFacts
from dimmagen.dimmers.pair_problems import check_pairs, refuse_unsuitable_pairs
from dimmagen.dimmers.profile import Profile, open_profile
from dimmagen.dimmers.real_pairs import RealPair, load_pairs
from dimmagen.evaluation.realism import dump, evaluate_dimmers, pairs_fitted_on
from dimmagen.evaluation.realism_results import MODES, Mode, PairResult
from dimmagen.evaluation.realism_summary import (
    ALL_MEASURES,
    RealismSummary,
    best_dimmers,
    summarise,
    summary_as_json,
)
from dimmagen.evaluation.realism_verdict import checks_of, headline, headline_rows
from dimmagen.evaluation.repeats import find_repeats, measure_repeats

_TITLES = {
    "gamma1": "Dimmed with gamma 1",
    "drawn": "Dimmed with gamma 1 and a drawn exposure, as `dim` does",
    "matched": "Dimmed with gamma matched to each real mean",
}
_FILE_WIDTH = 200  # columns of the details, where the output is not a terminal
_PROFILES_ABREAST = 3  # in the small table


@command("evaluate")
@click.argument("profiles", nargs=-1, required=True, metavar="NAME[:MODEL[:COMPAT]]...")
@click.option(
    "--pairs",
    "pairs_path",
    required=True,
    metavar="DIR|FILE|PATTERN",
    help=f"Held-out real pairs: {PAIRS_HELP}",
)
@names_option
@click.option(
    "--repeats",
    "repeats_path",
    metavar="DIR|FILE|PATTERN",
    help="Pairs in which scenes were shot twice with the same exposure, under any names: they measure how "
    "much the camera differs from itself, instead of split halves of an image. May be the same as --pairs.",
)
@click.option("--draws", type=Integer(1), default=4, help="Number of dark images to draw per pair.")
@click.option(
    "--seed", type=Integer(0), default=0, help="Random seed for the draws and the confidence intervals."
)
@json_option("all numbers")
@click.option(
    "--html",
    "html_path",
    metavar="FILE",
    type=PAGE,
    help="Write tables, plots and images to this HTML file.",
)
@click.option(
    "--dump",
    "dump_path",
    metavar="DIR",
    type=LocalPath(path_type=Path, file_okay=False),
    help="Save the dark images (gamma 1) to this folder, one subfolder per profile.",
)
@click.option(
    "--details",
    is_flag=True,
    help="Also print all measures with 95 % intervals: at gamma 1, with drawn exposure, and with matched "
    "brightness.",
)
@click.option("--workers", type=Integer(1), show_default="one per processor", help="Number of processes.")
def profile_evaluate(
    profiles: tuple[str, ...],
    pairs_path: str,
    names: str | None,
    repeats_path: str | None,
    draws: int,
    seed: int,
    json_file: str | None,
    html_path: Path | None,
    dump_path: Path | None,
    details: bool,
    workers: int | None,
) -> dict[str, Any]:
    """Measure how close the dark images of profiles are to the camera's own dark images.

    \b
    Example:
      dimmagen profile evaluate lol3 lol3:mdn linear --pairs LOL/eval15

    The first sentence says which profile is closest to the camera, and the table how close. NAME is a
    profile. It may be followed by one of its models (lol3:mdn) and, for models that have it, by the transform
    of the paper's authors (lol3:mdn:reference). The pairs should not be those that the profiles were fitted
    to. docs/realism.md defines the measures, and the HTML report explains each of them.
    """
    console = Console()
    short = [last_part(spec) for spec in profiles]  # for a folder, its own name is enough
    labels = short if len(set(short)) == len(short) else profiles
    opened = {label: _open(spec) for label, spec in zip(labels, profiles, strict=True)}
    dimmers = {label: dimmer for label, (_, dimmer) in opened.items()}
    pairs = load_pairs(pairs_path, split_names(names))
    problems = check_pairs(pairs)
    refuse_unsuitable_pairs(problems)
    for problem in problems:
        echo(f"Note: {problem}", err=True)
    fitted_on = {label: pairs_fitted_on(profile, pairs) for label, (profile, _) in opened.items()}
    for label, (profile, _) in opened.items():
        _print_notes(label, profile, pairs, fitted_on[label])
    workers = workers or processor_count()
    repeats = _measured_repeats(repeats_path, workers) if repeats_path else []
    with steps_bar("measuring pairs", len(pairs)) as steps:
        results = evaluate_dimmers(dimmers, pairs, draws=draws, seed=seed, workers=workers, on_pair=steps)
    summary = summarise(results, seed, repeats)
    verdict = _print_verdict(summary, list(dimmers), len(pairs))
    if details:
        wide = console if console.is_terminal else Console(width=_FILE_WIDTH)
        for mode in MODES:
            wide.print(_table(summary, mode, list(dimmers)))

    settings: dict[str, object] = {"pairs": len(pairs), "draws": draws, "seed": seed}
    if repeats:
        settings["scenes shot twice"] = len(repeats)
    if any(fitted_on.values()):
        settings["fitted on"] = "; ".join(
            f"{label}: {', '.join(used)}" for label, used in fitted_on.items() if used
        )
    numbers = {"verdict": verdict, **summary_as_json(summary, results, dimmers, settings, repeats)}
    if json_file:
        write_json(json_file, numbers)
    if html_path:
        from dimmagen.evaluation.realism_report import html_report  # matplotlib takes a second to import

        report = html_report(summary, results, dimmers, pairs, settings, repeats)
        write_result(html_path, report.encode())
    if dump_path:
        dump(dimmers, pairs, dump_path, seed)
    for path in (json_file, html_path, dump_path):
        if path:
            console.print(f"Wrote {path}")
    return numbers


def _print_notes(label: str, profile: Profile, pairs: Sequence[RealPair], fitted_on: list[str]) -> None:
    """What makes the numbers of a profile look worse or better than they are."""
    for difference in _other_kind(profile, pairs):
        echo(f"Note: these pairs {difference}: {label} was fitted to pairs of another kind", err=True)
    if fitted_on:
        echo(f"Note: {label} was fitted to {', '.join(fitted_on)}: its numbers are optimistic", err=True)


def _measured_repeats(path: str, workers: int) -> list[PairResult]:
    """The scenes that were shot twice, which are printed, each shot measured against the other."""
    pairs = load_pairs(path)
    refuse_unsuitable_pairs(check_pairs(pairs))
    repeats = find_repeats(pairs)
    results = measure_repeats(repeats, workers=workers)
    echo(f"Note: scenes shot twice: {', '.join(one.name for one in repeats)}", err=True)
    return results


def _open(spec: str) -> tuple[Profile, ImageDimmer]:
    """The profile and dimmer of NAME, NAME:MODEL or NAME:MODEL:COMPAT."""
    if Path(spec).is_dir():
        return open_profile(spec), ImageDimmer.from_profile(spec)
    name, *rest = spec.split(":")
    if len(rest) > 2 or "" in (name, *rest):
        raise UsageError(
            f"{spec!r} is not NAME, NAME:MODEL or NAME:MODEL:COMPAT",
            "write lol3 or lol3:mdn",
            code="wrong-format",
            parameter="profiles",
            value=spec,
        )
    model = rest[0] if rest else None
    compat = rest[1] if len(rest) > 1 else "default"
    return open_profile(name), ImageDimmer.from_profile(name, model=model, compat=compat)


def _other_kind(profile: Profile, pairs: Sequence[RealPair]) -> list[str]:
    """In which ways the pairs are of another kind than those of a profile."""
    fitted_to = PairFacts.of_profile(profile)
    return fitted_to.differences(PairFacts.of(pairs)) if fitted_to else []


def _print_verdict(summary: RealismSummary, dimmers: list[str], pairs: int) -> str:
    """Print the sentence, which is returned, and the small table in parts of 80 columns."""
    checks = checks_of(summary, dimmers, pairs)
    sentence = headline(checks)
    if sentence:
        echo("\n".join(wrapped(sentence)) + "\n")
    for start in range(0, len(dimmers), _PROFILES_ABREAST):
        shown = dimmers[start : start + _PROFILES_ABREAST]
        table = Table(box=None, pad_edge=False, width=WIDTH, show_edge=False)
        table.add_column("", no_wrap=True, min_width=27)
        for label in [*shown, "plain linear", "camera itself"]:
            table.add_column(label, justify="right", overflow="fold")
        for row in headline_rows(summary, checks, shown):
            table.add_row(row.label, *row.cells)
        Console(width=WIDTH, highlight=False).print(table)
        echo("")
    return sentence


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
        cells: list[str | Text] = []
        for label in labels:
            estimate = summary[label][mode].get(measure.name)
            if estimate is None:
                cells.append("—")
                continue
            spread = f"{(estimate.high - estimate.low) / 2:.{measure.digits}f}"
            text = Text(f"{estimate.text(measure)} ", "bold" if label in best else "")
            cells.append(text.append(f"±{spread}", "dim"))
        if measure.item != item:
            table.add_section()
            item = measure.item
        if any(cell != "—" for cell in cells):
            table.add_row(Text(f"{measure.label} ").append(f"({measure.unit})", "dim"), *cells)
    return table
