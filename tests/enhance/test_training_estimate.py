"""What a dry run measures is a step as training takes it."""

from dataclasses import replace

import pytest

from dimmagen.enhance import estimate
from dimmagen.enhance.acceleration import ON_PROCESSORS
from dimmagen.enhance.config import TrainConfig
from dimmagen.enhance.state import TrainSettings
from tests.enhance import recorded_on_processor


@pytest.mark.parametrize(("workers", "replayed"), [(1, 1 + 12), (2, 0)])
def test_where_training_replays_a_recorded_step_that_is_measured(workers, replayed, pair_set, monkeypatch):
    """Of one process only; the step that is recorded, and so replayed once, is not among the 12."""
    replays, replay = [], recorded_on_processor.ProcessorGraph.replay
    recorded_on_processor.use(monkeypatch)
    monkeypatch.setattr(
        recorded_on_processor.ProcessorGraph, "replay", lambda graph: replays.append(1) or replay(graph)
    )
    as_on_a_gpu = replace(ON_PROCESSORS, fused_adam=True, graph=True)
    monkeypatch.setattr(estimate, "acceleration", lambda *_: as_on_a_gpu)
    monkeypatch.setattr(estimate, "MEASURED_SECONDS", 1000.0)
    settings = TrainSettings(iterations=100, validate_every=100)
    config = TrainConfig(
        data=str(pair_set), crop=32, batch=1, perceptual="none", validation_photos=1, training=settings
    )
    found = estimate.estimate_training(config, workers)
    assert (found.measured, sum(replays)) == (12, replayed)
