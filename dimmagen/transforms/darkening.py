"""What LowLight means, without the interface of any library: settings, draws and dark pixels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dimmagen.core import arguments as kinds
from dimmagen.core import keyed_random
from dimmagen.core.errors import UsageError
from dimmagen.dimmers.dimmer import Brightness
from dimmagen.transforms.draws import Curriculum, Gamma, Level, LowLightDraw, ProfileMix, gammas_at

if TYPE_CHECKING:
    from torch import Tensor

# What each argument is, by its name; the levels and the profiles are checked where they are used.
_KINDS: dict[str, kinds.Kind] = {
    "profile": kinds.texts,
    "weights": kinds.optional(kinds.numbers),
    "gamma": kinds.optional(kinds.number_or_span),
    "brightness": kinds.one_of(("wide", "as-pairs")),
    "temperature": kinds.optional(kinds.number),
    "model": kinds.optional(kinds.word),
    "without": kinds.texts,
    "p": kinds.number,
    "seed": kinds.whole,
    "key_from": kinds.word,
    **dict.fromkeys(("clips", "pairs", "return_draw"), kinds.flag),
}
STAYS_LIGHT = LowLightDraw("", None)
AnyDraw = LowLightDraw | Mapping[str, Any]


class Darkening:
    """Settings of a low-light transform, its draws, and dark pixels from both.

    Arguments and errors as for :class:`dimmagen.transforms.LowLight`.

    Attributes:
        settings: the arguments by name.
    """

    @kinds.converted(_KINDS)
    def __init__(
        self,
        profile: str | Path | Sequence[str | Path] = "lol3",
        *,
        weights: Sequence[float] | None = None,
        gamma: Gamma | None = None,
        level: Level | Curriculum | None = None,
        brightness: Brightness = "wide",
        temperature: float | None = None,
        model: str | None = None,
        without: Sequence[str] = (),
        p: float = 1.0,
        seed: int = 0,
        key_from: str = "",
        clips: bool = False,
        pairs: bool = False,
        return_draw: bool = False,
    ) -> None:
        profiles = [profile] if isinstance(profile, (str, Path)) else list(profile)
        _check(p, seed, level, brightness)
        self.settings: dict[str, Any] = {
            "profile": [str(one) for one in profiles] if len(profiles) != 1 else str(profiles[0]),
            "weights": weights,
            "gamma": gamma,
            "level": level,
            "brightness": brightness,
            "temperature": temperature,
            "model": model,
            "without": tuple(without),
            "p": p,
            "seed": seed,
            "key_from": key_from,
            "clips": clips,
            "pairs": pairs,
            "return_draw": return_draw,
        }
        self.p, self.seed, self.level = p, seed, level
        self.key_from, self.clips, self.pairs, self.return_draw = key_from, clips, pairs, return_draw
        self.mix = ProfileMix(
            profiles,
            weights,
            gamma,
            brightness=brightness,
            temperature=temperature,
            model=model,
            without=tuple(without),
        )
        self._step: Any = _shared_counter() if callable(level) else 0

    @property
    def step(self) -> int:
        """Step of the training, for a curriculum; setting it is seen by the workers of a DataLoader."""
        return int(self._step)

    @step.setter
    def step(self, value: int) -> None:
        if callable(self.level):
            self._step.fill_(value)
        else:
            self._step = value

    def draw(self, key: str, variant: int = 0) -> LowLightDraw:
        """The draw of one image: that of a data set with this seed and these profiles and settings.

        Args:
            key: of the light image: `light_key` in a data set.
            variant: number of the dark image among those of the light image, from 0.

        Raises:
            UsageError: the key is not text, or the variant is not a whole number from 0.
        """
        key, variant = kinds.word("key", key), kinds.from_zero("variant", variant)
        if self.p < 1 and keyed_random.uniform(self.seed, key, variant, "apply") >= self.p:
            return STAYS_LIGHT
        return self.draw_if_applied(key, variant)

    def draw_if_applied(self, key: str, variant: int = 0) -> LowLightDraw:
        """:meth:`draw` of an image that is darkened whatever `p` is: some libraries draw by it themselves."""
        level = self.level(self.step) if callable(self.level) else self.level
        return self.mix.draw(key, variant, self.seed, level)

    def darken(
        self, lights: "np.ndarray | Tensor", draws: Sequence[LowLightDraw], first_frames: Sequence[int]
    ) -> "np.ndarray | Tensor":
        """Dim a batch of clips.

        Args:
            lights: uint8 (B, T, H, W, 3) array, or uint8 (B, T, 3, H, W) tensor on any device.
            draws: one per clip.
            first_frames: number of the first frame of each clip.

        Returns:
            The dark frames, as `lights`.
        """
        if not len(draws):
            return lights.copy() if isinstance(lights, np.ndarray) else lights.clone()
        if not isinstance(lights, np.ndarray) and lights.device.type != "cpu":
            return self._darken_on_device(lights, draws, first_frames)
        clips = zip(lights, draws, first_frames, strict=True)
        dark = [self._darken_clip(clip, draw, first) for clip, draw, first in clips]
        if isinstance(lights, np.ndarray):
            return np.stack(dark) if len(dark) > 1 else dark[0][None]
        import torch

        return torch.stack(dark)

    def _darken_on_device(
        self, lights: "Tensor", draws: Sequence[LowLightDraw], first_frames: Sequence[int]
    ) -> "Tensor":
        """:meth:`darken` for a GPU: the clips of one camera are one batch."""
        dark = lights.clone()
        by_profile: dict[str, list[int]] = {}
        for index, draw in enumerate(draws):
            if draw.draw is not None:
                by_profile.setdefault(draw.profile, []).append(index)
        for profile, indices in by_profile.items():
            model = self.mix.dimmer(profile).model
            if model.on_device and not model.develops:
                frames = [
                    (draws[i].draw, first_frames[i] + t) for i in indices for t in range(lights.shape[1])
                ]
                of_frames = [draw.of_frame(number) for draw, number in frames if draw is not None]
                exposed = model.expose_tensors(lights[indices].flatten(0, 1), of_frames)
                dark[indices] = exposed.reshape(len(indices), *lights.shape[1:])
            else:
                for index in indices:
                    dark[index] = self._darken_clip(lights[index], draws[index], first_frames[index])
        return dark

    def _darken_clip(self, lights: Any, draw: LowLightDraw, first_frame: int) -> Any:
        """uint8 (T, H, W, 3) array or (T, 3, H, W) tensor -> its dark frames."""
        if draw.draw is None:
            return lights
        dimmer = self.mix.dimmer(draw.profile)
        numbers = range(first_frame, first_frame + len(lights))
        if isinstance(lights, np.ndarray):
            dark = [dimmer.dim(light, draw.draw, frame) for light, frame in zip(lights, numbers, strict=True)]
            return np.stack(dark) if len(dark) > 1 else dark[0][None]
        import torch

        pixels = np.ascontiguousarray(lights.permute(0, 2, 3, 1).cpu().numpy())
        dark = self._darken_clip(pixels, draw, first_frame)
        return torch.from_numpy(dark).permute(0, 3, 1, 2).contiguous().to(lights.device)


def online_key(number: int) -> str:
    """The key of an image that has none, from a random number."""
    return f"online-{number}"


def as_draw(value: AnyDraw) -> LowLightDraw:
    """A draw, from itself or its record."""
    return value if isinstance(value, LowLightDraw) else LowLightDraw.from_record(value)


def _check(p: float, seed: int, level: Level | Curriculum | None, brightness: Brightness) -> None:
    if not 0 <= p <= 1:
        raise UsageError(
            f"`p` is {p:g}", "give a probability from 0 to 1", code="out-of-range", parameter="p", value=p
        )
    if not 0 <= seed < 2**63:
        raise UsageError(
            f"`seed` is {seed}",
            "give a number from 0 to 2^63 - 1",
            code="out-of-range",
            parameter="seed",
            value=seed,
        )
    if level is not None and brightness != "wide":
        raise UsageError(
            f'`brightness="{brightness}"` says how bright the dark images are, and so does `level`',
            "omit one of the two",
            code="conflict",
            parameters=("brightness", "level"),
        )
    if level is not None and not callable(level):
        gammas_at(level, (1.0, 1.0))


def _shared_counter() -> Any:
    """An integer that the processes of a DataLoader share, whatever `torch.set_default_device` says."""
    import torch

    return torch.zeros((), dtype=torch.int64, device="cpu").share_memory_()
