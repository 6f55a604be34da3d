"""The verdict and the curves of a profile in a terminal of 80 columns."""

import io
import sys

import numpy as np
import pytest

from dimmagen.cli.profile_view import check_lines, curve_lines, dimmed_ramp
from dimmagen.dimmers.closed_form import LinearModel
from dimmagen.dimmers.profile import open_profile
from dimmagen.evaluation.profile_check import ProfileCheck


def bars(lines: list[str], marks: str) -> np.ndarray:
    """Height of each of the 33 bars of the left drawing, in rows that have one of the marks."""
    rows = [line.ljust(80)[5:38] for line in lines[1:-1]]
    return np.array([sum(row[column] in marks for row in rows) for column in range(33)])


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_the_curve_rises_in_blocks_or_in_plain_characters(encoding, monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    lines = curve_lines(open_profile("lol3").model())
    text = "\n".join(lines)
    text.encode(encoding)
    assert ("█" in text) == (encoding == "utf-8")
    assert max(map(len, lines)) < 80
    assert len(lines) == 10
    heights = bars(lines, "▁▂▃▄▅▆▇█" if encoding == "utf-8" else ".:#")
    assert (np.diff(heights) >= 0).all()
    assert heights[-1] == 8
    assert lines[1].ljust(80)[37] in "█#"  # the highest bar fills the drawing
    assert heights[0] <= 1


def test_the_ramp_has_the_curve_of_the_model_and_its_noise():
    levels, noise = dimmed_ramp(LinearModel())
    light = np.arange(256)
    slope = float(np.polyfit(light[64:], levels[64:], 1)[0])
    assert 0.05 < slope < 0.3
    assert np.allclose(levels[64:], slope * light[64:], atol=0.6)
    assert noise[200] > noise[0]


def test_the_verdict_is_told_with_its_numbers_in_80_columns():
    check = ProfileCheck.of_profile(open_profile("lol3"))
    lines = check_lines(check)
    assert lines[0].startswith("Verdict: Close to the camera.")
    assert max(map(len, lines)) < 80
    numbers = [line.split()[-3:] for line in lines[-3:]]
    tone, noise = ([one.profile, one.linear, one.limit] for one in (check.tone, check.noise))
    assert numbers[0] == [f"{value:.2f}" for value in tone]
    assert numbers[2] == [f"{2**value:.2f}" for value in noise]
    assert "could not be cross-validated" in " ".join(check_lines(None))
