"""Keeps processes from finishing files while a test wants to meet them at work: see tests/killing.py, `Held`.

Python imports a module of this name in each process that it starts, also in those of Ray, where its folder is
on PYTHONPATH.
"""

import json
import os
import time
from fnmatch import fnmatch


def _is_held(target: str) -> bool:
    """Whether its folder has as many files like it as there may be."""
    try:
        with open(os.environ["DIMMAGEN_TEST_HELD"], encoding="utf-8") as file:
            pattern, most = json.load(file)
    except FileNotFoundError:
        return False
    if not fnmatch(target, pattern):
        return False
    folder = os.path.dirname(target)
    paths = (os.path.join(folder, name) for name in os.listdir(folder) if not name.startswith("."))
    return sum(fnmatch(path, pattern) for path in paths) >= most


def _replace(source, target, **places):
    while _is_held(os.fspath(target)):
        time.sleep(0.01)
    _rename(source, target, **places)


_rename, os.replace = os.replace, _replace
