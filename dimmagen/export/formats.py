"""Stores, listings and formats of labels under one name, for layouts in other packages."""

from dimmagen.export.labels import COCO, MASKS, NO_LABELS, VOC, YOLO, LabelFormat
from dimmagen.export.labels.masks import MaskFormat
from dimmagen.export.listings import FILE_LIST, META_INFO, NO_LISTING, PAIR_LIST, Listing, PairList, Place
from dimmagen.export.rows import NamedPair
from dimmagen.export.stores import JPEG, LMDB, PNG, Entries, SplitWork, Store, exported_pixels

__all__ = [
    "COCO", "FILE_LIST", "JPEG", "LMDB", "MASKS", "META_INFO", "NO_LABELS", "NO_LISTING", "PAIR_LIST", "PNG",
    "VOC", "YOLO", "Entries", "LabelFormat", "Listing", "MaskFormat", "NamedPair", "PairList", "Place",
    "SplitWork", "Store", "exported_pixels",
]  # fmt: skip
