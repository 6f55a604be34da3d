"""LowLight as a step of albumentations: an `ImageOnlyTransform`, with its serialisation and replay."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dimmagen.core.errors import UsageError
from dimmagen.core.optional_packages import missing_package
from dimmagen.dimmers.dimmer import Brightness
from dimmagen.transforms.darkening import Darkening, as_draw, online_key
from dimmagen.transforms.draws import Curriculum, Gamma, Level
from dimmagen.transforms.image_inputs import as_image_input

try:
    from albumentations.core.transforms_interface import ImageOnlyTransform
except Exception as error:
    raise missing_package("this transform needs", "albumentations", "albumentations", error) from None


class AlbumentationsLowLight(ImageOnlyTransform):
    """Darkens `image`, `images` (the frames of a clip) and volumes; masks, boxes and keypoints stay.

    Args: as for :class:`LowLight`; `p`, `pairs` and `return_draw` as follows.
        p: probability that the step is applied, drawn by albumentations.
        pairs: adds the entry `light`, the image before this step.
        return_draw: adds the entry `low_light_draw`: the record of the draw, None if it was not applied.

    The draws come from the generator of the pipeline (`Compose(..., seed=...)`), or from the data's entry
    that `key_from` names.
    """

    def __init__(
        self,
        profile: str | Path | Sequence[str | Path] = "lol3",
        weights: Sequence[float] | None = None,
        gamma: Gamma | None = None,
        level: Level | Curriculum | None = None,
        temperature: float | None = None,
        model: str | None = None,
        without: Sequence[str] = (),
        p: float = 1.0,
        seed: int = 0,
        key_from: str = "",
        clips: bool = False,
        pairs: bool = False,
        return_draw: bool = False,
        brightness: Brightness = "wide",
    ) -> None:
        super().__init__(p=p)
        self._record: Mapping[str, Any] | None = None  # of the call in progress
        self.low_light = Darkening(
            profile,
            weights=weights,
            gamma=gamma,
            level=level,
            brightness=brightness,
            temperature=temperature,
            model=model,
            without=without,
            seed=seed,
            clips=clips,
            pairs=pairs,
            return_draw=return_draw,
            key_from=key_from,
        )

    @property
    def targets_as_params(self) -> list[str]:
        """The entry with the key, which the data must have then."""
        return [self.low_light.key_from] if self.low_light.key_from else []

    def get_transform_init_args(self) -> dict[str, Any]:
        """The settings, as `albumentations.to_dict` stores them.

        Raises:
            UsageError: there is a curriculum, which cannot be stored.
        """
        settings = {name: value for name, value in self.low_light.settings.items() if name != "p"}
        if callable(settings["level"]):
            raise UsageError(
                "a curriculum cannot be stored",
                "give `level` as a number to store the pipeline",
                code="usage",
                parameter="level",
            )
        return {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}

    if hasattr(ImageOnlyTransform, "sample_parameters"):  # the successor of 2.0.8 renamed its hooks

        def sample_parameters(self, params: Any, data: Mapping[str, Any], targets: Any, sampling: Any) -> Any:
            sampled = super().sample_parameters(params, data, targets, sampling)
            sampled.params["record"] = self._drawn(data, sampling.random_generator)
            return sampled

        def apply_in_invocation(self, *args: Any, **data: Any) -> dict[str, Any]:
            return self._with_entries(super().apply_in_invocation, *args, **data)
    else:

        def get_params_dependent_on_data(
            self, params: dict[str, Any], data: Mapping[str, Any]
        ) -> dict[str, Any]:
            """The record of the draw, which `ReplayCompose` stores."""
            return {"record": self._drawn(data, self.random_generator)}

        def __call__(self, *args: Any, **data: Any) -> dict[str, Any]:
            return self._with_entries(super().__call__, *args, **data)

    def _drawn(self, data: Mapping[str, Any], generator: np.random.Generator) -> dict[str, Any]:
        if self.low_light.key_from:
            key = data[self.low_light.key_from]
        else:
            key = online_key(int(generator.integers(2**62)))
        return self.low_light.draw_if_applied(key).record()

    def _with_entries(self, call: Callable[..., dict[str, Any]], *args: Any, **data: Any) -> dict[str, Any]:
        """The result of a call, with the entries of `pairs` and `return_draw`."""
        self._record = None
        result = call(*args, **data)
        if self.low_light.pairs:
            result["light"] = data.get("image", data.get("images"))
        if self.low_light.return_draw:
            result["low_light_draw"] = self._record
        return result

    def apply(self, img: np.ndarray, **params: Any) -> np.ndarray:
        return self._darken(img[None], params["record"])[0]

    def apply_to_images(self, images: np.ndarray, **params: Any) -> np.ndarray:
        return self._darken(np.asarray(images), params["record"])

    def _darken(self, frames: np.ndarray, record: Mapping[str, Any]) -> np.ndarray:
        self._record = record
        image = as_image_input(frames, clips=True)
        return image.restore(self.low_light.darken(image.lights, [as_draw(record)], [0]))
