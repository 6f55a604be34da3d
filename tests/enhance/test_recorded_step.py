"""A step that is recorded once and replayed is the step itself, on batches that the recording never saw."""

import logging
from functools import partial

import numpy as np
import pytest
import torch
from skimage import data

from dimmagen.enhance.batch import Example, make_batch
from dimmagen.enhance.losses import EnhancementLoss
from dimmagen.enhance.network import EnhancementNetwork
from dimmagen.enhance.recorded_step import recorded
from dimmagen.enhance.state import TrainSettings, TrainState
from dimmagen.enhance.step import optimise
from tests.enhance import recorded_on_processor

STEPS = 8  # the first four are not replayed, or are what is recorded
RATES = [1e-3 * (1 - step / STEPS) for step in range(STEPS)]


def batches():
    photo = data.astronaut()
    for step in range(STEPS):
        light = np.ascontiguousarray(photo[40 * step : 40 * step + 16, 200:216])
        dark = light // (4 + step)
        yield make_batch([Example(f"pair{step}", dark, light)] * 2)


def state():
    torch.manual_seed(0)
    return TrainState(EnhancementNetwork("compact"), TrainSettings(clip=1.0), fused_adam=True, graph=True)


def run(take):
    """The values of every step; the learning rate falls."""
    return [take(batch, rate) for batch, rate in zip(batches(), RATES, strict=True)]


def weights(trained):
    return [parameter.detach().clone() for parameter in trained.network.parameters()]


@pytest.fixture(autouse=True)
def graphs(monkeypatch):
    recorded_on_processor.use(monkeypatch)


def test_replayed_steps_have_the_losses_and_the_weights_of_steps_that_are_not_recorded():
    plain, replayed = state(), state()
    wanted = run(partial(optimise, plain.network, plain, EnhancementLoss()))
    found = run(recorded(replayed.network, replayed, EnhancementLoss()))
    for one, other in zip(wanted, found, strict=True):
        assert (one.keys, one.names, one.learning_rate) == (other.keys, other.names, other.learning_rate)
        torch.testing.assert_close(other.values, one.values)
    for one, other in zip(weights(plain), weights(replayed), strict=True):
        torch.testing.assert_close(other, one)


def test_the_steps_after_the_recording_run_none_of_the_training_code(monkeypatch):
    trained, calls = state(), []

    def forward(inputs, condition):
        calls.append(inputs)
        return trained.network(inputs, condition)

    run(recorded(forward, trained, EnhancementLoss()))
    assert len(calls) == 4


def test_a_batch_that_is_not_finite_leaves_the_weights_when_it_is_replayed(monkeypatch):
    trained = state()
    take = recorded(trained.network, trained, EnhancementLoss())
    run(take)
    before = weights(trained)
    first = next(batches())
    broken = torch.full_like(first.target, torch.nan)
    monkeypatch.setattr(type(first), "target", property(lambda batch: broken))
    step = take(first, 1e-3)
    assert not torch.isfinite(step.values[0])
    assert all(map(torch.equal, before, weights(trained)))


def test_where_nothing_can_be_recorded_a_warning_says_so_and_the_steps_go_on(monkeypatch, caplog):
    def refuse(graph, **_):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(torch.cuda, "graph", refuse)
    plain, trained = state(), state()
    run(partial(optimise, plain.network, plain, EnhancementLoss()))
    with caplog.at_level(logging.WARNING):
        run(recorded(trained.network, trained, EnhancementLoss()))
    assert "cannot be recorded as a CUDA graph" in caplog.text
    assert all(map(torch.equal, weights(plain), weights(trained)))
