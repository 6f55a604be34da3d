"""The properties of a machine that can change the bytes: library versions and processor features, by name.

Two machines with equal environments belong to the same class: they produce the same bytes. Host names,
clocks, core counts and operating system versions are omitted on purpose.
"""

import os
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

# Libraries that decode, dim, encode or write; other installed packages cannot change a byte.
_LIBRARIES = ("av", "llvmlite", "numba", "numpy", "pillow", "pyarrow", "scipy", "torch")
# Variables by which numba compiles for another processor than this one, and with other roundings.
_NUMBA = ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "NUMBA_ENABLE_AVX", "NUMBA_OPT", "NUMBA_DISABLE_JIT")
# Instruction sets that decide which code path numpy, torch and numba take.
_FEATURES = ("sse4.2", "avx", "f16c", "fma", "avx2", "avx512f", "avx512vl", "avx512bf16", "neon", "sve")


@cache
def environment() -> dict:
    """The environment class: device kind, machine, processor features, versions.

    Returns:
        `{"device": "cpu", "machine": "x86_64", "processor_features": [...], "versions": {...}}`; with `numba`
            if variables of the environment choose what it compiles for.
    """
    from llvmlite import binding

    host = binding.get_host_cpu_features()
    chosen = {name: os.environ[name] for name in _NUMBA if os.environ.get(name)}
    return {
        "device": "cpu",
        "machine": platform.machine(),
        "processor_features": [name for name in _FEATURES if host.get(name)],
        "versions": {
            "dimmagen": package_version("dimmagen"),
            "python": ".".join(platform.python_version_tuple()[:2]),
            **{name: package_version(name) for name in _LIBRARIES},
        },
        **({"numba": chosen} if chosen else {}),
    }


def package_version(name: str) -> str:
    """The version of an installed package, or `absent`."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
