"""The contract of a source, as a test that its author runs: `dimmagen.check_source(source)`."""

import io
import json
import re

import numpy as np
from PIL import Image

from dimmagen.core.promises import check
from dimmagen.images import codec
from dimmagen.sources.base import Examined, Source, source_faults
from dimmagen.sources.rules import Verdict

_HOSTILE = (b"", b"\x00" * 64, b"\xff\xd8\xff\xe0 cut off", b"PK\x03\x04", b"GIF89a")


def check_source(source: Source, examples: dict[str, bytes] | None = None) -> None:
    """Check that a source keeps the promises that catalogs and data sets rely on.

    Its name can be part of a key, its terms are stated, damaged bytes are rejected with a rule and a reason
    instead of an exception, the same bytes give the same verdict, and :meth:`Source.light` gives the same
    pixels as :meth:`Source.examine`.

    Args:
        source: an instance of the registered class, such as `Flickr()`.
        examples: contents of files by name, of which at least one is accepted; default is a photo-like JPEG
            of 1024x1024 pixels.

    Raises:
        AssertionError: a promise is broken; the message says which one and how.

    Example:
        >>> from dimmagen.sources import SOURCES
        >>> check_source(SOURCES["folder"])
    """
    is_source = hasattr(source, "examine") and not isinstance(source, type)
    check(is_source, f"{source!r} is not a source: give an instance of its class")
    faults = list(source_faults(getattr(source, "name", ""), source))
    check(not faults, f"{source!r} is not a source: {'; '.join(faults)}")
    check(
        bool(re.fullmatch("[a-z0-9]+", source.name)),
        f"the name {source.name!r} has characters other than a-z and 0-9",
    )
    for data in _HOSTILE:
        for examined in source.examine(data):
            check(not examined.verdict.accepted, f"bytes that are not an image are accepted: {data[:8]!r}")
            _check_verdict(examined.verdict)
    accepted = 0
    for name, data in (examples or {f"folder/photo{source.extensions[0]}": _photo()}).items():
        verdict = source.judge_name(name)
        _check_verdict(verdict)
        if not verdict.accepted:
            continue
        examined_frames = source.examine(data)
        frames = tuple(one.frame for one in examined_frames)
        check(frames == source.frames, f"{name} gave the frames {frames}, not {source.frames}")
        for one, again in zip(examined_frames, source.examine(data), strict=True):
            check(one.verdict == again.verdict, f"{name} gets another verdict the second time")
            accepted += _check_accepted(source, name, data, one)
    check(accepted > 0, "none of the examples is accepted: give examples that are")


def _check_accepted(source: Source, name: str, data: bytes, one: Examined) -> bool:
    _check_verdict(one.verdict)
    if not one.verdict.accepted:
        return False
    pixels = one.pixels
    check(pixels is not None, f"{name} is accepted without pixels")
    assert pixels is not None
    check(
        pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3,
        f"{name}: the pixels are {pixels.dtype} {pixels.shape}, not uint8 (H, W, 3)",
    )
    check(
        np.array_equal(source.light(data, one.frame), pixels),
        f"{name}: light() gives other pixels than examine()",
    )
    check(bool(one.transform), f"{name} has no transform")
    if kept := codec.kept_file(data, one.transform):
        check(
            np.array_equal(codec.decode_rgb8(kept)[0], pixels),
            f"{name}: the transform is {one.transform}, but the pixels were changed",
        )
    else:
        check(one.extension == "png", f"{name}: a changed image is stored as png, not {one.extension}")
    return True


def _check_verdict(verdict: Verdict) -> None:
    if verdict.accepted:
        check(not verdict.rule and not verdict.reason, "an accepted candidate has a rule or a reason")
    else:
        check(
            bool(re.fullmatch("[a-z0-9-]+", verdict.rule)),
            f"the rule {verdict.rule!r} has characters other than a-z, 0-9 and -",
        )
        check(bool(verdict.reason.strip()), f"the rule {verdict.rule} gives no reason")
    check(json.dumps([verdict.rule, verdict.reason]).isascii(), "rule or reason is not ASCII")


def _photo() -> bytes:
    """A JPEG of a smooth gradient with some texture, 1024x1024 pixels, that most rules accept."""
    generator = np.random.Generator(np.random.PCG64(1))
    across = np.linspace(30, 200, 1024)[None, :, None] + np.linspace(0, 40, 1024)[:, None, None]
    pixels = np.clip(across + generator.normal(0, 6, (1024, 1024, 3)), 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=92)
    return stream.getvalue()
