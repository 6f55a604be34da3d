"""LOL: the light images of its training pairs. No dark image and no image of the test split is opened."""

from dimmagen.sources import rules
from dimmagen.sources.base import StillSource

_DARK_FOLDERS = {"low"}
_EVALUATION_FOLDERS = {"eval15", "test"}  # LOL v1 and v2


class Lol(StillSource):
    """The root of LOL (`our485/high` ...), or any folder of its light images."""

    name = "lol"
    title = "LOL training lights"
    terms = "LOL data set: free for research"

    def judge_name(self, name: str) -> rules.Verdict:
        folders = {part.lower() for part in name.split("/")[:-1]}
        if folders & _DARK_FOLDERS:
            return rules.rejected("lol-dark", "lies in a folder of dark pictures")
        if folders & _EVALUATION_FOLDERS:
            return rules.rejected("lol-evaluation", "belongs to LOL's evaluation split")
        return rules.ACCEPTED

    def rule(self, facts: rules.Facts) -> rules.Verdict:
        return rules.lol(facts)
