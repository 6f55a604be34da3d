"""Inter4K: the first and the last frame of each clip, reduced to 0.3 of their size (paper, MixHQ)."""

from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from dimmagen.core.optional_packages import missing_package
from dimmagen.images import codec
from dimmagen.sources import rules
from dimmagen.sources.base import Examined

if TYPE_CHECKING:
    from dimmagen.sources import video

SCALE = 0.3


def _decoder() -> ModuleType:
    """:mod:`dimmagen.sources.video`, which needs PyAV.

    Raises:
        UsageError: PyAV is not installed, too old or broken. This is not a verdict on a clip.
    """
    try:
        from dimmagen.sources import video
    except Exception as error:
        instead = "leave out the source inter4k"
        raise missing_package("clips need", "av", "video", error, instead) from error
    return video


class Inter4k:
    """Gives two candidates for each clip, its first and its last frame."""

    name = "inter4k"
    title = "Inter4K"
    terms = "Inter4K data set: CC BY-NC 4.0"
    extensions: tuple[str, ...] = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi")
    max_bytes = 4 * 2**30
    frames: tuple[str, ...] = ("first", "last")
    default_path = ""

    def require_packages(self) -> None:
        """Refuse clips where PyAV is missing, before hours of other sources are scanned.

        Raises:
            UsageError: it is missing.
        """
        _decoder()

    def judge_name(self, name: str) -> rules.Verdict:
        return rules.ACCEPTED

    def examine(self, data: bytes) -> list[Examined]:
        video = _decoder()
        try:
            first, last = video.first_frame(data), video.last_frame(data)
        except codec.ImageError as error:
            return [Examined(frame, rules.rejected(error.rule, error.reason)) for frame in self.frames]
        examined = [_examine_frame("first", first)]
        if last.time == first.time:
            verdict = rules.rejected("one-frame", "the clip's last frame is its first")
            return [*examined, Examined("last", verdict, _facts(last))]
        return [*examined, _examine_frame("last", last)]

    def light(self, data: bytes, frame: str) -> np.ndarray:
        video = _decoder()
        decode = video.first_frame if frame == "first" else video.last_frame
        return _reduce(decode(data).pixels)


def _facts(frame: "video.DecodedFrame") -> codec.ImageFacts:
    height, width, _ = frame.pixels.shape
    return codec.ImageFacts(width, height, "video", frame.pixel_format, "frame-x0.3", "png", frame.shown)


def _examine_frame(name: str, frame: "video.DecodedFrame") -> Examined:
    facts = _facts(frame)
    pixels = _reduce(frame.pixels)
    verdict = rules.inter4k(rules.Facts(pixels.shape[1], pixels.shape[0]))
    if not verdict.accepted:
        return Examined(name, verdict, facts)
    return Examined(name, verdict, facts, None, pixels, facts.transform, facts.extension)


def _reduce(pixels: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) -> uint8 (0.3 H, 0.3 W, 3)."""
    height, width, _ = pixels.shape
    return codec.resize(pixels, max(1, round(width * SCALE)), max(1, round(height * SCALE)))
