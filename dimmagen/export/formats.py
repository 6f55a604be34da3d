"""Stores and listings under one name, for layouts in other packages."""

from dimmagen.export.listings import FILE_LIST, META_INFO, NO_LISTING, PAIR_LIST, Listing, PairList, Place
from dimmagen.export.stores import JPEG, LMDB, PNG, Store

__all__ = [
    "FILE_LIST", "JPEG", "LMDB", "META_INFO", "NO_LISTING", "PAIR_LIST", "PNG",
    "Listing", "PairList", "Place", "Store",
]  # fmt: skip
