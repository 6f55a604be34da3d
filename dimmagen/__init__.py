"""dimmagen: low-light training pairs for *your* camera."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dimmagen.comparison import assert_same_dataset
    from dimmagen.dimming import Dimmer

__version__ = "0.1.0"
__all__ = ["Dimmer", "__version__", "assert_same_dataset"]

_PLACES = {"Dimmer": "dimmagen.dimming", "assert_same_dataset": "dimmagen.comparison"}


def __getattr__(name: str) -> Any:
    """Public names are imported when they are used, so that `dimmagen --help` answers at once."""
    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
