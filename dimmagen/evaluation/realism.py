"""The realism suite: compares dimmers on held-out pairs, without training an enhancement network.

Each light image is dimmed with gamma 1, at the usual exposure of the profile and at a drawn one, and with
gamma matched to the mean of the real dark image, four draws each, and compared with the real dark image
(`dimmagen.metrics.realism`). docs/realism.md explains the measures. All results are a function of the
dimmers, the pairs and the seed.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dimmagen.core.errors import UsageError
from dimmagen.core.outputs import refuse_alike
from dimmagen.core.storage import atomic_write, remove_abandoned
from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.dimmers.profile import Profile
from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.evaluation.dimming_methods import compared_methods
from dimmagen.evaluation.pair_comparison import PairComparison, measure_each, measured_part
from dimmagen.evaluation.realism_results import MODES, Mode, PairResult
from dimmagen.images.codec import encode_png


def evaluate_dimmers(
    dimmers: Mapping[str, ImageDimmer],
    pairs: Sequence[RealPair],
    *,
    draws: int = 4,
    seed: int = 0,
    workers: int = 1,
    modes: tuple[Mode, ...] = MODES,
    on_pair: Callable[[], object] = lambda: None,
) -> list[PairResult]:
    """Measure dimmers and floors on held-out pairs.

    Args:
        dimmers: label -> dimmer, in the order of the tables.
        pairs: at least two that the dimmers were not fitted on; images with a side of more than 1024 pixels
            are measured on their middle.
        draws: number of dark images per pair, dimmer and mode.
        seed: of the draws.
        workers: number of processes; the numbers do not depend on it.
        modes: in which the light images are dimmed.
        on_pair: called when a pair is done.

    Returns:
        One result per pair, in the order of `pairs`.

    Raises:
        UsageError: fewer than two pairs.
    """
    if len(pairs) < 2:
        raise UsageError(
            f"an evaluation needs at least two held-out pairs, not {len(pairs)}",
            "give more pairs",
            code="too-small",
            pairs=len(pairs),
        )
    cropped = [measured_part(pair) for pair in pairs]
    job = PairComparison(compared_methods(dimmers, cropped), draws, seed, modes)
    results = []
    for result in measure_each(job, cropped, min(workers, len(cropped))):
        results.append(result)
        on_pair()
    return results


def pairs_fitted_on(profile: Profile, pairs: Sequence[RealPair]) -> list[str]:
    """Names of the pairs that a profile was fitted on, according to the hashes in its provenance.

    Another dark image of a light image that it was fitted on shows a scene that it knows, and counts as well.
    """
    entries = profile.provenance.get("pairs", [])
    used = {entry[name] for entry in entries for name in ("dark_sha256", "light_sha256") if name in entry}
    return [pair.name for pair in pairs if {pair.dark_sha256, pair.light_sha256} & used]


def dump(dimmers: Mapping[str, ImageDimmer], pairs: Sequence[RealPair], folder: Path, seed: int = 0) -> None:
    """Write one gamma-1 image of every method and pair, in full size, as `folder/<label>/<name>.png`."""
    whole = [(pair.name, pair.dark, pair.light) for pair in pairs]
    for method in compared_methods(dimmers, whole):
        target = folder / folder_name(method.label)
        target.mkdir(parents=True, exist_ok=True)
        remove_abandoned(target, [f"{name}.png" for name, _, _ in whole])
        refuse_alike(target, [f"{name}.png" for name, _, _ in whole if "/" not in name])
        for name, _, light in whole:
            [(_, image)] = method.darken(light, name, None, 1, seed)
            atomic_write(target / f"{name}.png", encode_png(image))


def folder_name(label: str) -> str:
    """A label as the name of a folder: with `-` in place of special characters."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in label)
