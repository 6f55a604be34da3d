"""mutmut leaves decorated functions alone. Here it changes properties, context managers and kernels too.

A kernel is changed where numba is told to compile nothing (`NUMBA_DISABLE_JIT`), and is compiled unchanged
otherwise: to compile each change would take hours.
"""

from collections.abc import Iterable, Sequence

import libcst as cst
import numpy as np
from mutmut.mutation import file_mutation

_WRAPPERS = ("property", "cached_property", "contextmanager")
_KERNEL = "jit"
_IF_INTERPRETED = "{} if __import__('numba').config.DISABLE_JIT else lambda kernel: kernel"


def change_decorated_functions() -> None:
    """From now on, in this process."""
    visitor, arrange = file_mutation.MutationVisitor, file_mutation.function_trampoline_arrangement
    skips = visitor._skip_node_and_children

    def skips_not(self: object, node: cst.CSTNode) -> bool:
        return skips(self, _bare(node) if _decorator(node) else node)

    def arranged(
        function: cst.FunctionDef, mutants: Iterable, class_name: str | None
    ) -> tuple[Sequence, Sequence, Sequence, Sequence[str]]:
        name = _decorator(function)
        if not name:
            return arrange(function, mutants, class_name)
        before, [switch, *copies], after, names = arrange(_bare(function), mutants, class_name)
        [switching] = switch.decorators
        if name == _KERNEL:
            code = cst.Module([]).code_for_node(switching.decorator)
            switching = cst.Decorator(cst.parse_expression(f"({_IF_INTERPRETED.format(code)})"))
        switch = switch.with_changes(decorators=[*function.decorators, switching])
        return before, [switch, *copies], after, names

    visitor._skip_node_and_children = skips_not
    file_mutation.function_trampoline_arrangement = arranged


def _decorator(node: cst.CSTNode) -> str:
    """The name of the only decorator of a function, if it is one of those that stay around its changes."""
    if not isinstance(node, cst.FunctionDef) or len(node.decorators) != 1:
        return ""
    decorator = node.decorators[0].decorator
    if isinstance(decorator, cst.Call):
        return _KERNEL if getattr(decorator.func, "value", "") == _KERNEL else ""
    return decorator.value if getattr(decorator, "value", "") in _WRAPPERS else ""


def _bare(function: cst.FunctionDef) -> cst.FunctionDef:
    return function.with_changes(decorators=())


class _Uint32(np.uint32):
    def __new__(cls, value: int) -> np.uint32:
        return np.uint32(int(value) & 0xFFFFFFFF)


class InterpretedNumpy:
    """numpy for kernels that are interpreted: its conversion to uint32 wraps around, as numba's does."""

    uint32 = _Uint32

    def __getattr__(self, name: str) -> object:
        return getattr(np, name)
