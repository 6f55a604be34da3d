"""Errors of numba's own settings: environment variables, which may be set for another program."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from dimmagen.core.errors import UsageError


@contextmanager
def numba_settings_errors() -> Iterator[None]:
    """Around numba's import and the start of its threads, which raise a plain error for a wrong value.

    Raises:
        UsageError: numba refuses a value; the message has the variables that are set.
    """
    features = filter(None, os.environ.get("NUMBA_CPU_FEATURES", "").split(","))
    try:
        if not all(one.startswith(("+", "-")) for one in features):  # LLVM ends the process
            raise ValueError("NUMBA_CPU_FEATURES is not of the form +avx2,-fma")
        yield
    except ValueError as error:
        given = [f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith("NUMBA_")]
        if not given:
            raise
        raise UsageError(
            f"numba refuses an environment variable ({' '.join(str(error).split())})",
            f"unset or correct {', '.join(given)}",
            code="usage",
        ) from error
