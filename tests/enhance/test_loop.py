"""The training loop: exact resume, what stops it, and what it keeps."""

import itertools
import math
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from skimage import data
from torch import nn

from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.enhance.acceleration import Acceleration
from dimmagen.enhance.batch import Crops
from dimmagen.enhance.checkpoints import BEST, CHECKPOINT, load_network
from dimmagen.enhance.data import RealPairs
from dimmagen.enhance.distributed_context import DistributedContext
from dimmagen.enhance.loop import train, validate
from dimmagen.enhance.losses import EnhancementLoss
from dimmagen.enhance.network import ARCHITECTURES, Architecture, EnhancementNetwork
from dimmagen.enhance.run_folder import LOG, RunFolder
from dimmagen.enhance.state import TrainSettings, TrainState
from dimmagen.enhance.step import diverged

SETTINGS = TrainSettings(iterations=9, learning_rate=1e-3, validate_every=4, checkpoint_every=3)


class Silent:
    def note(self, text):
        pass

    def begin(self, done, total):
        self.done = done

    def iteration(self, values):
        pass


class KilledAfter(Silent):
    """Ends the run at an iteration, as a kill would: nothing more is written."""

    def __init__(self, iterations):
        self.left = iterations

    def iteration(self, values):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


class NotANumberAt(EnhancementLoss):
    def __init__(self, iteration):
        super().__init__()
        self.left = iteration

    def forward(self, output, target):
        self.left -= 1
        value, parts = super().forward(output, target)
        return (value * math.nan if self.left == 0 else value), parts


@pytest.fixture(scope="module")
def pairs():
    lights = [data.astronaut()[top : top + 24, 200:232] for top in (40, 100, 200)]
    return [RealPair(f"pair{index}", light // 8, light, "", "") for index, light in enumerate(lights)]


@pytest.fixture
def run_training(pairs, tmp_path):
    def run(
        name="run",
        settings=SETTINGS,
        progress=None,
        loss=None,
        validation=None,
        accelerated=None,
        architecture="compact",
    ):
        torch.manual_seed(0)
        network = EnhancementNetwork(architecture)
        folder = RunFolder(tmp_path / name)
        folder.begin({"iterations": settings.iterations}, "if-possible")
        batches = RealPairs(pairs, Crops(16, True, 0), batch=2)
        validation = pairs if validation is None else validation
        loss, progress = loss or EnhancementLoss(), progress or Silent()
        state = train(network, batches, validation, loss, settings, folder, progress, accelerated=accelerated)
        return state, folder

    return run


@pytest.mark.parametrize("average", [0.0, 0.9])
@pytest.mark.parametrize("kill_after", [2, 3, 5, 8])
def test_a_killed_run_resumes_with_the_same_losses_and_the_same_network(run_training, kill_after, average):
    settings = TrainSettings(
        iterations=9, learning_rate=1e-3, validate_every=4, checkpoint_every=3, average=average
    )
    _, whole = run_training("whole", settings)
    with pytest.raises(KeyboardInterrupt):
        run_training("killed", settings, KilledAfter(kill_after))
    progress = Silent()
    _, resumed = run_training("killed", settings, progress)
    assert progress.done == (kill_after - 1) // 3 * 3  # killed before the checkpoint that was due
    for name in (LOG, BEST, CHECKPOINT):
        assert (whole.path / name).read_bytes() == (resumed.path / name).read_bytes(), name


class Odd(nn.Module):
    """Has what the built-in networks do not have: statistics, draws, and parameters that do not learn."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(10, 8, 3, padding=1), nn.Conv2d(8, 3, 3, padding=1)
        self.frozen, self.unused = nn.Conv2d(8, 8, 1).requires_grad_(False), nn.Conv2d(3, 3, 1)
        self.norm, self.dropout = nn.BatchNorm2d(8), nn.Dropout2d(0.3)

    def forward(self, inputs, condition):
        return self.second(self.dropout(self.frozen(self.norm(self.first(inputs))).relu()))


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_a_network_with_statistics_and_draws_resumes_exactly_and_is_the_one_that_was_validated(
    run_training, monkeypatch, pairs, average
):
    odd = Architecture(Odd, 1, 2, 200, learning_rate=1e-2, finetuning_rate=1e-2)
    monkeypatch.setitem(ARCHITECTURES._loaded, "odd", odd)
    settings = replace(SETTINGS, learning_rate=1e-2, average=average)
    state, whole = run_training("whole", settings, architecture="odd")
    assert all(module.training for module in state.network.modules())
    assert torch.equal(state.candidate.unet.norm.running_mean, state.network.unet.norm.running_mean)
    with pytest.raises(KeyboardInterrupt):
        run_training("killed", settings, KilledAfter(5), architecture="odd")
    _, resumed = run_training("killed", settings, architecture="odd")
    for name in (LOG, BEST, CHECKPOINT):
        assert (whole.path / name).read_bytes() == (resumed.path / name).read_bytes(), name
    best, header = load_network(whole.path)
    assert validate(best, pairs) == pytest.approx(header["psnr"], abs=1e-9)


def test_the_memory_of_a_step_is_kept_while_a_processor_trains_and_moves_no_byte(run_training, monkeypatch):
    seen = []

    @contextmanager
    def kept():
        seen.append("begin")
        yield
        seen.append("end")

    class Watching(Silent):
        def iteration(self, values):
            seen.append("iteration")

    _, plain = run_training("plain", accelerated=Acceleration())
    monkeypatch.setattr("dimmagen.enhance.acceleration.kept_memory", kept)
    _, folder = run_training("kept", progress=Watching())
    assert seen == ["begin", *["iteration"] * SETTINGS.iterations, "end"]
    assert (folder.path / CHECKPOINT).read_bytes() == (plain.path / CHECKPOINT).read_bytes()


def test_a_finished_run_is_not_trained_further(run_training):
    _, folder = run_training()
    before = (folder.path / CHECKPOINT).read_bytes()
    run_training(progress=KilledAfter(1))
    assert (folder.path / CHECKPOINT).read_bytes() == before


def test_training_reduces_the_loss(run_training):
    _, folder = run_training(settings=TrainSettings(iterations=60, learning_rate=2e-3, validate_every=60))
    losses = [float(line.split(",")[1]) for line in (folder.path / LOG).read_text().splitlines()[1:]]
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10])


def test_a_loss_that_is_nan_stops_the_run_names_the_pairs_and_keeps_the_checkpoint(run_training, tmp_path):
    with pytest.raises(DimmagenError, match=r"loss is nan.* after iteration 4, on the pairs pair\d, pair\d"):
        run_training(loss=NotANumberAt(5))
    saved = RunFolder(tmp_path / "run").load(CHECKPOINT)
    assert saved.header["iteration"] == 3
    assert all(torch.isfinite(tensor).all() for tensor in saved.tensors.values())


ON_A_DEVICE = Acceleration(fused_adam=True, fetch_every=25, prefetch=2)


class Counting(Silent):
    def __init__(self):
        self.rows = []

    def iteration(self, values):
        self.rows.append(int(values["iteration"]))


def test_values_that_are_fetched_late_are_those_of_each_iteration(run_training):
    at_once, late = Counting(), Counting()
    _, first = run_training("first", progress=at_once, accelerated=replace(ON_A_DEVICE, fetch_every=1))
    _, second = run_training("second", progress=late, accelerated=ON_A_DEVICE)
    for name in (LOG, BEST, CHECKPOINT):
        assert (first.path / name).read_bytes() == (second.path / name).read_bytes(), name
    assert at_once.rows == late.rows == list(range(1, 10))


@pytest.mark.parametrize("fetch_every", [1, 3, 25])
def test_a_loss_that_is_nan_is_found_before_anything_is_kept_however_late_it_is_fetched(
    run_training, tmp_path, fetch_every
):
    """NaN in the fifth iteration; a checkpoint is due after the sixth, a validation after the eighth."""
    accelerated = replace(ON_A_DEVICE, fetch_every=fetch_every)
    settings = replace(SETTINGS, checkpoint_every=3, validate_every=8)
    with pytest.raises(DimmagenError, match=r"loss is nan.* after iteration 4, on the pairs pair\d, pair\d"):
        run_training(settings=settings, loss=NotANumberAt(5), accelerated=accelerated)
    saved = RunFolder(tmp_path / "run").load(CHECKPOINT)
    assert saved.header["iteration"] == 3
    assert all(torch.isfinite(tensor).all() for tensor in saved.tensors.values())
    assert not (tmp_path / "run" / BEST).exists()


def test_a_killed_run_resumes_exactly_where_values_are_fetched_late(run_training):
    _, whole = run_training("whole", accelerated=ON_A_DEVICE)
    with pytest.raises(KeyboardInterrupt):
        run_training("killed", progress=KilledAfter(5), accelerated=ON_A_DEVICE)
    _, resumed = run_training("killed", accelerated=ON_A_DEVICE)
    for name in (LOG, BEST, CHECKPOINT):
        assert (whole.path / name).read_bytes() == (resumed.path / name).read_bytes(), name


def test_best_is_the_network_with_the_highest_validation_psnr(run_training):
    state, folder = run_training(settings=TrainSettings(iterations=12, learning_rate=1e-2, validate_every=2))
    rows = [line.split(",") for line in (folder.path / LOG).read_text().splitlines()[1:]]
    scores = {int(row[0]): float(row[5]) for row in rows if row[5]}
    assert list(scores) == [2, 4, 6, 8, 10, 12]
    assert scores[state.best_iteration] == max(scores.values())
    _, header = load_network(folder.path)
    assert header["iteration"] == state.best_iteration
    assert header["psnr"] == pytest.approx(max(scores.values()), rel=1e-6)


def test_patience_ends_a_run_that_no_longer_improves(run_training, monkeypatch):
    scores = iter([20.0, 21.0, 20.5, 20.9, 25.0])
    monkeypatch.setattr("dimmagen.enhance.loop.validate", lambda *_: next(scores))
    state, _ = run_training(
        settings=TrainSettings(iterations=10, learning_rate=1e-3, validate_every=2, patience=2)
    )
    assert (state.iteration, state.best_iteration, state.best_psnr) == (8, 4, 21.0)


def test_learning_rate_falls_along_a_cosine():
    settings = TrainSettings(iterations=100, learning_rate=2.0)
    rates = [settings.learning_rate_at(iteration) for iteration in (0, 25, 50, 100)]
    assert rates == pytest.approx([2.0, 1 + math.sqrt(0.5), 1.0, 0.0])


def test_the_average_of_the_weights_is_kept_as_best(run_training):
    settings = TrainSettings(iterations=4, learning_rate=1e-2, validate_every=4, average=0.9)
    state, folder = run_training(settings=settings)
    kept = load_network(folder.path)[0].state_dict()
    for name, tensor in state.average.state_dict().items():
        assert torch.equal(kept[name], tensor)
    assert not torch.equal(kept["unet.stem.weight"], state.network.unet.stem.weight)


def test_a_network_that_torch_cannot_copy_has_an_average_too(monkeypatch):
    class Normed(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = nn.utils.weight_norm(nn.Conv2d(10, 3, 1))

        def forward(self, inputs, condition):
            return self.last(inputs)

    architecture = Architecture(Normed, 1, 1, 200, learning_rate=1e-3, finetuning_rate=1e-4)
    monkeypatch.setitem(ARCHITECTURES._loaded, "normed", architecture)
    network = EnhancementNetwork("normed")
    average = TrainState(network, TrainSettings(average=0.5)).average
    assert not any(parameter.requires_grad for parameter in average.parameters())
    given = torch.rand(1, 10, 4, 4), torch.tensor([300])
    assert torch.equal(average(*given), network(*given))


def test_the_average_of_the_weights_forgets_the_beginning_before_it_settles_at_its_decay():
    """The decay is (1 + t) / (10 + t) at iteration t = 1, 2, ... until that exceeds the one asked for."""
    state = TrainState(EnhancementNetwork("compact"), TrainSettings(average=0.5))
    for network in (state.network, state.average):
        for parameter in network.parameters():
            parameter.detach().zero_()
    expected = 0.0
    for t, decay in enumerate(
        [2 / 11, 3 / 12, 4 / 13, 5 / 14, 6 / 15, 7 / 16, 8 / 17, 0.5, 0.5, 0.5], start=1
    ):
        for parameter in state.network.parameters():
            parameter.detach().fill_(t)
        state.iteration = t
        state.update_average()
        expected = decay * expected + (1 - decay) * t
        for parameter in state.average.parameters():
            assert parameter.flatten()[0].item() == pytest.approx(expected, rel=1e-5)
            assert parameter.min() == parameter.max()


def test_after_one_iteration_the_average_is_nine_elevenths_of_the_way_to_the_weights(run_training):
    settings = TrainSettings(iterations=1, learning_rate=1e-2, average=0.999)
    state, _ = run_training(settings=settings)
    torch.manual_seed(0)
    begun = EnhancementNetwork("compact").parameters()
    for start, mean, end in zip(begun, state.average.parameters(), state.network.parameters(), strict=True):
        torch.testing.assert_close(mean - start, (end - start) * 9 / 11, rtol=1e-3, atol=1e-6)


def test_clipping_bounds_the_gradient_that_adam_sees(run_training):
    def first_moment(clip):
        state, _ = run_training(f"clip{clip}", TrainSettings(iterations=1, learning_rate=1e-3, clip=clip))
        moments = [state.optimizer.state[parameter]["exp_avg"] for parameter in state.network.parameters()]
        return math.sqrt(sum(float((moment**2).sum()) for moment in moments)) / 0.1  # (1 - beta1) * gradient

    assert first_moment(0.0) > 1e-3
    assert first_moment(1e-4) == pytest.approx(1e-4, rel=1e-2)


def test_an_empty_validation_set_is_refused_before_anything_is_written(run_training, tmp_path):
    with pytest.raises(UsageError, match="no pairs to validate on"):
        run_training(validation=[])
    assert not (tmp_path / "run" / LOG).exists()


def test_bfloat16_trains_too(run_training):
    state, _ = run_training(settings=TrainSettings(iterations=2, learning_rate=1e-3, bf16=True))
    assert math.isfinite(state.best_psnr)


def test_a_folder_with_a_run_of_other_settings_is_refused_and_left_alone(run_training):
    _, folder = run_training()
    before = (folder.path / BEST).read_bytes()
    with pytest.raises(UsageError, match="crop was None, is 8, iterations was 9, is 10"):
        folder.begin({"iterations": 10, "crop": 8}, "if-possible")
    assert (folder.path / BEST).read_bytes() == before
    folder.begin({"iterations": 10}, "never")
    assert not (folder.path / BEST).exists()
    with pytest.raises(UsageError, match="no run to resume"):
        RunFolder(folder.path / "empty").begin({}, "always")


def test_a_run_from_before_a_setting_existed_had_its_former_value(run_training):
    _, folder = run_training()
    folder.begin({"iterations": SETTINGS.iterations, "equalise": "crop"}, "always")
    with pytest.raises(UsageError, match="equalise was crop, is image"):
        folder.begin({"iterations": SETTINGS.iterations, "equalise": "image"}, "always")


def test_other_settings_may_follow_a_run_that_failed_before_its_first_iteration(run_training, tmp_path):
    with pytest.raises(UsageError):
        run_training(validation=[])
    folder = RunFolder(tmp_path / "run")
    folder.begin({"iterations": 3}, "if-possible")
    assert '"iterations": 3' in (folder.path / "run.json").read_text()


def test_a_run_killed_in_its_first_iteration_leaves_no_gap_in_the_log(run_training):
    _, whole = run_training("whole")
    stopped = RunFolder(whole.path.with_name("stopped"))
    stopped.begin({"iterations": SETTINGS.iterations}, "if-possible")
    (stopped.path / LOG).write_bytes(b"")  # opened, and never flushed
    _, stopped = run_training("stopped")
    assert (stopped.path / LOG).read_bytes() == (whole.path / LOG).read_bytes()
    with open(stopped.path / LOG, "a") as log:
        log.write("10,0.5")  # killed in the middle of a row
    stopped.begin_log(SETTINGS.iterations)
    assert (stopped.path / LOG).read_bytes() == (whole.path / LOG).read_bytes()


class SecondOfTwo(DistributedContext):
    """As if the loss of another process were not finite, and so the gradient of this one."""

    def gather(self, value):
        return [value, (math.nan, ("faulty",))]


def test_of_several_workers_the_one_whose_loss_is_not_finite_is_named():
    error = diverged(0.03, math.nan, 7, ("sound",), SecondOfTwo())
    assert error.code == "diverged"
    assert "the loss is nan" in str(error)
    assert "on the pairs faulty" in str(error)
    assert "sound" not in str(error)


def test_checkpoints_that_are_damaged_foreign_or_of_another_architecture_are_refused(run_training, tmp_path):
    _, folder = run_training()
    (tmp_path / "broken.safetensors").write_bytes(b"junk")
    with pytest.raises(DimmagenError, match="not a readable checkpoint") as caught:
        load_network(tmp_path / "broken.safetensors")
    assert caught.value.todo.startswith("give the folder of a training run, or its best.safetensors")
    save_file({"weight": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(DimmagenError, match="not a checkpoint of this version"):
        load_network(tmp_path / "foreign.safetensors")
    saved = folder.load(BEST)
    tensors = dict(itertools.islice(saved.tensors.items(), 3))
    folder.save("other.safetensors", tensors, saved.header)
    with pytest.raises(DimmagenError, match="does not hold the weights of the model compact"):
        load_network(folder.path / "other.safetensors")
    with pytest.raises(UsageError, match="no trained network"):
        load_network(tmp_path / "nowhere")
