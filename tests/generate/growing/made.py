"""Settings that the tests of data sets that grow share."""

from dimmagen.dataset.manifest import Manifest
from dimmagen.generate.pair import PairSettings
from dimmagen.generate.run import Execution

SERIAL, SETTINGS = Execution("serial"), PairSettings(variants=2, samples_per_shard=3)
NEW = {"lights": 2, "lights_sha256": "9" * 64}


def settings_of(base: Manifest, **changes) -> dict:
    """Those of a data set of new photos alone."""
    kept = {name: value for name, value in base.settings.items() if name not in ("generations", "removed")}
    return {**kept, **NEW, **changes}
