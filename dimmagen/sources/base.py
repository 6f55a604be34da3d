"""The small protocol that every source of photos fulfils."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dimmagen.images import codec
from dimmagen.sources.rules import ACCEPTED, Facts, Verdict, rejected


@dataclass(frozen=True, slots=True)
class Examined:
    """What became of one candidate: a picture, or one frame of a clip.

    Attributes:
        frame: empty for a picture, `first` or `last` for a frame.
        verdict: of the source's rule, or of what could not be decoded.
        facts: of the candidate's file; None when not even its size could be read.
        white_border: measured share (see :func:`dimmagen.sources.rules.white_border`), None where it was not.
        pixels: uint8 (H, W, 3) light picture; None when rejected.
        transform, extension: of the light picture; empty when rejected.
    """

    frame: str
    verdict: Verdict
    facts: codec.ImageFacts | None = None
    white_border: float | None = None
    pixels: np.ndarray | None = None
    transform: str = ""
    extension: str = ""


class Source(Protocol):
    """Where photos come from, and which of them are taken.

    Attributes:
        name: first part of the keys of its lights.
        title: for tables and the card.
        terms: licence or terms of use, one sentence for the card.
        extensions: what the names of its candidates end in, lower case; other files are no candidates.
        max_bytes: a larger file is rejected unread.
        frames: the candidates in one file: `("",)` for an image, `("first", "last")` for a clip.
        default_path: where its images are stored if no path is given; empty: a path must be given.
    """

    name: str
    title: str
    terms: str
    extensions: tuple[str, ...]
    max_bytes: int
    frames: tuple[str, ...]
    default_path: str

    def judge_name(self, name: str) -> Verdict:
        """The verdict that the name alone decides, with the name of the source's folder before it.

        The file of a rejected name is never opened.
        """
        ...

    def examine(self, data: bytes) -> list[Examined]:
        """Judge what is in one file, one result per frame. Never raises for broken or hostile bytes."""
        ...

    def light(self, data: bytes, frame: str) -> np.ndarray:
        """The light picture of an accepted file, uint8 (H, W, 3): the pixels that :meth:`examine` gave."""
        ...


class StillSource:
    """A source of picture files; a subclass names itself and its rule."""

    name: str
    title: str
    terms: str
    extensions: tuple[str, ...] = codec.IMAGE_EXTENSIONS
    max_bytes = codec.MAX_BYTES
    frames: tuple[str, ...] = ("",)
    default_path = ""

    def judge_name(self, name: str) -> Verdict:
        return ACCEPTED

    def rule(self, facts: Facts) -> Verdict:
        raise NotImplementedError

    def white_border(self, pixels: np.ndarray) -> float | None:
        """Measured where the rule asks for it."""
        return None

    def reduce(self, pixels: np.ndarray) -> tuple[np.ndarray, str]:
        """The light picture of a decoded photo, and the name of the transform (empty: left as it is)."""
        return pixels, ""

    def examine(self, data: bytes) -> list[Examined]:
        try:
            facts = codec.read_facts(data)
            # The size is in the header: most of what is rejected need not be decoded.
            verdict = self.rule(Facts(facts.width, facts.height))
            if not verdict.accepted:
                return [Examined("", verdict, facts)]
            pixels, facts = codec.decode_rgb8(data)
        except codec.ImageError as error:
            return [Examined("", rejected(error.rule, error.reason))]
        white = self.white_border(pixels)
        verdict = self.rule(Facts(facts.width, facts.height, white))
        if not verdict.accepted:
            return [Examined("", verdict, facts, white)]
        pixels, step = self.reduce(pixels)
        transform, extension = _after(facts, step)
        return [Examined("", verdict, facts, white, pixels, transform, extension)]

    def light(self, data: bytes, frame: str) -> np.ndarray:
        return self.reduce(codec.decode_rgb8(data)[0])[0]


def _after(facts: codec.ImageFacts, step: str) -> tuple[str, str]:
    """Transform and extension of the light picture when a step follows the decoding."""
    if not step:
        return facts.transform, facts.extension
    return (step if facts.transform == "verbatim" else f"{facts.transform}+{step}"), "png"
