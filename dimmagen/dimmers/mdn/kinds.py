"""Registry entries of the dimmers with the paper's network: `mdn`, and its ablation `deterministic`."""

from pathlib import Path
from typing import Any, ClassVar

from dimmagen.core.errors import DimmagenError
from dimmagen.dimmers.base import DimmerModel
from dimmagen.dimmers.mdn.model import DeterministicModel, MdnFiles, MdnModel


class Mdn:
    """The paper's dimmer; with `compat="reference"`, the authors' own transform."""

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
    """The paper's ablation without noise: the mean of the dark images that :class:`Mdn` draws."""

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
        raise DimmagenError(
            "an MDN is loaded from the folder of a profile",
            "give a `folder`",
            code="missing-argument",
            parameter="folder",
        )
    return MdnFiles.read(folder, settings)
