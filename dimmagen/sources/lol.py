"""LOL and its relatives: the light halves of training pairs. No dark image is opened, none of an evaluation
split."""

import re

from dimmagen.images.pair_names import DARK_NAMES, EVALUATION_NAMES, is_evaluation, is_sid_evaluation, side_of
from dimmagen.sources import rules
from dimmagen.sources.base import StillSource

_DARK_NAME = re.compile(r"(^|[_.-])(low|dark|input|short|lq)$|^(low|dark|lq)[_-]?[0-9]+$")
# Of the folder that was given, whole names alone.
_DARK_ROOTS = DARK_NAMES | {"low_light", "low-light", "traina", "testa"}
_EVALUATION_ROOTS = EVALUATION_NAMES | {"eval15", "testb"}


class Lol(StillSource):
    """A LOL root (`our485/high` ...), another data set of low-light pairs, or any folder of their lights."""

    name = "lol"
    title = "LOL training lights"
    terms = "LOL data set: free for research"

    def judge_name(self, name: str) -> rules.Verdict:
        root, *folders, file = name.split("/")
        root, file = root.lower(), file.lower()
        sides = [found[0] for found in map(side_of, folders) if found]
        if sides[-1:] == ["dark"] or (not sides and root in _DARK_ROOTS):
            return rules.rejected("lol-dark", "lies in a folder of dark pictures")
        if any(map(is_evaluation, folders)) or root in _EVALUATION_ROOTS:
            return rules.rejected("lol-evaluation", "belongs to LOL's evaluation split")
        if is_sid_evaluation(file.rsplit(".", 1)[0]):
            return rules.rejected("lol-evaluation", "is a test or validation scene of SID by its first digit")
        if _DARK_NAME.search(file.rsplit(".", 1)[0]):
            return rules.rejected("lol-dark", "is named as a dark picture")
        return rules.ACCEPTED

    def rule(self, facts: rules.Facts) -> rules.Verdict:
        return rules.lol(facts)
