"""dimmagen: low-light training pairs for *your* camera.

Example::

    import dimmagen

    dimmagen.make_dataset("lol3", ["sample"], "out")  # dark/light pairs of five photos, as WebDataset shards
    for batch in dimmagen.pair_loader("out", batch_size=4, crop=128):
        dark, light = batch["dark"], batch["light"]  # float32 (4, 3, 128, 128) in [0, 1]

The names in `__all__` are the public API, described in docs/api.md. Everything else may change between minor
versions.
"""

import importlib
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dimmagen.api import (
        build_mixhq,
        fit_profile,
        make_dataset,
        make_subset,
        remove_photos,
        verify,
        verify_mixhq,
    )
    from dimmagen.core.errors import DimmagenError, UsageError
    from dimmagen.dataset.compare import assert_same_dataset
    from dimmagen.dataset.loaders import PairBatch, PairDataset, PairSample, pair_loader
    from dimmagen.dimmers.contract import check_dimmer
    from dimmagen.dimmers.torch_dimmer import Dimmer
    from dimmagen.enhance.contract import check_network
    from dimmagen.metrics.contract import check_metric
    from dimmagen.sources.archive_contract import check_archive
    from dimmagen.sources.contract import check_source
    from dimmagen.transforms import LowLight

__version__ = "0.1.0"
__all__ = [
    "DimmagenError",
    "Dimmer",
    "LowLight",
    "PairBatch",
    "PairDataset",
    "PairSample",
    "UsageError",
    "assert_same_dataset",
    "build_mixhq",
    "check_archive",
    "check_dimmer",
    "check_metric",
    "check_network",
    "check_source",
    "fit_profile",
    "make_dataset",
    "make_subset",
    "pair_loader",
    "remove_photos",
    "verify",
    "verify_mixhq",
]

# Imported when first used: `import dimmagen` stays light, without torch.
_MODULES = {
    "dimmagen.api": (
        "build_mixhq",
        "fit_profile",
        "make_dataset",
        "make_subset",
        "remove_photos",
        "verify",
        "verify_mixhq",
    ),
    "dimmagen.core.errors": ("DimmagenError", "UsageError"),
    "dimmagen.dataset.compare": ("assert_same_dataset",),
    "dimmagen.dataset.loaders": ("PairBatch", "PairDataset", "PairSample", "pair_loader"),
    "dimmagen.dimmers.contract": ("check_dimmer",),
    "dimmagen.dimmers.torch_dimmer": ("Dimmer",),
    "dimmagen.enhance.contract": ("check_network",),
    "dimmagen.metrics.contract": ("check_metric",),
    "dimmagen.sources.archive_contract": ("check_archive",),
    "dimmagen.sources.contract": ("check_source",),
    "dimmagen.transforms": ("LowLight",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

# What the package logs is shown where the program that uses it sets up logging.
logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'dimmagen' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULE_OF])
