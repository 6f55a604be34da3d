"""What CUDA graphs do, on a processor: operations are recorded with their memory, and replayed in it."""

from contextlib import contextmanager

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class ProcessorGraph(TorchDispatchMode):
    """Takes the place of `torch.cuda.CUDAGraph`: a replay reads and writes the memory of the recording.

    Recording computes nothing on a GPU, so what it changes here is put back at its end.
    """

    def __init__(self):
        super().__init__()
        self.operations = []
        self._before = {}

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        keywords = keywords or {}
        if function._schema.is_mutable:
            for tensor in tensors((arguments, keywords)):
                self._before.setdefault(memory(tensor), (tensor, tensor.clone()))
        result = function(*arguments, **keywords)
        self.operations.append((function, arguments, keywords, result))
        return result

    @torch.no_grad()
    def end(self):
        for tensor, value in self._before.values():
            tensor.copy_(value)

    @torch.no_grad()
    def replay(self):
        for function, arguments, keywords, recorded in self.operations:
            read = {memory(tensor) for tensor in tensors((arguments, keywords))}
            made = tensors(recorded)
            if made and all(memory(tensor) in read for tensor in made) and not function._schema.is_mutable:
                continue  # a view shows what is in its memory by now
            for old, new in zip(made, tensors(function(*arguments, **keywords)), strict=True):
                if memory(old) != memory(new):
                    old.copy_(new)


def tensors(tree):
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def memory(tensor):
    return tensor.untyped_storage().data_ptr()


@contextmanager
def recording(graph, **_):
    """Takes the place of `torch.cuda.graph`."""
    with graph:
        yield
    graph.end()


class Stream:
    """Takes the place of CUDA's streams: everything is done in the order in which it is asked for."""

    def wait_stream(self, other):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def use(monkeypatch):
    """Let `torch.cuda` record on the processor."""
    for name, fake in (
        ("CUDAGraph", ProcessorGraph),
        ("graph", recording),
        ("synchronize", lambda: None),
        ("Stream", Stream),
        ("current_stream", Stream),
        ("stream", lambda stream: stream),
    ):
        monkeypatch.setattr(torch.cuda, name, fake)
