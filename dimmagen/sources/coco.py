"""COCO 2017 unlabeled: everyday photos, of which those of at least 500x500 pixels are accepted."""

from dimmagen.sources import rules
from dimmagen.sources.base import StillSource


class Coco(StillSource):
    """Keeps what it accepts as it is."""

    name = "coco"
    title = "COCO 2017 unlabeled"
    terms = "Flickr photos under the Creative Commons licences named in COCO's annotations"

    def rule(self, facts: rules.Facts) -> rules.Verdict:
        return rules.coco(facts)
