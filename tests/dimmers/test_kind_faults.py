"""Dimmers that are registered half-right are refused by what they lack, before anything is dimmed."""

from dataclasses import dataclass

import numpy as np
import pytest

from dimmagen.core.errors import DimmagenError
from dimmagen.dimmers.base import DIMMERS, FormulaDimmer
from dimmagen.dimmers.profile import open_profile

SINGLE = np.float32(0.2)


@dataclass(frozen=True)
class Dusk(FormulaDimmer):
    darkness: float = 0.2
    kind = "dusk"

    def dim(self, light, draw):
        return (light * np.float32(self.darkness * draw.gamma)).clip(0, 255).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class WithSlots(Dusk):
    darkness: float = 0.1


@dataclass(frozen=True)
class Darker(Dusk):
    darkness: float = 0.1


class OtherPixels(Dusk):
    def dim(self, light, draw):
        return light // 4


class Dawn(Dusk):
    kind = "dawn"


@dataclass(frozen=True)
class Required(FormulaDimmer):
    darkness: float
    kind = "dusk"

    def dim(self, light, draw):
        return light


@dataclass(frozen=True)
class OfNumpy(Dusk):
    darkness: np.float32 = SINGLE


@dataclass(frozen=True)
class Dimless(FormulaDimmer):
    kind = "dusk"


@dataclass(frozen=True)
class Kindless(FormulaDimmer):
    def dim(self, light, draw):
        return light


class Bare(FormulaDimmer):
    kind = "dusk"

    def dim(self, light, draw):
        return light


class AfterNothing(Dusk):
    darkness = 0.1


class AfterOther(Dusk):
    glow: float = 0.1


def dusk(light, draw):
    return light // 5


class Loader:
    """An entry that is no model itself."""

    fitted, compats = False, ("default",)

    def load(self, folder, settings, compat="default"):
        return Dusk(0.1)

    def parameters(self):
        return {"darkness": 0.1}


@pytest.mark.parametrize("kind", [Loader(), Dusk, WithSlots, Darker, OtherPixels])
def test_a_formula_whose_constants_are_its_fields_is_taken(kind, monkeypatch):
    monkeypatch.setattr(DIMMERS, "_loaded", {"dusk": kind})
    assert open_profile("dusk").model().kind == "dusk"


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Dusk(0.1), "it is an object, whose constants would be lost: register its class"),
        (Dawn, "its kind is 'dawn', but it is registered as 'dusk'"),
        (Required, "missing 1 required positional argument: 'darkness'"),
        (OfNumpy, "float32 is not JSON serializable"),
        (Dimless, "abstract"),
        (Kindless, "the class Kindless has no kind"),
        (Bare, "Bare is not a dataclass"),
        (AfterNothing, "darkness = 0.1 has no effect without its type: darkness: float"),
        (AfterOther, r"AfterOther is not a dataclass: put @dataclass\(frozen=True\) above it"),
        (dusk, r"an object of function has no fitted, compats, load\(\)"),
    ],
)
def test_what_a_half_written_dimmer_lacks_is_named_before_anything_is_dimmed(kind, said, monkeypatch):
    monkeypatch.setattr(DIMMERS, "_loaded", {"dusk": kind})
    with pytest.raises(DimmagenError, match=f"the dimmer dusk cannot be used: .*{said}") as caught:
        open_profile("dusk")
    assert caught.value.code == "plugin-broken"
