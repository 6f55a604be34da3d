"""ImageDimmer: light image -> dark image, and a record of every draw.

An :class:`ImageDimmer` is a profile's dimmer model plus settings (gamma range, temperature). It is pure: the
dark image depends on the model, the light pixels and the :class:`Draw` only, and the draw depends on
(seed, key, variant) only.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from dimmagen.core import keyed_random
from dimmagen.core.errors import UsageError
from dimmagen.dimmers.base import DimmerModel, Draw
from dimmagen.dimmers.camera.model import CameraModel
from dimmagen.dimmers.profile import Profile, open_profile, portable_name

__all__ = ["DimmerBuilder", "DimmerModel", "Draw", "ImageDimmer"]

_SMALLEST_GAMMA, _LARGEST = 1e-6, 1e6  # beyond them a picture is black, or as light as it was


class ImageDimmer:
    """Dims light pictures as one camera would.

    Args:
        model: a dark model, usually from `Dimmer.from_profile`.
        name: the profile's name.
        fingerprint: the profile's fingerprint (hash of its files).
        gamma_range: (low, high) of gamma; default the model's.
        temperature: noise scale tau; default the model's.
        ladder: fixed gammas instead of drawn ones. With n of them, variants 0 .. n - 1 of a picture are one
            draw of noise and exposure at each gamma, variants n .. 2n - 1 the next draw, and so on: rungs of
            one ladder have the same `noise_seed`.
        group_by: `clip` gives all frames of a clip one gamma and exposure; their noise stays their own.

    Raises:
        UsageError: gamma is not from 1e-6 to 1e6, or temperature not from 0 to 1e6.
    """

    def __init__(
        self,
        model: DimmerModel,
        name: str,
        fingerprint: str,
        gamma_range: tuple[float, float] | None = None,
        temperature: float | None = None,
        ladder: Sequence[float] = (),
        group_by: str = "",
    ) -> None:
        self.model = model
        self.name = name
        self.fingerprint = fingerprint
        self.ladder = tuple(float(gamma) for gamma in ladder)
        self.group_by = group_by
        self.gamma_range = gamma_range or model.gamma_range
        if self.ladder:
            self.gamma_range = (min(self.ladder), max(self.ladder))
        self.temperature = model.tau if temperature is None else temperature
        for gamma in self.gamma_range:
            if not _SMALLEST_GAMMA <= gamma <= _LARGEST:
                raise UsageError(
                    f"gamma is {gamma:g}", f"give values from {_SMALLEST_GAMMA:g} to {_LARGEST:g}"
                )
        if not 0 <= self.temperature <= _LARGEST:
            raise UsageError(f"temperature is {self.temperature:g}", f"give a value from 0 to {_LARGEST:g}")

    @classmethod
    def from_profile(
        cls,
        name_or_path: str | Path | Profile,
        *,
        model: str | None = None,
        compat: str = "default",
        gamma_range: tuple[float, float] | None = None,
        temperature: float | None = None,
        without: Sequence[str] = (),
        ladder: Sequence[float] = (),
        group_by: str = "",
    ) -> Self:
        """The dimmer of a profile.

        Args:
            name_or_path: a bundled, own or closed-form profile's name (`dimmagen profile list`), a folder,
                or a profile that is open.
            model: one of the profile's kinds of dark model, such as `mdn`; default the profile's choice.
            compat: `default`, or `reference` for the paper authors' transform with their MDN.
            gamma_range, temperature: default the model's.
            ladder, group_by: as for the class.
            without: parts of the model that are switched off, for ablations; only `camera` has parts.

        Raises:
            UsageError: there is no such profile, model or part.
            DimmagenError: the profile is damaged.

        Example:
            >>> import numpy as np
            >>> dimmer = ImageDimmer.from_profile("lol3")
            >>> light = np.full((64, 96, 3), 128, np.uint8)
            >>> dark = dimmer.dim(light, dimmer.draw("photo", variant=0, seed=0))
            >>> dark.shape, bool(dark.mean() < light.mean() / 4)
            ((64, 96, 3), True)
        """
        profile = name_or_path if isinstance(name_or_path, Profile) else open_profile(name_or_path)
        dark_model = profile.model(model, compat)
        if without:
            if not isinstance(dark_model, CameraModel):
                raise UsageError(f"model {dark_model.kind} has no parts to leave out", "use --model camera")
            dark_model = dark_model.switched_off(*without)
        return cls(dark_model, profile.name, profile.fingerprint, gamma_range, temperature, ladder, group_by)

    def settings(self) -> dict:
        """All that decides the output beside seed, key and light: goes into fingerprint and manifest."""
        # What is not asked for leaves no trace, so that sets without it keep their fingerprint.
        asked = {"ladder": list(self.ladder), "group_by": self.group_by}
        return {
            "profile": self.name,
            "profile_fingerprint": self.fingerprint,
            "model": self.model.kind,
            "gamma_range": list(self.gamma_range),
            "temperature": self.temperature,
            **self.model.settings(),
            **{name: value for name, value in asked.items() if value},
        }

    def draw(self, key: str, variant: int = 0, seed: int = 0) -> Draw:
        """The draws of one pair: a pure function of (seed, key, variant) and the settings."""
        rungs = len(self.ladder) or 1
        turn, rung = divmod(variant, rungs)
        shown = key.removesuffix("-first").removesuffix("-last") if self.group_by == "clip" else key
        if self.ladder:
            gamma = round(self.ladder[rung], keyed_random.DECIMALS)
        else:
            gamma = keyed_random.uniform_between(*self.gamma_range, seed, shown, turn, "gamma")
        spread = self.model.exposure_spread
        normal = min(2.0, max(-2.0, keyed_random.normal(seed, shown, turn, "exposure")))
        return Draw(
            gamma=gamma,
            tau=round(float(self.temperature), keyed_random.DECIMALS),
            exposure=round(float(np.exp(spread * normal)), keyed_random.DECIMALS) if spread else 1.0,
            noise_seed=keyed_random.bits63(seed, key, turn, "noise"),
        )

    def dim(self, light: np.ndarray, draw: Draw) -> np.ndarray:
        """Dim one picture.

        Args:
            light: uint8 (H, W, 3), RGB.
            draw: from :meth:`draw`, or replayed from a manifest.

        Returns:
            uint8 (H, W, 3), RGB.
        """
        return self.model.dim(light, draw)


class DimmerBuilder:
    """Builds the dimmer of a profile, once in each process; what travels to another one is its name.

    The profile is opened and checked, and the dimmer built, at once: a wrong one is told before any photo is
    looked at.

    Args:
        name_or_path: of the profile.
        options: as for :meth:`ImageDimmer.from_profile`.

    Raises:
        UsageError, DimmagenError: as :meth:`ImageDimmer.from_profile`.
    """

    def __init__(self, name_or_path: str, **options: Any) -> None:
        profile = open_profile(name_or_path)
        self._name, self._options = portable_name(name_or_path, profile), options
        self._dimmer: ImageDimmer | None = ImageDimmer.from_profile(profile, **options)

    def __call__(self) -> ImageDimmer:
        if self._dimmer is None:
            self._dimmer = ImageDimmer.from_profile(self._name, **self._options)
        return self._dimmer

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_dimmer": None}
