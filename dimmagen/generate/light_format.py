"""The file type of the light images in a data set: one for all, or each its own.

Light images keep their bytes where nothing speaks against it. Readers that learn the fields of a sample from
the first ones (the WebDataset builder of Hugging Face's `datasets`, given the tars alone, and Ray Data's
`read_webdataset`) need one type in the whole set, so a mixed set is stored as PNG unless the user asks for
something else: the pixels stay the same, and only bytes are added.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from dimmagen.core import keyed_random
from dimmagen.images import codec
from dimmagen.sources.light_image import LightImage, LightImageRef, load_light_image

LightFormat = Literal["same", "png", "jpg"]
AskedLightFormat = Literal["auto", "same", "png", "jpg"]
LIGHT_FORMATS: tuple[AskedLightFormat, ...] = ("auto", "same", "png", "jpg")
_MEASURED = 8  # light images that are converted to estimate the cost


def choose_light_format(asked: AskedLightFormat, extensions: Collection[str]) -> LightFormat:
    """What is done with light images of some file types.

    Args:
        asked: `auto` is `png` for several file types, and `same` for one.
        extensions: file types of all light images.

    Returns:
        `same` if no file has to be converted, so that equal bytes have equal settings.
    """
    if asked == "auto":
        asked = "png" if len({*extensions}) > 1 else "same"
    return "same" if {*extensions} <= {asked} else asked


def convert_light(light: LightImage, light_format: LightFormat) -> LightImage:
    """A light image as a data set stores it.

    Args:
        light: as its source or MixHQ has it.
        light_format: `png` keeps the pixels, `jpg` does not: the result has those of the JPEG file, from
            which the dark image is then made.

    Returns:
        The same object if its file type is the wanted one.
    """
    if light_format == "same" or light.ref.extension == light_format:
        return light
    if light_format == "png":
        ref = replace(light.ref, extension="png", transform=_with_step(light.ref.transform, "lossless"))
        return LightImage(ref, codec.encode_png(light.pixels), light.pixels)
    data = codec.encode_jpeg(light.pixels)
    ref = replace(light.ref, extension="jpg", transform=_with_step(light.ref.transform, "jpeg"))
    return LightImage(ref, data, codec.decode_rgb8(data)[0])


def without_conversion(transform: str) -> str:
    """The transform of a light image before it was stored as JPEG; others are returned as they are."""
    return transform.removesuffix("+jpeg") if transform != "jpeg" else "verbatim"


def _with_step(transform: str, step: str) -> str:
    return step if transform == "verbatim" else f"{transform}+{step}"


@dataclass(frozen=True, slots=True)
class LightConversion:
    """What a light format does to the light images of a run.

    Attributes:
        light_format: from :func:`choose_light_format`.
        counts: number of light images by file type, before.
        converted: number of them that are stored in another form.
        bytes_before, bytes_after: of all those, estimated from `measured` of them; 0 without.
        measured: number that was converted for the estimate.
    """

    light_format: LightFormat
    counts: Mapping[str, int]
    converted: int
    bytes_before: int = 0
    bytes_after: int = 0
    measured: int = 0

    @property
    def is_mixed(self) -> bool:
        """Whether the data set has light images of several file types."""
        return self.light_format == "same" and len(self.counts) > 1

    def scaled_to(self, count: int) -> "LightConversion":
        """The same for another number of such light images."""
        factor = count / sum(self.counts.values())
        return replace(
            self,
            counts={name: round(number * factor) for name, number in self.counts.items()},
            converted=round(self.converted * factor),
            bytes_before=round(self.bytes_before * factor),
            bytes_after=round(self.bytes_after * factor),
        )


def measure_conversion(
    lights: Iterable[LightImageRef],
    counts: Mapping[str, int],
    light_format: LightFormat,
    load: Callable[[LightImageRef], LightImage] = load_light_image,
) -> LightConversion:
    """Convert some light images and estimate what it costs to convert all of them.

    Args:
        lights: all light images; one that occurs several times counts once, as it occurs last.
        counts: their number by file type.
        light_format: from :func:`choose_light_format`.
        load: reads one of them.

    Raises:
        DimmagenError: a light image can no longer be read.
    """
    converted = sum(count for extension, count in counts.items() if extension != light_format)
    # A set that stores PNG may grow by photos that all are PNG already.
    if light_format == "same" or not converted:
        return LightConversion(light_format, counts, 0)
    other = (ref for ref in lights if ref.extension != light_format)
    drawn = _drawn(other)
    before = after = 0
    for ref in drawn:
        light = load(ref)
        before += len(light.data)
        after += len(convert_light(light, light_format).data)
    share = converted / len(drawn)
    return LightConversion(
        light_format, counts, converted, round(before * share), round(after * share), len(drawn)
    )


def _drawn(lights: Iterable[LightImageRef]) -> list[LightImageRef]:
    """The light images that come first in a keyed permutation, of which a few are in memory at a time."""
    drawn: dict[bytes, LightImageRef] = {}
    for ref in lights:
        rank = keyed_random.rank(0, ref.key, "light format")
        if rank in drawn or len(drawn) < _MEASURED or rank < max(drawn):
            drawn[rank] = ref
        if len(drawn) > _MEASURED:
            del drawn[max(drawn)]
    return [drawn[rank] for rank in sorted(drawn)]
