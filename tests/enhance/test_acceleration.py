"""What makes training fast changes only how it is computed; where it fails, training goes on without it."""

import contextlib
import logging
import math
import sys
import threading
import types
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from skimage import data
from torch.nn import functional

from dimmagen.core.errors import DimmagenError
from dimmagen.enhance import fused_norms, prefetch
from dimmagen.enhance.acceleration import COMPILE_FROM, Acceleration, acceleration, compiled
from dimmagen.enhance.batch import Example, make_batch
from dimmagen.enhance.checkpoints import load_network
from dimmagen.enhance.distributed_context import SINGLE_PROCESS
from dimmagen.enhance.losses import EnhancementLoss
from dimmagen.enhance.network import EnhancementNetwork
from dimmagen.enhance.prefetch import Waiting, on_device
from dimmagen.enhance.run_folder import RunFolder
from dimmagen.enhance.state import TrainSettings, TrainState
from dimmagen.enhance.step import Ledger, optimise
from dimmagen.metrics.lpips import load_lpips

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def batch(name="one"):
    light = np.ascontiguousarray(data.astronaut()[:16, 200:216])
    return make_batch([Example(name, light // 8, light)] * 2)


def weights(state):
    return [parameter.detach().clone() for parameter in state.network.parameters()]


@pytest.mark.parametrize("fused", [False, True])
def test_a_step_that_is_not_finite_leaves_the_weights_and_is_named_when_it_is_fetched(fused):
    torch.manual_seed(0)
    state = TrainState(EnhancementNetwork("compact"), TrainSettings(clip=1.0), fused_adam=fused)
    ledger = Ledger(3, SINGLE_PROCESS)

    def broken(output, target):
        value, parts = EnhancementLoss()(output, target)
        return value * math.nan, parts

    for iteration, loss in enumerate((EnhancementLoss(), broken, EnhancementLoss())):
        state.iteration = iteration
        before = weights(state)
        assert not ledger.due
        ledger.add(optimise(state.network, state, loss, batch(f"pair{iteration}"), 1e-3))
        unchanged = all(map(torch.equal, before, weights(state)))
        assert unchanged == (loss is broken)
    assert ledger.due
    with pytest.raises(DimmagenError, match="after iteration 1, on the pairs pair1, pair1") as raised:
        ledger.fetch()
    assert raised.value.code == "diverged"


def test_fused_adam_takes_the_same_steps():
    after = []
    for fused in (False, True):
        torch.manual_seed(0)
        state = TrainState(EnhancementNetwork("compact"), TrainSettings(), fused_adam=fused)
        for _ in range(4):
            optimise(state.network, state, EnhancementLoss(), batch(), 1e-3)
        after.append(weights(state))
    for plain, fused in zip(*after, strict=True):
        torch.testing.assert_close(plain, fused, rtol=1e-4, atol=1e-5)


def test_the_memory_format_changes_only_how_features_are_stored():
    torch.manual_seed(0)
    network = EnhancementNetwork("compact").eval()
    torch.nn.init.normal_(network.unet.head.weight)
    inputs, condition = torch.rand(1, 10, 32, 24), torch.tensor([300])
    results = []
    for last in (True, False):
        network.use_memory_format(last)
        assert network.unet.stem.weight.is_contiguous(memory_format=torch.channels_last) == last
        results.append(network(inputs, condition).detach())
    assert results[0].std() > 0.05
    torch.testing.assert_close(*results)


def test_lpips_in_bfloat16_is_the_same_distance_but_for_rounding(made_lpips):
    light = torch.from_numpy(data.astronaut()[:64, :64].transpose(2, 0, 1).copy())[None] / 255
    exact = load_lpips("alex", made_lpips)(light, light / 3)
    loss = EnhancementLoss(load_lpips("alex", made_lpips))
    loss.use(Acceleration(bf16_loss=True), bf16=False)
    assert torch.equal(loss.perceptual(light, light / 3), exact)
    loss.use(Acceleration(bf16_loss=True, channels_last=False), bf16=True)
    rounded = loss.perceptual(light, light / 3)
    assert rounded.dtype == torch.float32
    assert {layer.weight.dtype for layer in loss.perceptual.features if hasattr(layer, "weight")} == {
        torch.bfloat16
    }
    assert (rounded - exact).abs() > 1e-5
    torch.testing.assert_close(rounded, exact, rtol=0.03, atol=0)


def test_the_libraries_settings_are_as_before_after_training():
    cuda, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = cuda.allow_tf32, cudnn.allow_tf32, cudnn.benchmark
    with contextlib.suppress(ZeroDivisionError), Acceleration(tf32=True, benchmark=True).kernels():
        inside = cuda.allow_tf32, cudnn.allow_tf32, cudnn.benchmark
        raise ZeroDivisionError
    assert inside == (True, True, True)
    assert (cuda.allow_tf32, cudnn.allow_tf32, cudnn.benchmark) == before


def test_a_network_is_compiled_on_request_and_for_long_runs_on_a_gpu():
    assert acceleration(CPU, "auto", 10**6).compile is None
    assert acceleration(CPU, "on").compile is not None
    assert acceleration(GPU, "auto", COMPILE_FROM).compile is not None
    assert acceleration(GPU, "auto", COMPILE_FROM - 1).compile is None
    assert acceleration(GPU, "off", COMPILE_FROM).compile is None


@pytest.mark.parametrize("works", [False, True])
def test_norms_are_fused_on_a_gpu_where_their_kernel_works(works, monkeypatch):
    """Its features have the channels last, for which torch's own norms are slow."""
    monkeypatch.setattr("dimmagen.enhance.acceleration.norms_can_be_fused", lambda device: works)
    chosen = acceleration(GPU)
    assert (chosen.fused_norms, chosen.channels_last) == (works, works)


def test_a_kernel_that_fails_or_is_wrong_is_not_used_and_a_warning_says_so(monkeypatch, caplog):
    usable = fused_norms.norms_can_be_fused.__wrapped__
    monkeypatch.setitem(sys.modules, "triton", types.ModuleType("triton"))
    answers = iter([True, False, RuntimeError("Failed to find C compiler")])

    def agrees(device):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(fused_norms, "_agrees", agrees)
    assert [usable(GPU) for _ in range(3)] == [True, False, False]
    monkeypatch.setitem(sys.modules, "triton", None)  # not installed, which needs no warning
    assert [usable(GPU), usable(CPU)] == [False, False]

    def broken(name):
        raise AttributeError(f"{name} has no attribute")

    monkeypatch.setattr(fused_norms.importlib, "import_module", broken)
    assert not usable(GPU)
    differs, fails, imported = caplog.messages
    assert "differ from torch's" in differs
    assert "Failed to find C compiler" in fails
    assert "triton has no attribute" in imported


def test_the_kernels_are_tried_in_inference_mode_as_elsewhere(monkeypatch):
    def norm(features, shift, weight, bias, groups, eps):
        moved = features + shift[:, :, None, None]
        return functional.silu(functional.group_norm(moved, groups, weight, bias, eps)), None, None

    kernels = types.ModuleType("triton_norm")
    kernels.group_norm_silu = norm
    monkeypatch.setitem(sys.modules, "dimmagen.enhance.triton_norm", kernels)
    with torch.inference_mode():
        assert fused_norms._agrees(CPU)


def test_a_loaded_network_is_used_as_its_device_is(tmp_path, monkeypatch):
    run = RunFolder(tmp_path / "run")
    run.begin({}, "never")
    TrainState(EnhancementNetwork("compact"), TrainSettings()).save_best(run)
    for last in (True, False):
        chosen = Acceleration(channels_last=last)
        monkeypatch.setattr("dimmagen.enhance.checkpoints.acceleration", lambda _, chosen=chosen: chosen)
        weight = load_network(tmp_path / "run")[0].unet.stem.weight
        assert weight.is_contiguous(memory_format=torch.channels_last) == last


def test_a_copy_computes_as_the_network_does(monkeypatch):
    pytest.importorskip("diffusers")
    monkeypatch.setitem(sys.modules, "dimmagen.enhance.triton_norm", types.ModuleType("triton_norm"))
    network = EnhancementNetwork("small")
    network.use(Acceleration(channels_last=False, fused_norms=True))
    network.use(Acceleration(channels_last=False, fused_norms=True))  # which finds nothing to replace
    copy = network.copy()
    assert copy.memory_format is torch.contiguous_format
    assert fused_norms.FusedResnetBlock in {type(module) for module in copy.modules()}
    for one, other in zip(network.modules(), copy.modules(), strict=True):
        assert type(one).__name__ == type(other).__name__
    for one, other in zip(network.parameters(), copy.parameters(), strict=True):
        assert torch.equal(one, other)
        assert one.data_ptr() != other.data_ptr()


def test_nothing_that_rounds_differently_is_done_on_a_processor():
    assert replace(acceleration(CPU), prefetch=0, keep_memory=False) == Acceleration(channels_last=True)


@pytest.mark.parametrize(("processors", "ahead"), [(1, 0), (2, 2)])
def test_images_are_decoded_beside_the_step_where_there_is_a_second_processor(monkeypatch, processors, ahead):
    monkeypatch.setattr("dimmagen.enhance.acceleration.processor_count", lambda: processors)
    assert acceleration(CPU).prefetch == ahead
    assert acceleration(GPU).prefetch > 0


def test_where_compiling_fails_a_warning_says_so_and_training_goes_on(monkeypatch, caplog):
    def failing(function, **_):
        def call(*arguments):
            raise RuntimeError("no compiler for C\nhere")

        return call

    monkeypatch.setattr(torch, "compile", failing)
    double = compiled(lambda value: 2 * value, "default")
    with caplog.at_level(logging.WARNING):
        assert [double(value) for value in (1, 2, 3)] == [2, 4, 6]
    assert [record.getMessage() for record in caplog.records] == [
        "torch.compile fails here, so training continues without it: no compiler for C"
    ]


def test_an_error_after_the_first_compiled_step_is_not_taken_for_one_of_the_compiler(monkeypatch, caplog):
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    inverse = compiled(lambda value: 1 / value, "default")
    assert inverse(2) == 0.5
    with pytest.raises(ZeroDivisionError):
        inverse(0)
    assert not caplog.records


def test_too_little_memory_is_not_taken_for_an_error_of_the_compiler(monkeypatch, caplog):
    def full(value):
        raise torch.cuda.OutOfMemoryError

    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        compiled(full, "default")(1)
    assert not caplog.records


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_batches_that_are_read_ahead_come_in_the_same_order_and_then_their_error(ahead):
    def source():
        yield from (batch(f"pair{number}") for number in range(5))
        raise DimmagenError("the sixth is damaged", "", code="damaged")

    stream = on_device(source(), CPU, ahead)
    assert [next(stream).keys[0] for _ in range(5)] == [f"pair{number}" for number in range(5)]
    with pytest.raises(DimmagenError, match="the sixth"):
        next(stream)
    assert list(on_device(iter([]), CPU, ahead)) == []


def test_the_thread_that_reads_ahead_ends_with_the_training():
    threads = {*threading.enumerate()}  # some of earlier tests may end meanwhile
    stream = on_device((batch() for _ in range(100)), CPU, 2)
    for _ in range(2):
        next(stream)
    [reader] = {*threading.enumerate()} - threads
    stream.close()
    assert not reader.is_alive()


def test_the_time_that_training_waits_for_images_is_counted(monkeypatch):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(prefetch, "time", SimpleNamespace(perf_counter=lambda: clock.now))

    def source():
        while True:
            clock.now += 2.0
            yield batch()

    waiting = Waiting()
    stream = on_device(source(), CPU, 0, waiting)
    for _ in range(4):
        next(stream)
        clock.now += 1.0
    assert waiting.batches == 4
    assert waiting.seconds == 3 * 2.0  # the first does not count
    assert waiting.share == 6.0 / (6.0 + 4.0)
    stream.close()


def test_the_wait_for_images_that_are_read_ahead_is_counted():
    waiting, is_asked = Waiting(), threading.Event()

    def source():
        yield batch()
        is_asked.wait()
        yield batch()

    stream = on_device(source(), CPU, 1, waiting)
    next(stream)
    threading.Timer(0.05, is_asked.set).start()
    next(stream)
    assert waiting.batches == 2
    assert waiting.seconds > 0
    assert 0 < waiting.share <= 1
    stream.close()
