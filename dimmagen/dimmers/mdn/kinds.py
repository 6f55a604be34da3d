"""The two kinds of dimmer that share the paper's network: `mdn`, and `deterministic`, its ablation without
noise."""

from pathlib import Path
from typing import Any, ClassVar

from dimmagen.core.errors import DimmagenError
from dimmagen.dimmers.base import DimmerModel
from dimmagen.dimmers.mdn.model import DeterministicModel, MdnFiles, MdnModel


class Mdn:
    """The paper's dimmer; its `reference` behaviour is the authors' own transform."""

    fitted: ClassVar[bool] = True
    compats: ClassVar[tuple[str, ...]] = ("default", "reference")

    @staticmethod
    def load(folder: Path | None, settings: dict[str, Any], compat: str = "default") -> DimmerModel:
        files = _files(folder, settings)
        if compat == "default":
            return MdnModel(files)
        from dimmagen.dimmers.mdn.reference import ReferenceModel  # imports torch

        return ReferenceModel(files)

    @staticmethod
    def parameters() -> dict[str, Any]:
        return {}


class Deterministic:
    """The mean of what :class:`Mdn` draws."""

    fitted: ClassVar[bool] = True
    compats: ClassVar[tuple[str, ...]] = ("default",)

    @staticmethod
    def load(folder: Path | None, settings: dict[str, Any], compat: str = "default") -> DimmerModel:
        return DeterministicModel(_files(folder, settings))

    @staticmethod
    def parameters() -> dict[str, Any]:
        return {}


def _files(folder: Path | None, settings: dict[str, Any]) -> MdnFiles:
    if folder is None:
        raise DimmagenError("an MDN is stored in a profile's folder, and there is none")
    return MdnFiles.read(folder, settings)
