"""The interface of every dimmer model, the registry of their kinds, and the draw that a model is given."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np

from dimmagen.core.errors import UsageError
from dimmagen.core.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Draw:
    """Everything that is drawn for one pair; with the model and the light pixels it fixes the dark picture.

    Attributes:
        gamma: brightness factor of the dark picture relative to the profile's mean darkness (paper: gamma).
        tau: scale of the drawn noise (paper: tau; for the camera model 1.0 is the measured noise).
        exposure: factor on the mean darkness for the spread between scenes; 1.0 where the model has none.
        noise_seed: key of the counter-based pixel generator, in [0, 2**63).
    """

    gamma: float
    tau: float
    exposure: float
    noise_seed: int

    def record(self) -> dict[str, float | int]:
        return asdict(self)


class DimmerModel(Protocol):
    """What makes dark images: one camera's model, or a formula. Subclasses override what differs.

    Attributes:
        kind: name in the registry and in manifests.
        gamma_range: default range of gamma.
        tau: default noise scale (temperature).
        exposure_spread: standard deviation of ln(exposure) between scenes; 0 where the model has none.
        parts: what :meth:`switched_off` can leave out, for ablations.
        on_device: whether :meth:`expose_tensors` runs on any torch device, with the bits of :meth:`dim`.
        develops: whether :meth:`develop` changes anything.
    """

    kind: str
    gamma_range: tuple[float, float] = (0.3, 2.0)
    tau: float = 1.0
    exposure_spread: float = 0.0
    parts: tuple[str, ...] = ()
    on_device: bool = False
    develops: bool = False

    @abstractmethod
    def dim(self, light: np.ndarray, draw: Draw) -> np.ndarray:
        """uint8 (H, W, 3) RGB light image -> uint8 (H, W, 3) RGB dark image: a pure function of its
        arguments."""
        ...

    def settings(self) -> dict[str, Any]:
        """Switches and constants that change the output: they go into the fingerprint and the manifest."""
        return {}

    def switched_off(self, *parts: str) -> Self:
        """The model without some of its parts, for ablations.

        Raises:
            UsageError: the model has no such part.
        """
        raise UsageError(
            f"the model {self.kind} has no parts to leave out", 'use `model="camera"`', parameter="without"
        )

    def expose_tensors(self, lights: "Tensor", draws: Sequence[Draw]) -> "Tensor":
        """:meth:`dim` before :meth:`develop`, for a batch on any device; only where `on_device`.

        Args:
            lights: uint8 (B, 3, H, W), RGB.
            draws: one per image.

        Returns:
            uint8 (B, 3, H, W) on the same device.

        Raises:
            UsageError: the model runs on the processor only.
        """
        raise UsageError(
            f"the model {self.kind} runs on the processor only: elsewhere its pixels would differ",
            'use `device="cpu"`, or `model="camera"`',
            parameter="device",
        )

    def develop(self, exposed: np.ndarray) -> np.ndarray:
        """What storing makes of an exposed image, uint8 (H, W, 3); only where `develops`."""
        return exposed


class DimmerKind(Protocol):
    """What the registry holds: how models of one kind come into being.

    Attributes:
        fitted: models are fitted to pairs and stored in profiles; else the kind is a formula, and its name
            is that of a profile.
        compats: behaviours it knows: `default`, and `reference` for exactly that of published code.
    """

    fitted: bool
    compats: tuple[str, ...]

    def load(self, folder: Path | None, settings: dict[str, Any], compat: str = "default") -> DimmerModel:
        """A model of a profile's folder and settings; of a formula, None and an empty dictionary.

        Raises:
            DimmagenError: the files are damaged.
        """
        ...

    def parameters(self) -> dict[str, Any]:
        """All constants of a formula, for its fingerprint; of a fitted kind nothing."""
        ...


class FormulaDimmer(DimmerModel, Protocol):
    """A model that needs no pairs: a class of this kind is its own registry entry. See docs/extending.md.

    Fields of a dataclass are its constants. A subclass defines `kind` and `dim`.
    """

    fitted: ClassVar[bool] = False
    compats: ClassVar[tuple[str, ...]] = ("default",)

    @classmethod
    def load(cls, folder: Path | None, settings: dict[str, Any], compat: str = "default") -> Self:
        return cls()

    @classmethod
    def parameters(cls) -> dict[str, Any]:
        model: Any = cls()
        return {field.name: getattr(model, field.name) for field in fields(model)}

    def settings(self) -> dict[str, Any]:
        return self.parameters()


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
)
