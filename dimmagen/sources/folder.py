"""Any folder or archive of images, of which those that are large enough to train on are accepted."""

from dimmagen.sources import rules
from dimmagen.sources.base import StillSource


class Folder(StillSource):
    """Keeps what it accepts as it is."""

    name = "folder"
    title = "your own photos"
    terms = "as their owner says"

    def rule(self, facts: rules.Facts) -> rules.Verdict:
        return rules.folder(facts)
