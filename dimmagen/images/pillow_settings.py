"""Pillow's settings for a process, which decide what it accepts: those of the user are not for our images."""

import os
from contextlib import ContextDecorator
from threading import Lock
from types import ModuleType
from typing import Any

from PIL import GifImagePlugin, Image, ImageFile, PngImagePlugin, TiffImagePlugin

# As Pillow has them by default, but for colour profiles of PNG files: those of scanners have some megabytes.
# A training script often sets the first one, for photos that were cut.
_DEFAULTS: tuple[tuple[ModuleType, str, Any], ...] = (
    (ImageFile, "LOAD_TRUNCATED_IMAGES", False),
    (Image, "MAX_IMAGE_PIXELS", 2**30 // 4 // 3),
    (PngImagePlugin, "MAX_TEXT_CHUNK", 2**24),
    (PngImagePlugin, "MAX_TEXT_MEMORY", 2**26),
    (GifImagePlugin, "LOADING_STRATEGY", GifImagePlugin.LoadingStrategy.RGB_AFTER_FIRST),
    (TiffImagePlugin, "READ_LIBTIFF", False),
)


class _DefaultSettings(ContextDecorator):
    """The settings of one process for all threads: the first one sets them, the last one gives them back."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._threads = 0
        self._changed: list[tuple[ModuleType, str, Any, Any]] = []

    def __enter__(self) -> None:
        with self._lock:
            if self._threads == 0:
                found = [(*one, getattr(*one[:2])) for one in _DEFAULTS]
                self._changed = [one for one in found if one[2] != one[3]]
                for module, name, default, _ in self._changed:
                    setattr(module, name, default)
            self._threads += 1

    def __exit__(self, *_) -> None:
        with self._lock:
            self._threads -= 1
            if self._threads == 0:
                self._give_back()

    def _give_back(self) -> None:
        for module, name, default, users in self._changed:
            if getattr(module, name) == default:  # the user may have set it meanwhile
                setattr(module, name, users)
        self._changed = []

    def after_fork(self) -> None:
        """In a forked process, which has none of the threads that were inside the block."""
        self._lock, self._threads = Lock(), 0
        self._give_back()


_SHARED = _DefaultSettings()
if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_SHARED.after_fork)


def default_settings() -> _DefaultSettings:
    """Let Pillow have its defaults while a thread is inside the block, whatever the process has set.

    Otherwise the verdict on a photo, and with it the bytes of a data set, would depend on the process.
    """
    return _SHARED
