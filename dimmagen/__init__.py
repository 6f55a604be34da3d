"""dimmagen: low-light training pairs for *your* camera."""

import importlib
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dimmagen.dataset.compare import assert_same_dataset
    from dimmagen.dataset.loaders import PairDataset, pair_loader
    from dimmagen.dimmers.torch_dimmer import Dimmer

__version__ = "0.1.0"
__all__ = ["Dimmer", "PairDataset", "assert_same_dataset", "pair_loader"]

# Imported when first used: `import dimmagen` stays light, without torch.
_HOMES = {
    "Dimmer": "dimmagen.dimmers.torch_dimmer",
    "PairDataset": "dimmagen.dataset.loaders",
    "assert_same_dataset": "dimmagen.dataset.compare",
    "pair_loader": "dimmagen.dataset.loaders",
}

# What the package logs is shown where the program that uses it sets up logging.
logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dimmagen' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
