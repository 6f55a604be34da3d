"""LOL and its relatives: the light halves of training pairs. No dark image is opened, none of an evaluation
split."""

import re

from dimmagen.images.pair_names import DARK_NAMES
from dimmagen.sources import rules
from dimmagen.sources.base import StillSource

_DARK_FOLDERS = DARK_NAMES | {"low_light", "low-light"}
_EVALUATION_FOLDERS = {"eval15", "eval", "test", "val", "validation"}
_DARK_NAME = re.compile(r"(^|[_.-])(low|dark|input|short|lq)$|^(low|dark|lq)[_-]?[0-9]+$")


class Lol(StillSource):
    """A LOL root (`our485/high` ...), another data set of low-light pairs, or any folder of their lights."""

    name = "lol"
    title = "LOL training lights"
    terms = "LOL data set: free for research"

    def judge_name(self, name: str) -> rules.Verdict:
        *folders, file = name.lower().split("/")
        if _DARK_FOLDERS & {*folders}:
            return rules.rejected("lol-dark", "lies in a folder of dark pictures")
        if _EVALUATION_FOLDERS & {*folders}:
            return rules.rejected("lol-evaluation", "belongs to LOL's evaluation split")
        if _DARK_NAME.search(file.rsplit(".", 1)[0]):
            return rules.rejected("lol-dark", "is named as a dark picture")
        return rules.ACCEPTED

    def rule(self, facts: rules.Facts) -> rules.Verdict:
        return rules.lol(facts)
