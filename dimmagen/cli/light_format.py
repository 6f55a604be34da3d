"""What a data set does with light images of several file formats, and what it costs, in words."""

from collections.abc import Mapping

from dimmagen.cli.humanize import size
from dimmagen.generate.light_format import LightConversion
from dimmagen.images.codec import JPEG_QUALITY


def light_format_notes(conversion: LightConversion, variants: int) -> list[str]:
    """The lines that a run prints before it begins; none if each file is kept and all are of one format.

    Args:
        conversion: from :func:`~dimmagen.generate.light_format.measure_conversion`.
        variants: dark images per light image, each with a copy of it.
    """
    photos = _listed(conversion.counts)
    if conversion.is_mixed:
        return [
            f"Note: light images keep their file formats ({photos}). Ray Data's read_webdataset and Hugging "
            "Face's WebDataset builder, if given the tars alone, cannot read such a set; use --light-format "
            "png for them."
        ]
    if not conversion.converted:
        return []
    before, after = conversion.bytes_before * variants, conversion.bytes_after * variants
    cost = f"about {size(after)} instead of {size(before)}"
    number = f"{conversion.converted:,} of {sum(conversion.counts.values()):,} light images ({photos})"
    if conversion.light_format == "png":
        readers = ", for readers that accept several formats" if len(conversion.counts) > 1 else ""
        return [
            f"Light format: {number} are stored as PNG with the same pixels, {cost}. --light-format same "
            f"keeps their files{readers}."
        ]
    return [
        f"Warning: {number} are stored as JPEG of quality {JPEG_QUALITY}, {cost}. This changes their pixels; "
        "their dark images are made from the changed ones."
    ]


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {extension}" for extension, count in sorted(counts.items()))
