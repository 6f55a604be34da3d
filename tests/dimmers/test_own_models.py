"""Dimmer models of other packages: what is recorded of them, and what their contract test finds."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from dimmagen import check_dimmer
from dimmagen.dimmers.base import DIMMERS, Draw, FormulaDimmer
from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.dimmers.noise import normals
from dimmagen.generate.from_manifest import dimmer_from_manifest


@dataclass(frozen=True)
class Lamp(FormulaDimmer):
    """A factor and noise, which can be switched off."""

    strength: float = 0.25
    noise: float = 2.0
    kind = "lamp"
    parts = ("noise",)

    def switched_off(self, *parts: str) -> "Lamp":
        return replace(self, noise=0.0) if parts else self

    def dim(self, light: np.ndarray, draw: Draw) -> np.ndarray:
        drawn = normals(0, light.size // 3, draw.noise_seed, 0)[:, :3].reshape(light.shape)
        dark = light * self.strength * draw.gamma + draw.tau * self.noise * drawn
        return np.rint(dark).clip(0, 255).astype(np.uint8)


class Stuck(Lamp):
    """Names a part that it does not switch off."""

    parts = ("noise", "hum")

    def switched_off(self, *parts: str) -> "Lamp":
        return (
            super().switched_off(*parts) if parts == ("noise",) else FormulaDimmer.switched_off(self, *parts)
        )


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(DIMMERS, "_loaded", {**DIMMERS._loaded, "lamp": Lamp})


def test_a_formula_with_other_constants_is_recorded_with_these():
    recorded = ImageDimmer(Lamp(strength=0.5), "lamp", "0" * 64).settings()
    assert (recorded["strength"], recorded["noise"]) == (0.5, 2.0)
    assert Lamp.parameters() == {"strength": 0.25, "noise": 2.0}


def test_parts_that_are_switched_off_are_recorded_and_made_again():
    whole, quiet = (ImageDimmer.from_profile("lamp", without=without) for without in ((), ("noise",)))
    assert whole.settings().keys() == {*quiet.settings()} - {"without"}
    assert quiet.settings()["without"] == "noise"
    manifest = {**quiet.settings(), "variants": 1, "seed": 0, "samples_per_shard": 5, "image_format": "png"}
    again = dimmer_from_manifest(manifest)()
    light = np.full((8, 8, 3), 200, np.uint8)
    dark = again.dim(light, again.draw("image"))
    assert len(np.unique(dark)) == 1
    assert quiet.with_gammas(0.5, 1.0).settings()["without"] == "noise"


def test_the_contract_takes_a_model_with_parts_and_names_one_that_stays_on():
    check_dimmer(Lamp())
    with pytest.raises(AssertionError, match="the part hum cannot be switched off"):
        check_dimmer(Stuck())
