"""Measurements; each module is run by `python -m benchmarks.NAME`.

A package, so that one of this name that a library installs (pyarrow 17) does not hide it.
"""
