"""LowLight: a photo as a given camera would take it in the dark, as one step of a training pipeline.

The same settings mean the same behind every interface, and with the same (profile, seed, key, variant) the
dark pixels are those that `dimmagen dim` writes.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dimmagen.core.errors import UsageError
from dimmagen.transforms.darkening import AnyDraw, Darkening, as_draw, online_key
from dimmagen.transforms.draws import LowLightDraw
from dimmagen.transforms.image_inputs import ImageInput, as_image_input, find_images

if TYPE_CHECKING:
    from dimmagen.transforms.for_albumentations import AlbumentationsLowLight
    from dimmagen.transforms.for_kornia import KorniaLowLight


class LowLight(Darkening):
    """Darkens images as one camera would, or as several.

    An object is called with an array, a tensor, a PIL image or torchvision's tensors, in any nesting; boxes,
    masks and everything else pass through. It can be used in `torchvision.transforms.v2.Compose` directly;
    :meth:`for_albumentations` and :meth:`for_kornia` give it as a step of those.

    Args:
        profile: name or folder of a profile, or several of them.
        weights: relative frequencies of several profiles; default equal.
        gamma: brightness factor, or the range from which it is drawn; default the profile's range.
        level: darkness in [0, 1] in place of a drawn gamma: 0 is the brightest gamma of the range, 1 the
            darkest, in equal factors; or a range from which gamma is drawn; or a curriculum, a function of
            :attr:`step` that returns either.
        brightness: `wide` draws gamma from its range; `as-pairs` keeps it at 1, so that dark images are as
            dark as the pairs of the profile.
        temperature, model, without: as for :meth:`.ImageDimmer.from_profile`, for all profiles.
        p: probability that an image is darkened.
        seed: as that of a data set.
        key_from: name of the entry of a dictionary that holds the image's key (`light_key` in a data set);
            with it the draws are those of the data set.
        clips: inputs with one more dimension than an image are clips (T, ...), not batches. A torchvision
            `Video` is always a clip. The frames of a clip share all draws but the noise.
        pairs: give (dark, light) in place of each image.
        return_draw: return (output, draw), with a list of draws for a batch.

    Raises:
        UsageError: a profile or an option is unknown, or a value is out of its range.
        DimmagenError: a profile is damaged.

    Example:
        >>> low_light = LowLight("lol3")
        >>> light = np.full((4, 6, 3), 200, np.uint8)
        >>> low_light(light).shape  # new draws, from numpy's generator
        (4, 6, 3)
        >>> dark = low_light(light, key="coco-0123456789abcdef")  # the pixels of a data set with this key
        >>> bool((dark == low_light(light, draw=low_light.draw("coco-0123456789abcdef"))).all())
        True
    """

    def __repr__(self) -> str:
        given = {
            name: value for name, value in self.settings.items() if value not in (None, "", (), False, "wide")
        }
        return f"LowLight({', '.join(f'{name}={value!r}' for name, value in given.items())})"

    def __call__(
        self,
        *inputs: Any,
        key: str | Sequence[str] | None = None,
        variant: int = 0,
        draw: AnyDraw | Sequence[AnyDraw] | None = None,
    ) -> Any:
        """Darken the images among the inputs.

        All images of one call share one draw, and each has noise of its own; each image of a batch has a draw
        of its own.

        Args:
            inputs: any nesting of images and of what belongs to them. Images are PIL images and torchvision's
                `Image` and `Video`; where there are none, the first tensor (..., 3, H, W) or array
                (..., H, W, 3). Values are uint8, or float in [0, 1], which is rounded to 8 bits.
            key: of the image; one for each image of a batch. Without it, the draw is new: from numpy's
                generator for arrays, otherwise from torch's.
            variant: as for :meth:`draw`.
            draw: or its record, to be replayed; one for each image of a batch.

        Returns:
            The inputs with dark images of the same types, shapes and devices (for several inputs, a tuple);
            see `pairs` and `return_draw` of the class.

        Raises:
            UsageError: there is no image, an image is not 8-bit or float RGB, or there are not as many keys
                or draws as images.
        """
        structure: Any = inputs if len(inputs) != 1 else inputs[0]
        leaves, rebuild = _flatten(structure)
        places = find_images(leaves)
        if not places:
            raise UsageError(
                "there is no image among the inputs of the transform",
                "give an array, a tensor, a PIL image or torchvision's Image or Video",
                code="missing-argument",
                parameter="inputs",
            )
        images = [as_image_input(leaves[place], self.clips) for place in places]
        count = _batch_size(images)
        if key is None and self.key_from and draw is None:
            key = _entry(structure, self.key_from)
        draws = self._draws(leaves[places[0]], count, key, variant, draw)
        frame = 0
        for place, image in zip(places, images, strict=True):
            dark = image.restore(self.darken(image.lights, draws, [frame] * count))
            leaves[place] = (dark, leaves[place]) if self.pairs else dark
            frame += image.lights.shape[1]
        output = rebuild(leaves)
        if not self.return_draw:
            return output
        return output, draws if images[0].batched else draws[0]

    def for_albumentations(self) -> "AlbumentationsLowLight":
        """The same transform as a step of `albumentations.Compose`.

        Raises:
            UsageError: albumentations is not installed.
        """
        from dimmagen.transforms.for_albumentations import AlbumentationsLowLight

        transform = AlbumentationsLowLight(**self.settings)
        transform.low_light = self  # with its step
        return transform

    def for_kornia(self, same_on_batch: bool = False) -> "KorniaLowLight":
        """The same transform as a module of kornia's augmentations.

        Args:
            same_on_batch: all images of a batch share one draw, and have noise of their own.

        Raises:
            UsageError: kornia is not installed, or the settings are not for batches of images.
        """
        from dimmagen.transforms.for_kornia import KorniaLowLight

        return KorniaLowLight(self, same_on_batch=same_on_batch)

    def _draws(
        self,
        first: Any,
        count: int,
        key: str | Sequence[str] | None,
        variant: int,
        draw: AnyDraw | Sequence[AnyDraw] | None,
    ) -> list[LowLightDraw]:
        if draw is not None:
            return [as_draw(one) for one in _one_per_image(draw, (LowLightDraw, Mapping), count, "draw")]
        if key is not None:
            return [self.draw(one, variant) for one in _one_per_image(key, str, count, "key")]
        return [self.draw(online_key(number), variant) for number in _new_numbers(first, count)]


def _new_numbers(first: Any, count: int) -> list[int]:
    """Random numbers in [0, 2**62), from the generator that people expect: see :meth:`LowLight.__call__`."""
    if isinstance(first, np.ndarray):
        return [int(number) for number in np.random.randint(0, 2**62, count)]
    import torch

    return torch.randint(2**62, (count,), device="cpu").tolist()


def _one_per_image(value: Any, one: Any, count: int, name: str) -> list[Any]:
    values = [value] if isinstance(value, one) or not isinstance(value, Iterable) else list(value)
    if len(values) != count or not all(isinstance(element, one) for element in values):
        raise UsageError(
            f"`{name}` has {len(values)} element{'s' * (len(values) != 1)} for {count} "
            f"image{'s' * (count != 1)}",
            f"give one {name} for each image of a batch",
            code="usage",
            parameter=name,
        )
    return values


def _batch_size(images: Sequence[ImageInput]) -> int:
    sizes = {len(image.lights) for image in images}
    if len(sizes) > 1:
        raise UsageError(
            f"the inputs are batches of {sorted(sizes)} images",
            "give batches of the same size, or call the transform for each",
            code="usage",
            parameter="inputs",
        )
    return sizes.pop()


def _entry(structure: Any, name: str) -> Any:
    """The entry of a dictionary, or of the first dictionary among several inputs, that has it."""
    for part in structure if isinstance(structure, (tuple, list)) else [structure]:
        if isinstance(part, Mapping) and name in part:
            return part[name]
    raise UsageError(
        f"the inputs have no entry {name!r}, which `key_from` names",
        "give a dictionary with the key of the image, or omit `key_from`",
        code="missing-argument",
        parameter="key_from",
    )


def _flatten(structure: Any) -> tuple[list[Any], Any]:
    """The leaves of a nesting, and the function that builds it again from other leaves."""
    if isinstance(structure, np.ndarray):
        return [structure], lambda leaves: leaves[0]
    from torch.utils import _pytree  # as torchvision does

    leaves, spec = _pytree.tree_flatten(structure)
    return leaves, lambda leaves: _pytree.tree_unflatten(leaves, spec)
