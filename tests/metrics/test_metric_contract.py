"""The contract test of metrics, and the registry, find what a half-written metric lacks."""

import itertools

import numpy as np
import pytest
import torch

from dimmagen import check_metric
from dimmagen.core.errors import DimmagenError
from dimmagen.metrics.base import METRICS, ImageMetric, MetricFiles

COUNT = itertools.count()


def darkening(output, truth):
    output[:] = 0
    return 1.0


def error(output, truth):
    return np.abs(output.astype(int) - truth).mean()


@pytest.mark.parametrize(
    "score", [error, lambda output, truth: torch.tensor(1.0), lambda output, truth: float("nan")]
)
def test_a_metric_that_keeps_its_promises_passes(score):
    check_metric(ImageMetric.of("MAE", score))


def test_a_metric_of_the_dark_image_passes():
    check_metric(
        ImageMetric.of("gain", lambda output, truth, dark: output.mean() - dark.mean(), takes_dark=True)
    )


@pytest.mark.parametrize(
    ("score", "said"),
    [
        (lambda output, truth: None, "MAE fails .TypeError"),
        (lambda output, truth: 1 / int(output.sum()), "MAE fails .ZeroDivisionError"),
        (lambda output, truth, dark: 1.0, "missing 1 required positional argument"),
        (lambda output, truth: np.zeros(3), "MAE fails .TypeError"),
        (lambda output, truth: output[20, 0, 0], "images of 1x1 pixels: the metric MAE fails .IndexError"),
        (darkening, "the output was changed"),
        (lambda output, truth: next(COUNT), "two scores of one image"),
    ],
)
def test_a_broken_promise_is_named(score, said):
    with pytest.raises(AssertionError, match=said):
        check_metric(ImageMetric.of("MAE", score))


def test_a_metric_that_fails_is_named_with_the_place_in_its_code():
    def broken(output, truth):
        return output.no_such_thing

    scorer = ImageMetric.of("MAE", broken).scorer(MetricFiles())
    images = [np.zeros((4, 4, 3), np.uint8)] * 3
    with pytest.raises(DimmagenError, match=r"the metric MAE fails \(AttributeError: .*test_metric_contract"):
        scorer(*images)


def test_errors_of_the_machine_stay_what_they_are():
    def large(output, truth):
        raise MemoryError

    with pytest.raises(MemoryError):
        ImageMetric.of("MAE", large).scorer(MetricFiles())(*[np.zeros((4, 4, 3), np.uint8)] * 3)


def test_a_function_alone_is_refused_by_the_registry(monkeypatch):
    monkeypatch.setitem(METRICS._loaded, "mae", error)
    with pytest.raises(
        DimmagenError, match=r"the metric mae cannot be used: .*ImageMetric.of\(title"
    ) as caught:
        METRICS["mae"]
    assert caught.value.code == "plugin-broken"
    with pytest.raises(AssertionError, match="is not an ImageMetric"):
        check_metric(error)


def test_a_title_that_is_not_a_text_is_refused_by_the_registry(monkeypatch):
    monkeypatch.setitem(METRICS._loaded, "mae", ImageMetric.of(error, error))
    with pytest.raises(DimmagenError, match="the metric mae cannot be used: its title is <function"):
        METRICS["mae"]
