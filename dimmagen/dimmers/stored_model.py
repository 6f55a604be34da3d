"""The stored values of a dimmer model: tensors and settings, checked when they are read."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from dimmagen.core.errors import DimmagenError
from dimmagen.core.machine import is_machine_trouble, machine_error

MAX_HEADER = 2**20  # bytes, of a safetensors file before its tensors


def read_tensors(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Read a safetensors file that must contain exactly these tensors, float32 and finite.

    Args:
        path: of the file.
        shapes: of the expected tensors, by name.

    Raises:
        DimmagenError: the file is not a safetensors file (a pickle is never loaded), or a tensor is missing,
            unexpected, of another shape or type, or holds NaN or infinity.
    """
    try:
        expected = 4 * sum(math.prod(shape) for shape in shapes.values())
        if path.stat().st_size > expected + MAX_HEADER:  # a sparse file of any size takes no room on a disk
            raise ValueError(f"it has more than {expected} bytes of tensors")
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        if is_machine_trouble(error):
            raise machine_error(error, path) from error
        raise DimmagenError(
            f"{path} is not a safetensors file ({error})",
            "fit or import the profile again",
            code="damaged",
            path=str(path),
        ) from None
    check_tensors(path, tensors, shapes)
    return tensors


def check_tensors(
    path: Path, tensors: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Check names, shapes and values of tensors.

    Args:
        path: of their file, for messages.
        tensors: by name.
        shapes: expected, by name.

    Raises:
        DimmagenError: the names or shapes are others, or a tensor is not finite float32.
    """
    todo = "it is damaged or of another kind: fit or import it again"
    if tensors.keys() != shapes.keys():
        odd = sorted(tensors.keys() ^ shapes.keys())
        raise DimmagenError(
            f"{path} has missing or unexpected tensors: {', '.join(odd)}",
            todo,
            code="damaged",
            path=str(path),
        )
    for name, shape in shapes.items():
        array = tensors[name]
        if array.shape != shape or array.dtype != np.float32:
            found = f"{array.dtype} {array.shape}"
            raise DimmagenError(
                f"{path}: {name} is {found}, not float32 {shape}", todo, code="damaged", path=str(path)
            )
        if not np.isfinite(array).all():
            raise DimmagenError(f"{path}: {name} holds NaN or infinity", todo, code="damaged", path=str(path))


def check_settings(
    folder: Path, settings: Mapping[str, object], ranges: Mapping[str, tuple[float, float]]
) -> None:
    """Check the settings of a model.

    Args:
        folder: of the profile, for messages.
        settings: by name.
        ranges: lowest and highest value of each setting, both of the setting's type.

    Raises:
        DimmagenError: a setting is missing, unexpected, of another type, or outside its range.
    """
    for name in sorted(settings.keys() | ranges.keys()):
        low, high = ranges.get(name, (0, 0))
        value = settings.get(name)
        kinds = (int, float) if isinstance(low, float) else (type(low),)
        if name not in ranges or type(value) not in kinds or not low <= value <= high:  # type: ignore[operator]
            raise DimmagenError(
                f"{folder / 'profile.json'}: {name} is {value!r}, not a number from {low} to {high}",
                "fit or import the profile again",
                code="damaged",
                path=str(folder),
                name=name,
                value=value,
            )
