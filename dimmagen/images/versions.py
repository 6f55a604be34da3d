"""Versions of the libraries that determine the pixels of decoded and converted images."""

from collections.abc import Iterable

from PIL import features

from dimmagen.core.environment import package_version
from dimmagen.images import heif

_STEP_LIBRARIES = {"icc": "littlecms", "avif": "libavif", "heif": "libheif"}


def library_versions() -> dict[str, str]:
    """Versions of the libraries that determine the pixels of decoded and converted images, or `absent`."""
    return {name: package_version(name) for name in ("av", "numba", "numpy", "pillow")}


def step_versions(steps: Iterable[str]) -> dict[str, str]:
    """Versions of the libraries that some steps of a transform use besides those of every image.

    Args:
        steps: names, such as `icc` of a transform `exif+icc`; any others are ignored.

    Returns:
        By name of the library: `{"littlecms": "2.19"}`.
    """
    return {
        _STEP_LIBRARIES[step]: step_library_version(_STEP_LIBRARIES[step])
        for step in sorted(steps)
        if step in _STEP_LIBRARIES
    }


def is_step_library(name: str) -> bool:
    """Whether a name is one of those in the result of :func:`step_versions`."""
    return name in _STEP_LIBRARIES.values()


def step_library_version(name: str) -> str:
    """The version here of a library of :func:`step_versions`; `absent` if it is not installed."""
    if name == "libheif":
        return heif.library_version()
    return features.version({"littlecms": "littlecms2", "libavif": "avif"}[name]) or "absent"
