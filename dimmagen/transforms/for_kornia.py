"""LowLight as a module of kornia's augmentations: batches of float images, on any device."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import compress
from typing import Any

import torch
from torch import Tensor

from dimmagen.core.errors import UsageError
from dimmagen.core.optional_packages import missing_package
from dimmagen.transforms.darkening import STAYS_LIGHT, AnyDraw, Darkening, as_draw, online_key
from dimmagen.transforms.draws import LowLightDraw
from dimmagen.transforms.image_inputs import as_image_input

try:
    from kornia.augmentation import IntensityAugmentationBase2D
except Exception as error:
    raise missing_package("this transform needs", "kornia", "kornia", error) from None

DRAWS, COUNTED = "low_light_draws", "low_light_counted"


class KorniaLowLight(IntensityAugmentationBase2D):
    """Darkens batches, float (B, 3, H, W) in [0, 1] (or one image (3, H, W)), on their device.

    Images with equal new draws (`same_on_batch`, the frames of a `VideoSequential`) share all but the noise.
    Draws are in `_params`: `module(batch, params=module._params)` repeats a call.

    Args:
        low_light: the settings.
        same_on_batch: all images of a batch share one draw.

    Raises:
        UsageError: the settings are not for batches of images.
    """

    def __init__(self, low_light: Darkening, same_on_batch: bool = False) -> None:
        super().__init__(p=low_light.p, same_on_batch=same_on_batch, p_batch=1.0, keepdim=False)
        for name in ("pairs", "return_draw", "key_from", "clips"):
            if getattr(low_light, name):
                raise UsageError(
                    f"`{name}` is not for kornia's modules, which give a batch for a batch",
                    "the light batch is the input; give draws by `draws`, and read them with `last_draws()`",
                    code="conflict",
                    parameter=name,
                )
        self.low_light = low_light

    def forward(
        self,
        input: Tensor,
        params: dict[str, Tensor] | None = None,
        draws: Sequence[AnyDraw] | None = None,
        **options: Any,
    ) -> Tensor:
        """Darken a batch.

        Args:
            input: float (B, 3, H, W) or (3, H, W), in [0, 1].
            params: as for every module of kornia.
            draws: one per image, from :meth:`Darkening.draw` or their records; default new ones.

        Raises:
            UsageError: an image is not RGB in [0, 1], or there are not as many draws as images.
        """
        if draws is not None:
            params = {DRAWS: _packed([as_draw(one) for one in draws])}
        return super().forward(input, params, **options)

    def last_draws(self) -> list[LowLightDraw]:
        """The draws of the last call, one per image; those of images that stayed light are among them."""
        return _unpacked(self._params[DRAWS])

    # Not generate_parameters, which kornia before 0.9 calls for only the images that are to be dark.
    def forward_parameters(self, batch_shape: tuple[int, ...]) -> dict[str, Tensor]:
        params = super().forward_parameters(batch_shape)
        count = 1 if self.same_on_batch else batch_shape[0]
        numbers = torch.randint(2**62, (count,), device="cpu").tolist()
        draws = [self.low_light.draw_if_applied(online_key(number)) for number in numbers]
        packed = _packed(draws * batch_shape[0] if self.same_on_batch else draws)
        return {**params, DRAWS: packed, COUNTED: torch.ones(batch_shape[0], dtype=torch.uint8, device="cpu")}

    def apply_transform(
        self,
        input: Tensor,
        params: Mapping[str, Tensor],
        flags: Mapping[str, Any],
        transform: Tensor | None = None,
    ) -> Tensor:
        draws = _unpacked(params[DRAWS])
        applied = (params["batch_prob"] > 0.5).tolist() if self.p < 1 else [True] * len(input)
        if len(draws) != len(applied):
            raise UsageError(
                f"there are {len(draws)} draws for {len(applied)} images",
                "give one draw per image",
                code="usage",
                parameter="draws",
            )
        if len(input) < len(applied):  # as before kornia 0.9
            draws = list(compress(draws, applied))
        else:
            draws = [draw if one else STAYS_LIGHT for draw, one in zip(draws, applied, strict=True)]
        image = as_image_input(input, clips=False)
        # New draws that are equal are those of one clip; draws that were given are of images with their keys.
        frames = _occurrences(draws) if COUNTED in params else [0] * len(draws)
        return image.restore(self.low_light.darken(image.lights, draws, frames))


def _occurrences(draws: Sequence[LowLightDraw]) -> list[int]:
    """How often each draw occurred before."""
    seen = Counter[LowLightDraw]()
    numbers = []
    for draw in draws:
        numbers.append(seen[draw])
        seen[draw] += 1
    return numbers


def _packed(draws: Sequence[LowLightDraw]) -> Tensor:
    """Draws as kornia keeps parameters: uint8 (B, N), their records as JSON with spaces at the end."""
    texts = [json.dumps(draw.record()) for draw in draws]
    width = max(map(len, texts), default=0)
    return torch.tensor(
        [list(text.ljust(width).encode("ascii")) for text in texts], dtype=torch.uint8, device="cpu"
    )


def _unpacked(packed: Tensor) -> list[LowLightDraw]:
    return [LowLightDraw.from_record(json.loads(bytes(row).decode("ascii"))) for row in packed.tolist()]
