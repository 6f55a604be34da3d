"""Labels of an export in the formats of detectors: written next to the dark images, checked as readers do."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from dimmagen.core.errors import UsageError
from dimmagen.dataset.reader import PairSet
from dimmagen.export.labels.base import LabelFormat, LeftOut
from dimmagen.export.labels.coco import CocoFormat
from dimmagen.export.labels.masks import MaskFormat
from dimmagen.export.labels.voc import VocFormat
from dimmagen.export.labels.yolo import YoloFormat
from dimmagen.export.listings import Place
from dimmagen.export.sizes import Size
from dimmagen.export.stores import SplitWork


class NoLabels:
    """For layouts of images alone."""

    needs: tuple[str, ...] = ()
    note = ""

    def write(self, work: SplitWork, split: str, extension: str) -> LeftOut:
        return {}

    def faults(self, root: Path, split: str, place: Place, sizes: Mapping[str, Size]) -> Iterator[str]:
        return iter(())


def refuse_other_labels(pairs: PairSet, layout: str, labels: LabelFormat) -> None:
    """Refuse a data set that has not the labels that a layout needs.

    Raises:
        UsageError: it has none, or others.
    """
    kind = (pairs.manifest.settings.get("labels") or {}).get("format", "")
    if labels.needs and kind not in labels.needs:
        has = f"has labels of the format {kind}" if kind else "has no labels"
        raise UsageError(
            f"{pairs.out} {has}",
            f"the layout {layout} needs a data set that was made with labels of the format "
            f"{' or '.join(labels.needs)}",
            code="unsuitable-pairs",
            path=pairs.out,
            layout=layout,
        )


NO_LABELS, COCO, YOLO, VOC, MASKS = NoLabels(), CocoFormat(), YoloFormat(), VocFormat(), MaskFormat()
