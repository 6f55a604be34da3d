"""ImageDimmer: light image -> dark image, with recorded draws.

An :class:`ImageDimmer` is a profile's dimmer model plus settings (gamma range, temperature). It is pure: the
dark image depends only on the model, the light pixels and the :class:`Draw`, and the draw depends only on
(seed, key, variant) and the settings.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from dimmagen.core import arguments as kinds
from dimmagen.core import keyed_random
from dimmagen.core.errors import UsageError
from dimmagen.core.registry import unknown_name
from dimmagen.dimmers.base import DIMMERS, DimmerModel, Draw
from dimmagen.dimmers.profile import Profile, open_profile, portable_name

__all__ = ["DimmerBuilder", "DimmerModel", "Draw", "ImageDimmer"]

Brightness = Literal["wide", "as-pairs"]
BRIGHTNESSES: tuple[Brightness, ...] = ("wide", "as-pairs")
_AS_PAIRS = (1.0, 1.0)  # gamma of `as-pairs`: only the exposure is drawn, which has the spread of the pairs

_MIN_GAMMA, _MAX_VALUE = 1e-6, 1e6  # beyond them an image is black, or as light as before


class ImageDimmer:
    """Dims light images as one camera would.

    Args:
        model: a dimmer model, usually from a profile: :meth:`from_profile`.
        name: the profile's name.
        fingerprint: the profile's fingerprint (hash of its files).
        gamma_range: (low, high) of gamma; default the model's.
        temperature: noise scale tau; default the model's.
        ladder: fixed gammas instead of drawn ones. With n gammas, variants 0 .. n - 1 of an image show one
            draw of noise and exposure at each gamma, variants n .. 2n - 1 the next draw, and so on: the rungs
            of one ladder have the same `noise_seed`.
        group_by: `clip` gives all frames of a clip the same gamma and exposure; each frame keeps its own
            noise.
        brightness: `wide` draws gamma from its range; `as-pairs` keeps it at 1, so that dark images are as
            dark as those of the pairs that the model was fitted to, and vary in exposure as those do.
        without: parts of the model that are switched off in it, to be recorded.

    Raises:
        UsageError: a gamma is not in [1e-6, 1e6], or the temperature not in [0, 1e6]; or `as-pairs` is asked
            for together with gammas.
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
        brightness: Brightness = "wide",
        without: Sequence[str] = (),
    ) -> None:
        self.model = model
        self.name = name
        self.fingerprint = fingerprint
        self.ladder = tuple(float(gamma) for gamma in ladder)
        self.group_by = group_by
        self.brightness = brightness
        self.without = tuple(sorted({*without}))
        self.gamma_range = gamma_range or model.gamma_range
        if brightness != "wide":
            self.gamma_range = _gammas_of(brightness, gamma_range, self.ladder)
        if self.ladder:
            self.gamma_range = (min(self.ladder), max(self.ladder))
        self.temperature = model.tau if temperature is None else temperature
        for gamma in self.gamma_range:
            if not _MIN_GAMMA <= gamma <= _MAX_VALUE:
                raise UsageError(
                    f"gamma is {gamma:g}",
                    f"give values from {_MIN_GAMMA:g} to {_MAX_VALUE:g}",
                    code="out-of-range",
                    parameter="ladder" if self.ladder else "gamma_range",
                    value=gamma,
                )
        if not 0 <= self.temperature <= _MAX_VALUE:
            raise UsageError(
                f"`temperature` is {self.temperature:g}",
                f"give a value from 0 to {_MAX_VALUE:g}",
                code="out-of-range",
                parameter="temperature",
                value=self.temperature,
            )

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
        brightness: Brightness = "wide",
    ) -> Self:
        """The dimmer of a profile.

        Args:
            name_or_path: name of a bundled profile, a user's profile or a formula; or a profile's folder; or
                an open profile.
            model: one of the profile's kinds of dimmer model, such as `mdn`; default the profile's choice.
            compat: `default`, or `reference` for the paper authors' transform with their MDN.
            gamma_range, temperature: default the model's.
            without: parts of the model to switch off, for ablations; `camera` has some.
            ladder, group_by, brightness: as for the class.

        Raises:
            UsageError: there is no such profile, model or part; `as-pairs` is asked of a formula; or as for
                the class.
            DimmagenError: the profile is damaged.

        Example:
            >>> dimmer = ImageDimmer.from_profile("linear")
            >>> light = np.full((4, 6, 3), 200, np.uint8)
            >>> dimmer.dim(light, dimmer.draw("image", variant=0, seed=0)).shape
            (4, 6, 3)
        """
        profile = (
            name_or_path
            if isinstance(name_or_path, Profile)
            else open_profile(kinds.path("profile", name_or_path))
        )
        dimmer_model = profile.model(model, compat)
        if without:
            dimmer_model = dimmer_model.switched_off(*without)
        if brightness == "as-pairs" and not DIMMERS[dimmer_model.kind].fitted:
            raise UsageError(
                f"{profile.name} is a formula, and was not fitted to pairs whose darkness it could match",
                "give a `gamma` range, or a profile that was fitted to pairs",
                code="conflict",
                parameter="brightness",
                value=brightness,
            )
        settings = (gamma_range, temperature, ladder, group_by, brightness, without)
        return cls(dimmer_model, profile.name, profile.fingerprint, *settings)

    def settings(self) -> dict:
        """The settings that determine the output; part of the fingerprint and the manifest."""
        of_model = self.model.settings()
        # Options that are not used are absent, so that data sets without them keep their fingerprint.
        optional = {
            "ladder": list(self.ladder),
            "group_by": self.group_by,
            "brightness": "" if self.brightness == "wide" else self.brightness,
            "without": "" if "without" in of_model else ",".join(self.without),
        }
        return {
            "profile": self.name,
            "profile_fingerprint": self.fingerprint,
            "model": self.model.kind,
            "gamma_range": list(self.gamma_range),
            "temperature": self.temperature,
            **of_model,
            **{name: value for name, value in optional.items() if value},
        }

    def draw(self, key: str, variant: int = 0, seed: int = 0) -> Draw:
        """The draws of one pair: a pure function of (seed, key, variant) and the settings.

        Args:
            key: of the light image: `light_key` in a data set.
            variant: number of the dark image among those of the light image, from 0.
            seed: of the data set.
        """
        rungs = len(self.ladder) or 1
        repeat, rung = divmod(variant, rungs)
        scene = key.removesuffix("-first").removesuffix("-last") if self.group_by == "clip" else key
        if self.ladder:
            gamma = round(self.ladder[rung], keyed_random.DECIMALS)
        else:
            gamma = keyed_random.uniform_between(*self.gamma_range, seed, scene, repeat, "gamma")
        return Draw(
            gamma,
            noise_seed=keyed_random.bits63(seed, key, repeat, "noise"),
            **self._of_scene(scene, repeat, seed),
        )

    def _of_scene(self, scene: str, repeat: int, seed: int) -> dict[str, float]:
        """What a draw has in common for all frames of a clip and all rungs of a ladder, but gamma."""
        names = (seed, scene, repeat)
        spread = self.model.exposure_spread
        (warmth, green), level = self.scene_spreads
        normal = min(2.0, max(-2.0, keyed_random.normal(*names, "exposure")))
        noise = np.exp(level * keyed_random.heavy_tailed(*names, "noise level")) if level else 1.0
        drawn = {"exposure": np.exp(spread * normal) if spread else 1.0, "tau": self.temperature * noise}
        if warmth or green:
            red = warmth * keyed_random.heavy_tailed(*names, "warmth")
            tint = green * keyed_random.heavy_tailed(*names, "tint")
            logs = {"red": red - tint / 2, "green": tint, "blue": -red - tint / 2}
            drawn |= {f"balance_{channel}": np.exp(log) for channel, log in logs.items()}
        return {name: round(float(value), keyed_random.DECIMALS) for name, value in drawn.items()}

    @property
    def scene_spreads(self) -> tuple[tuple[float, float], float]:
        """The model's `balance_spread` and `noise_spread`; zeros for one of before there were such draws."""
        balance: tuple[float, float] = getattr(self.model, "balance_spread", (0.0, 0.0))
        return balance, getattr(self.model, "noise_spread", 0.0)

    def dim(self, light: np.ndarray, draw: Draw, frame: int = 0) -> np.ndarray:
        """Dim one image.

        Args:
            light: uint8 (H, W, 3), RGB.
            draw: from :meth:`draw`, or replayed from a manifest.
            frame: number of the image in a clip that the draw is of; see :meth:`.DimmerModel.dim_frame`.

        Returns:
            uint8 (H, W, 3), RGB.

        Raises:
            UsageError: `light` is of another shape or dtype.
        """
        if light.dtype != np.uint8 or light.ndim != 3 or light.shape[2] != 3:
            raise UsageError(
                f"`light` is {light.dtype} {light.shape}",
                "give one image, uint8 (H, W, 3), RGB",
                code="usage",
                parameter="light",
            )
        return self.model.dim_frame(light, draw, frame) if frame else self.model.dim(light, draw)

    def with_gammas(self, low: float, high: float) -> "ImageDimmer":
        """The same dimmer with another range of gamma.

        Raises:
            UsageError: as for the class.
        """
        return ImageDimmer(
            self.model,
            self.name,
            self.fingerprint,
            (low, high),
            self.temperature,
            group_by=self.group_by,
            without=self.without,
        )


def _gammas_of(
    brightness: Brightness, gamma_range: tuple[float, float] | None, ladder: Sequence[float]
) -> tuple[float, float]:
    """The range of gamma of a preset.

    Raises:
        UsageError: there is no such preset, or other gammas are asked for.
    """
    if brightness not in BRIGHTNESSES:
        raise unknown_name("brightness", brightness, BRIGHTNESSES)
    if ladder or gamma_range not in (None, _AS_PAIRS):
        other = "ladder" if ladder else "gamma"
        raise UsageError(
            f'`brightness="{brightness}"` says how bright the dark images are, and so does `{other}`',
            "omit one of the two",
            code="conflict",
            parameters=("brightness", other),
        )
    return _AS_PAIRS


class DimmerBuilder:
    """Builds the dimmer of a profile once per process; a pickled builder has only the name and the options.

    The constructor opens and checks the profile and builds the dimmer, so that errors are raised before any
    image is read.

    Args:
        name_or_path: of the profile.
        fingerprint: of the version of a bundled profile, see :func:`~dimmagen.dimmers.profile.open_profile`.
        options: as for :meth:`ImageDimmer.from_profile`.

    Raises:
        UsageError, DimmagenError: as :meth:`ImageDimmer.from_profile`.
    """

    def __init__(self, name_or_path: str, fingerprint: str | None = None, **options: Any) -> None:
        profile = open_profile(name_or_path, fingerprint)
        self._name, self._options = portable_name(name_or_path, profile), options
        self._fingerprint = fingerprint
        self._dimmer: ImageDimmer | None = ImageDimmer.from_profile(profile, **options)

    def __call__(self) -> ImageDimmer:
        if self._dimmer is None:
            profile = open_profile(self._name, self._fingerprint)
            self._dimmer = ImageDimmer.from_profile(profile, **self._options)
        return self._dimmer

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_dimmer": None}
