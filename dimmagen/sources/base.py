"""The protocol of a source of light images, and a base class for sources of image files."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from dimmagen.core.registry import missing
from dimmagen.images import codec
from dimmagen.sources.rules import ACCEPTED, Facts, Verdict, rejected


@dataclass(frozen=True, slots=True)
class Examined:
    """The result for one candidate: an image, or one frame of a clip.

    Attributes:
        frame: empty for an image, `first` or `last` for a frame.
        verdict: of the source's rule, or the rejection of a file that cannot be decoded.
        facts: of the candidate's file; None if not even its size can be read.
        white_border: see :func:`dimmagen.sources.rules.white_border`; None if it was not measured.
        pixels: uint8 (H, W, 3) light image; None if rejected.
        transform, extension: of the light image; empty if rejected.
        whole: uint8 (H', W', 3) upright image of which `pixels` are a reduced or cropped part, by which its
            scene is recognised; None if `pixels` are all of it.
    """

    frame: str
    verdict: Verdict
    facts: codec.ImageFacts | None = None
    white_border: float | None = None
    pixels: np.ndarray | None = None
    transform: str = ""
    extension: str = ""
    whole: np.ndarray | None = None


class Source(Protocol):
    """Where light images come from, and which of them are accepted.

    Attributes:
        name: first part of the keys of its light images.
        title: for tables and the card.
        terms: licence or terms of use, one sentence for the card.
        extensions: endings of the names of its candidates, in lower case; other files are not candidates.
        max_bytes: larger files are rejected without being read.
        frames: the candidates in one file: `("",)` for an image, `("first", "last")` for a clip.
        default_path: where its images are stored if no path is given; if empty, a path is required.
    """

    name: str
    title: str
    terms: str
    extensions: tuple[str, ...]
    max_bytes: int
    frames: tuple[str, ...]
    default_path: str

    def judge_name(self, name: str) -> Verdict:
        """The verdict by the name alone; the file of a rejected name is never opened.

        Args:
            name: of the candidate, after the name of the source's folder and a slash.
        """
        ...

    def examine(self, data: bytes) -> list[Examined]:
        """Decode one file and apply the source's rule.

        Args:
            data: bytes of the file; damaged or hostile ones are rejected and never raise an error.

        Returns:
            One result per frame.
        """
        ...

    def light(self, data: bytes, frame: str) -> np.ndarray:
        """The light image of an accepted file, uint8 (H, W, 3): the same pixels as from :meth:`examine`."""
        ...


class StillSource:
    """A source of image files; a subclass defines `name`, `title`, `terms` and :meth:`rule`."""

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
        """The verdict on an image; called before decoding as well, with `white_border` None."""
        raise NotImplementedError

    def white_border(self, pixels: np.ndarray) -> float | None:
        """The share of near-white border of uint8 (H, W, 3) pixels; None if the rule does not need it."""
        return None

    def reduce(self, pixels: np.ndarray) -> tuple[np.ndarray, str]:
        """Turn a decoded image into the light image; by default it is unchanged.

        Args:
            pixels: uint8 (H, W, 3).

        Returns:
            uint8 (H, W, 3), and the name of the transform (empty if unchanged).
        """
        return pixels, ""

    def examine(self, data: bytes) -> list[Examined]:
        try:
            facts = codec.read_facts(data)
            # The size is in the header: most rejected images need not be decoded.
            verdict = self.rule(Facts(facts.width, facts.height))
            if not verdict.accepted:
                return [Examined("", verdict, facts)]
            pixels, facts = codec.decode_rgb8(data, color_managed=True)
        except codec.ImageError as error:
            return [Examined("", rejected(error.rule, error.reason))]
        white = self.white_border(pixels)
        verdict = self.rule(Facts(facts.width, facts.height, white))
        if not verdict.accepted:
            return [Examined("", verdict, facts, white)]
        light, step = self.reduce(pixels)
        transform, extension = _with_step(facts, step)
        whole = pixels if step else None
        return [Examined("", verdict, facts, white, light, transform, extension, whole)]

    def light(self, data: bytes, frame: str) -> np.ndarray:
        return self.reduce(codec.decode_rgb8(data, color_managed=True, is_whole=True)[0])[0]


def source_faults(name: str, source: Any) -> Iterator[str]:
    """Why an object cannot be the source of that name, for its registry and :func:`.check_source`."""
    texts = ("name", "title", "terms", "default_path")
    attributes = (*texts, "extensions", "max_bytes", "frames")
    lacking = list(missing(source, attributes, ("judge_name", "examine", "light")))
    yield from lacking
    if lacking:
        return
    for text in texts:
        value = getattr(source, text)
        if not isinstance(value, str) or not (value.strip() or text == "default_path"):
            yield f"its {text} is {value!r}, not a text"
    if source.name != name:
        yield f"its name is {source.name!r}, but it is registered as {name!r}"
    if source.frames not in (("",), ("first", "last")):
        yield f"frames are {source.frames}, not ('',) or ('first', 'last')"
    endings = source.extensions
    if not isinstance(endings, tuple) or not endings:
        yield f"its extensions are {endings!r}, not a tuple such as ('.jpg', '.png')"
    elif wrong := [one for one in endings if not isinstance(one, str) or not one or one != one.lower()]:
        yield f"its extensions have {wrong[0]!r}, with which no name in lower case can end"
    own = (getattr(type(source), "rule", None), type(source).examine)
    if own == (StillSource.rule, StillSource.examine):
        yield f"{type(source).__name__} has no rule()"


def _with_step(facts: codec.ImageFacts, step: str) -> tuple[str, str]:
    """Transform and extension of the light image if a step (empty: none) follows the decoding."""
    if not step:
        return facts.transform, facts.extension
    return (step if facts.transform == "verbatim" else f"{facts.transform}+{step}"), "png"
