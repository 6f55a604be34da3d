"""What the realism suite found, in one sentence and one small table."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dimmagen.evaluation.dimming_methods import PLAIN
from dimmagen.evaluation.profile_check import ProfileCheck, Quality
from dimmagen.evaluation.realism_summary import AUC, MeasureEstimate, RealismSummary, floor_of

_NONE = "—"


@dataclass(frozen=True, slots=True)
class HeadlineRow:
    """One row of the small table.

    Attributes:
        label: what is measured, with its unit.
        meaning: of the numbers, in a few words.
        cells: a number for each profile, then for plain darkening and for the camera itself.
    """

    label: str
    meaning: str
    cells: list[str]


def checks_of(summary: RealismSummary, dimmers: Iterable[str], pairs: int) -> dict[str, ProfileCheck]:
    """The check of each dimmer, as `profile fit` makes it of a profile, from all pairs and draws.

    Args:
        summary: of the suite.
        dimmers: labels.
        pairs: number of pairs.

    Returns:
        By label; without those that could not be measured.
    """
    found = {}
    for label in dimmers:
        methods = [summary[one]["matched"] for one in (label, PLAIN, floor_of(summary))]
        if any(name not in method for name in _NEEDED for method in methods):
            continue
        found[label] = ProfileCheck(
            pairs=pairs,
            held_out=f"these {pairs} pairs",
            tone=_quality([method["transfer_shape"].mean for method in methods]),
            colour=_quality([method["chromaticity_error"].mean for method in methods]),
            noise=_quality([_noise_off(method) for method in methods]),
            luma_noise=methods[0]["luma_noise"].mean,
        )
    return found


_NEEDED = ("transfer_shape", "chromaticity_error", "luma_noise", "chroma_noise")


def headline(checks: Mapping[str, ProfileCheck]) -> str:
    """Which profile is closest to the camera, and how close it is; empty if nothing could be measured."""
    if not checks:
        return ""
    best = min(checks, key=lambda label: checks[label].share)
    verdict = checks[best].verdict
    if len(checks) == 1:
        return f"{best} is {verdict[0].lower()}{verdict[1:]}"
    others = ", ".join(
        f"{label} {check.share:.0%}"
        for label, check in sorted(checks.items(), key=lambda item: item[1].share)
        if label != best
    )
    return f"{best} is the closest of them: {verdict[0].lower()}{verdict[1:]} The others: {others}."


def headline_rows(
    summary: RealismSummary, checks: Mapping[str, ProfileCheck], dimmers: Sequence[str]
) -> list[HeadlineRow]:
    """The small table: for each property, a cell for each dimmer, plain darkening and the camera itself.

    Args:
        summary: of the suite.
        checks: from :func:`checks_of`.
        dimmers: labels, in the order of the cells.
    """
    labels = [*dimmers, PLAIN, floor_of(summary)]
    matched = [summary[label]["matched"] for label in labels]
    shares = [f"{checks[label].share:.0%}" if label in checks else _NONE for label in dimmers]

    def row(label: str, meaning: str, name: str, form: str = "{:.2f}") -> HeadlineRow:
        cells = [form.format(one[name].mean) if name in one else _NONE for one in matched]
        return HeadlineRow(label, meaning, cells)

    rows = [
        HeadlineRow(
            "error relative to plain darkening",
            "Mean of tone, colour and noise: 0 % is the camera itself, 100 % is plain darkening.",
            [*shares, "100%", "0%"],
        ),
        row("tone, grey levels", "Distance of the response curves at equal brightness.", "transfer_shape"),
        row(
            "colour, CIEDE2000", "Difference in hue and saturation; 1 is just visible.", "chromaticity_error"
        ),
        HeadlineRow(
            "noise, factor off",
            "How many times too strong or too weak the noise is, mean of luma and chroma.",
            [_factor(one) for one in matched],
        ),
        HeadlineRow(
            "noise, amount",
            "More or less luma noise than the camera's, mean of the pairs.",
            [_amount(one["luma_noise"].mean) if "luma_noise" in one else _NONE for one in matched],
        ),
        row("noise, shape", "Divergence (KL) of the luma noise's distribution, nats.", "luma_kl", "{:.3f}"),
        row("real vs. synthetic, AUC", "AUC of a classifier: 0.5 is chance, 1 is always right.", AUC.name),
        HeadlineRow(
            "brightness at gamma 1",
            "Mean distance from the real mean, grey levels; scenes are exposed differently.",
            [
                f"{one['mean_error'].mean_absolute:.1f}" if "mean_error" in one else _NONE
                for one in (summary[label]["gamma1"] for label in labels)
            ],
        ),
    ]
    return [one for one in rows if set(one.cells) != {_NONE}]


def _amount(log2: float) -> str:
    """How much more noise: `+2%`, `-6%`, and `0%` without a sign."""
    percent = round(100 * (2**log2 - 1))
    return f"{percent:+d}%" if percent else "0%"


def _quality(values: Sequence[float]) -> Quality:
    profile, linear, limit = values
    return Quality(profile=profile, linear=linear, limit=limit)


def _noise_off(method: Mapping[str, MeasureEstimate]) -> float:
    """log2 of the factor by which the noise is off, without sign: mean of luma and chroma."""
    return (method["luma_noise"].mean_absolute + method["chroma_noise"].mean_absolute) / 2


def _factor(method: Mapping[str, MeasureEstimate]) -> str:
    known = "luma_noise" in method and "chroma_noise" in method
    return f"{2 ** _noise_off(method):.2f}" if known else _NONE
