"""How a device is used for training: what makes a step fast there and leaves what is computed the same.

Each lever is a field of :class:`Acceleration`; `python -m benchmarks.gpu_training` measures them one by one.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch

from dimmagen.core.memory import kept_memory
from dimmagen.core.processors import processor_count
from dimmagen.enhance.fused_norms import norms_can_be_fused

Compile = Literal["auto", "on", "off"]
COMPILE: tuple[Compile, ...] = get_args(Compile)
COMPILE_FROM = 10_000  # iterations: compiling the paper's network takes as long as some thousand of them
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Acceleration:
    """What is done to make a training step fast.

    Attributes:
        channels_last: store weights and features with the channels last.
        bf16_loss: compute the features of LPIPS in bfloat16 where the network runs in it.
        fused_norms: compute each group norm with the activation that follows, by Triton's kernels on features
            with the channels last; see :mod:`~dimmagen.enhance.triton_norm`.
        fused_adam: update all weights in one kernel, which also skips a step whose gradient is not finite.
        graph: record a step once as a CUDA graph and replay it, which launches its kernels without Python; on
            one GPU, with fused Adam.
        fetch_every: iterations whose values are fetched from the device, checked and logged together.
        tf32: multiply float32 numbers with 10 bits of mantissa.
        benchmark: let cuDNN try its algorithms for each shape that it meets.
        prefetch: batches that are copied to the device ahead of their step; 0 copies each when it is due.
        compile: mode of `torch.compile` for the network and the loss; None does not compile them.
        keep_memory: let the C library keep the memory of a step for the next one, see
            :func:`~dimmagen.core.memory.kept_memory`.
    """

    channels_last: bool = True
    bf16_loss: bool = False
    fused_norms: bool = False
    fused_adam: bool = False
    graph: bool = False
    fetch_every: int = 1
    tf32: bool = False
    benchmark: bool = False
    prefetch: int = 0
    compile: str | None = None
    keep_memory: bool = False

    def memory(self) -> AbstractContextManager[None]:
        """How memory is kept while a loop runs inside."""
        return kept_memory() if self.keep_memory else nullcontext()

    @contextmanager
    def kernels(self) -> Iterator[None]:
        """Let CUDA's libraries choose their kernels by these settings, for what runs inside."""
        cuda, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
        before = cuda.allow_tf32, cudnn.allow_tf32, cudnn.benchmark
        cuda.allow_tf32, cudnn.benchmark = self.tf32, self.benchmark
        cudnn.allow_tf32 = before[1] or self.tf32
        try:
            yield
        finally:
            cuda.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = before


# Convolutions with the channels last are faster on a processor, images are decoded during the step where
# there is a second one, and the memory of a step is kept for the next. All else would change what is computed
# by a rounding, and with it the bytes of a run, which are promised there.
ON_PROCESSORS = Acceleration(prefetch=2, keep_memory=True)
# As benchmarks/gpu.md measured; with fused norms, which need Triton, the channels are last.
ON_GPUS = Acceleration(
    channels_last=False,
    bf16_loss=True,
    fused_adam=True,
    graph=True,
    fetch_every=25,
    tf32=True,
    benchmark=True,
    prefetch=4,
)
COMPILE_MODE = "default"


def acceleration(device: torch.device, compile: Compile = "auto", iterations: int = 0) -> Acceleration:
    """What to do on a device.

    Args:
        device: to train on.
        compile: `auto` compiles on a GPU, for runs of at least :data:`COMPILE_FROM` iterations.
        iterations: of the run.
    """
    on_gpu = device.type == "cuda"
    chosen = ON_GPUS if on_gpu else ON_PROCESSORS
    if norms_can_be_fused(device):
        chosen = replace(chosen, fused_norms=True, channels_last=True, benchmark=False)
    if not on_gpu and processor_count() == 1:
        chosen = replace(chosen, prefetch=0)
    wanted = compile == "on" or (compile == "auto" and on_gpu and iterations >= COMPILE_FROM)
    return replace(chosen, compile=COMPILE_MODE if wanted else None)


def compiled(function: Callable[..., Any], mode: str | None) -> Callable[..., Any]:
    """A function or module, compiled by torch when it is first called.

    Where that fails, for want of a compiler for example, a warning says so and the function itself is called.

    Args:
        function: takes and returns tensors.
        mode: of `torch.compile`; None returns the function itself.
    """
    if mode is None:
        return function
    attempt: Callable[..., Any] | None = torch.compile(function, mode=mode, dynamic=False)
    proved = False

    def call(*arguments: Any) -> Any:
        nonlocal attempt, proved
        if attempt is None:
            return function(*arguments)
        if proved:
            return attempt(*arguments)
        try:
            result = attempt(*arguments)
        except torch.cuda.OutOfMemoryError:
            raise
        except Exception as error:  # of torch's compiler, of Triton or of a compiler for C
            reason = str(error).strip().splitlines() or [type(error).__name__]
            _LOG.warning("torch.compile fails here, so training continues without it: %s", reason[0][:200])
            attempt = None
            return function(*arguments)
        proved = True
        return result

    return call
