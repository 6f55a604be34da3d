"""The interface of dimmer models, the registry of their kinds, and the random draws of a pair."""

import inspect
import json
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np

from dimmagen.core import keyed_random
from dimmagen.core.errors import UsageError, Ways
from dimmagen.core.registry import Registry, missing

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Draw:
    """The random draws of one pair: with the model and the light pixels, they determine the dark image.

    Attributes:
        gamma: brightness factor of the dark image relative to the profile's mean darkness (paper: gamma).
        tau: scale of the drawn noise (paper: tau; for the camera model, 1.0 is the measured noise), including
            the noise level that is drawn for the scene.
        exposure: factor on the mean darkness for the spread between scenes; 1.0 for models without a spread.
        noise_seed: key of the counter-based pixel generator, in [0, 2**63).
        balance_red, balance_green, balance_blue: factors on the light of each channel, for the white balance
            of the scene; their product is 1. None for models that draw no white balance.
    """

    gamma: float
    tau: float
    exposure: float
    noise_seed: int
    balance_red: float | None = None
    balance_green: float | None = None
    balance_blue: float | None = None

    def record(self) -> dict[str, float | int]:
        """The draws by name, as they are recorded; without those that the model does not draw."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @property
    def balance(self) -> np.ndarray:
        """ln of the factors on the light of red, green and blue: float64 (3,); zeros where none are drawn."""
        factors = (self.balance_red, self.balance_green, self.balance_blue)
        return np.log([1.0 if factor is None else factor for factor in factors])

    def of_frame(self, frame: int) -> Self:
        """The draw of a frame of a clip that this is the draw of: all is equal but the noise of the pixels.

        Args:
            frame: its number; frame 0 has this draw.
        """
        if frame == 0:
            return self
        return replace(self, noise_seed=keyed_random.bits63(self.noise_seed, "frame", frame, "noise"))


class DimmerModel(Protocol):
    """A model that turns light images into dark ones: that of one camera, or a formula.

    Subclasses override what differs.

    Attributes:
        kind: name in the registry and in manifests.
        gamma_range: default range of gamma.
        tau: default noise scale (temperature).
        exposure_spread: standard deviation of ln(exposure) between scenes; 0 for models without a spread.
        balance_spread: of the white balance that is drawn: scale of Student's t (4 degrees of freedom) of
            ln of red against blue, and of ln of green; zeros for models without a spread.
        noise_spread: the same of ln of the noise's level; 0 for models without a spread.
        parts: names of the parts that :meth:`switched_off` can remove, for ablations.
        on_device: whether :meth:`expose_tensors` runs on any torch device and gives the same bits everywhere.
        develops: whether :meth:`develop` changes anything.
    """

    kind: str
    gamma_range: tuple[float, float] = (0.3, 2.0)
    tau: float = 1.0
    exposure_spread: float = 0.0
    balance_spread: tuple[float, float] = (0.0, 0.0)
    noise_spread: float = 0.0
    parts: tuple[str, ...] = ()
    on_device: bool = False
    develops: bool = False

    @abstractmethod
    def dim(self, light: np.ndarray, draw: Draw) -> np.ndarray:
        """Dim one image; a pure function of its arguments.

        Args:
            light: uint8 (H, W, 3), RGB.
            draw: the draws of the pair.

        Returns:
            uint8 (H, W, 3), RGB: the dark image.
        """
        ...

    def dim_frame(self, light: np.ndarray, draw: Draw, frame: int) -> np.ndarray:
        """Dim one frame of a clip: what is drawn once per image is equal in all frames, the noise is not.

        A model that derives more than its noise from `noise_seed` overrides this.

        Args:
            light: uint8 (H, W, 3), RGB.
            draw: of the clip.
            frame: its number, from 0; frame 0 is that of :meth:`dim`.

        Returns:
            uint8 (H, W, 3), RGB.
        """
        return self.dim(light, draw.of_frame(frame))

    def settings(self) -> dict[str, Any]:
        """Switches and constants that change the output; part of the fingerprint and the manifest."""
        return {}

    def switched_off(self, *parts: str) -> Self:
        """A copy of the model without some of its parts, for ablations.

        Raises:
            UsageError: the model does not have such a part.
        """
        raise UsageError(
            f"the model {self.kind} has no parts that can be switched off",
            'use `model="camera"`',
            code="unknown-name",
            parameter="without",
            model=self.kind,
        )

    def expose_tensors(self, lights: "Tensor", draws: Sequence[Draw]) -> "Tensor":
        """:meth:`dim` before :meth:`develop`, for a batch on any device; only if `on_device`.

        Args:
            lights: uint8 (B, 3, H, W), RGB.
            draws: one per image.

        Returns:
            uint8 (B, 3, H, W) on the same device.

        Raises:
            UsageError: the model runs on the CPU only.
        """
        raise UsageError(
            f"the model {self.kind} runs on the CPU only: on other devices its pixels would differ",
            Ways.of('use `device="cpu"`', '`model="camera"`'),
            code="device",
            parameter="device",
            model=self.kind,
        )

    def develop(self, exposed: np.ndarray) -> np.ndarray:
        """The effect of storing an exposed image as the camera does; only if `develops`.

        Args:
            exposed: uint8 (H, W, 3), RGB.

        Returns:
            uint8 (H, W, 3), RGB.
        """
        return exposed


class DimmerKind(Protocol):
    """An entry of the registry: how the models of one kind are loaded.

    Attributes:
        fitted: whether models are fitted to pairs and stored in profiles; otherwise the kind is a formula,
            and its name is also the name of a profile.
        compats: supported behaviours: `default`, and `reference` for exactly that of published code.
    """

    fitted: bool
    compats: tuple[str, ...]

    def load(self, folder: Path | None, settings: dict[str, Any], compat: str = "default") -> DimmerModel:
        """Load a model.

        Args:
            folder: of the profile; None for a formula.
            settings: of this kind in `profile.json`; empty for a formula.
            compat: one of `compats`.

        Raises:
            DimmagenError: the files are damaged.
        """
        ...

    def parameters(self) -> dict[str, Any]:
        """All constants of a formula, for its fingerprint; empty for a fitted kind."""
        ...


class FormulaDimmer(DimmerModel, Protocol):
    """A model that needs no pairs: a class of this kind is its own registry entry. See docs/extending.md.

    The fields of the dataclass are its constants. A subclass defines `kind` and `dim`.
    """

    fitted: ClassVar[bool] = False
    compats: ClassVar[tuple[str, ...]] = ("default",)

    @classmethod
    def load(cls, folder: Path | None, settings: dict[str, Any], compat: str = "default") -> Self:
        return cls()

    @classmethod
    def parameters(cls) -> dict[str, Any]:
        return _constants(cls())

    def settings(self) -> dict[str, Any]:
        return _constants(self)


def _constants(model: Any) -> dict[str, Any]:
    """The fields of a dataclass by name."""
    return {field.name: getattr(model, field.name) for field in fields(model)}


def kind_faults(name: str, kind: Any) -> Iterator[str]:
    """Why an object cannot be the entry of that name in :data:`DIMMERS`."""
    is_formula = isinstance(kind, type) and FormulaDimmer in kind.__mro__
    lacking = list(missing(kind, ("fitted", "compats", *(("kind",) if is_formula else ())), ("load",)))
    yield from lacking
    if lacking:
        return
    if getattr(kind, "kind", name) != name:
        yield f"its kind is {kind.kind!r}, but it is registered as {name!r}"
    if FormulaDimmer in type(kind).__mro__:
        yield "it is an object, whose constants would be lost: register its class, or a subclass with others"
        return
    without_effect = _constant_faults(kind) if is_formula else []
    yield from without_effect
    if not kind.fitted and not without_effect:
        json.dumps(kind.parameters())


def _constant_faults(formula: type) -> list[str]:
    """Constants of a formula that its objects would not have, and its fingerprint neither."""
    annotated = inspect.get_annotations(formula)
    if not is_dataclass(formula) or (annotated and "__dataclass_fields__" not in vars(formula)):
        return [f"{formula.__name__} is not a dataclass: put @dataclass(frozen=True) above it"]
    faults = []
    for field in fields(formula):
        value = getattr(formula, field.name, field.default)
        is_slot = inspect.ismemberdescriptor(value)
        if field.default is not MISSING and not is_slot and value is not field.default:
            kind = field.type.__name__ if isinstance(field.type, type) else field.type
            faults.append(
                f"{field.name} = {value!r} has no effect without its type: {field.name}: {kind} = {value!r}"
            )
    return faults


# Fitted kinds first, then formulas, in the order in which profiles are listed.
DIMMERS: Registry[DimmerKind] = Registry(
    "dimmer",
    "dimmagen.dimmers",
    {
        "camera": "dimmagen.dimmers.camera.model:CameraModel",
        "mdn": "dimmagen.dimmers.mdn.kinds:Mdn",
        "deterministic": "dimmagen.dimmers.mdn.kinds:Deterministic",
        "linear": "dimmagen.dimmers.closed_form:LinearModel",
        "gamma": "dimmagen.dimmers.closed_form:GammaModel",
        "lid": "dimmagen.dimmers.closed_form:LidModel",
    },
    faults=kind_faults,
)
