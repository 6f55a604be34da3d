"""matplotlib, of which figures are used and no backend: they are saved to files."""

import os
import sys
from contextlib import suppress

# It cannot be imported where MPLBACKEND names a backend that it does not know, such as a former one.
_backend = None if "matplotlib" in sys.modules else os.environ.pop("MPLBACKEND", None)
try:
    import matplotlib as mpl
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
finally:
    if _backend is not None:
        os.environ["MPLBACKEND"] = _backend
if _backend:  # for a notebook's own plots
    with suppress(ValueError):
        mpl.rcParams["backend"] = _backend

__all__ = ["Axes", "Figure", "mpl"]
