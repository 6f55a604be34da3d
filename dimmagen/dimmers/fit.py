"""Fitting all kinds of dimmer model to pairs, and the provenance of the resulting profile."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from dimmagen.core.errors import UsageError
from dimmagen.dimmers.camera.fit import fit_camera
from dimmagen.dimmers.camera.model import CameraModel
from dimmagen.dimmers.camera.stored import model_files
from dimmagen.dimmers.mdn.fit import fit_network
from dimmagen.dimmers.mdn.illumination import fit_illumination
from dimmagen.dimmers.mdn.model import MdnFiles
from dimmagen.dimmers.mdn.network import MixtureDensityNetwork
from dimmagen.dimmers.pair_facts import KEY, PairFacts, former_jpegs
from dimmagen.dimmers.profile import ModelFiles, Profile, open_profile
from dimmagen.dimmers.real_pairs import RealPair

KINDS = ("camera", "mdn", "deterministic")


@dataclass(frozen=True, slots=True)
class FittedProfile:
    """The input of :func:`dimmagen.dimmers.profile.save_profile`, and how the fit went.

    Attributes:
        models: one for each of `KINDS`.
        camera: the first of them.
        provenance: pairs with hashes, seed, versions.
        held_out_nats: negative log-likelihood of the network on held-out pixels, in nats per pixel.
        held_out: which pixels these are, in words.
        seconds: duration of the fit.
    """

    models: list[ModelFiles]
    camera: CameraModel
    provenance: dict
    held_out_nats: float
    held_out: str
    seconds: float


def fit_models(
    pairs: Sequence[RealPair],
    seed: int = 0,
    progress: Callable[[str, float], None] = lambda stage, done: None,
) -> FittedProfile:
    """Fit every kind of dimmer model.

    Args:
        pairs: checked pairs of one camera.
        seed: random seed; the same seed gives the same profile.
        progress: called with the current stage and the completed fraction of all work, in [0, 1].

    Raises:
        UsageError: the seed is out of its range.
    """
    if not 0 <= seed < 2**36:  # from which the 64 bits of the noise's seeds are made
        raise UsageError(
            f"`seed` is {seed}",
            "give a number from 0 to 2^36 - 1",
            code="out-of-range",
            parameter="seed",
            value=seed,
        )
    began = time.perf_counter()
    progress("fitting the camera model", 0.0)
    camera_model = fit_camera(pairs, seed)
    camera_share = 0.25
    network_fit = fit_network(
        pairs, seed, lambda done: progress("fitting the mdn model", camera_share + (1 - camera_share) * done)
    )
    held_out_nats = round(network_fit.nats, 4)
    note = former_jpegs(pairs)
    provenance = {
        "made": "fitted to pairs",
        **_input(pairs, seed),
        KEY: PairFacts.of(pairs).model_dump(),
        **({"notes": [note]} if note else {}),
        "network_nats": held_out_nats,
        "network_nats_on": network_fit.held_out,
        "versions": {name: version(name) for name in ("dimmagen", "numpy", "scipy", "torch")},
    }
    return FittedProfile(
        [model_files(camera_model), *mdn_models(pairs, network_fit.network)],
        camera_model,
        provenance,
        held_out_nats,
        network_fit.held_out,
        time.perf_counter() - began,
    )


def is_fit_of(profile: Profile, pairs: Sequence[RealPair], seed: int, model: str) -> bool:
    """Whether a profile was fitted to exactly these pairs, with this seed and this default model."""
    origin = _input(pairs, seed)
    return profile.default_model == model and all(
        profile.provenance.get(name) == value for name, value in origin.items()
    )


def refuse_other_fit(folder: Path, pairs: Sequence[RealPair], seed: int, model: str) -> None:
    """Refuse an existing folder unless it holds a profile that was fitted to exactly these pairs.

    Args:
        folder: exists.
        pairs, seed, model: as for :func:`is_fit_of`.

    Raises:
        UsageError: it holds something else.
        DimmagenError: the profile in it is damaged.
    """
    advice = "choose another `out`, or remove it first"
    if not (folder / "profile.json").is_file():
        raise UsageError(
            f"{folder} exists already, and is not a profile", advice, code="no-room", path=str(folder)
        )
    if not is_fit_of(open_profile(folder.resolve()), pairs, seed, model):
        raise UsageError(
            f"{folder} exists already, and is not a fit of these pairs with this seed and model",
            advice,
            code="other-settings",
            path=str(folder),
        )


def _input(pairs: Sequence[RealPair], seed: int) -> dict:
    """The input of a fit, as a profile's provenance records it."""
    hashes = [
        {"name": pair.name, "dark_sha256": pair.dark_sha256, "light_sha256": pair.light_sha256}
        for pair in pairs
    ]
    return {"pairs": hashes, "seed": seed}


def mdn_models(pairs: Sequence[RealPair], network: MixtureDensityNetwork) -> list[ModelFiles]:
    """The model files of the kinds `mdn` and `deterministic`.

    Args:
        pairs: checked pairs, for the statistics of the illumination.
        network: fitted to the same pairs.
    """
    statistics = fit_illumination(pairs)
    files = MdnFiles(
        network=network.tensors(),
        mean=statistics.mean,
        std=statistics.std,
        published=False,
        sigma_floor=network.sigma_floor,
        tau=statistics.tau,
        exposure_spread=round(statistics.exposure_spread, 6),
    )
    return files.models()
