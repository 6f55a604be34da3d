"""The home folder where no shell puts it in place of `~`."""

import os
import re

# `~/x` behind `--option=` or `NAME=`.
_IN_HOME = re.compile(r"((?:--[\w-]+=)?(?:[\w.-]+=)?)(~[\w.-]*[/\\].*)", re.DOTALL)


def expand_home(word: str) -> str:
    """A word of a command line with the home folder in place of `~`, also behind `--option=` and `NAME=`."""
    match = _IN_HOME.fullmatch(word)
    return match[1] + os.path.expanduser(match[2]) if match else word
