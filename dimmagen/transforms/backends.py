"""Errors of libraries that a transform is for and that are not installed."""

import sys

from dimmagen.core.errors import UsageError


def missing_backend(package: str, extra: str) -> UsageError:
    """The error of a backend that is not installed."""
    return UsageError(
        f"{package} is not installed{_why(package)}",
        f"pip install 'dimmagen[{extra}]'",
        code="missing-package",
        package=package,
    )


def _why(package: str) -> str:
    """The reason where the package is there but cannot be imported."""
    error = sys.exc_info()[1]
    missing = isinstance(error, ModuleNotFoundError) and error.name == package
    return "" if missing or error is None else f", or fails ({error})"
