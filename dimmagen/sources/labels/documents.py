"""Labels of any content: one JSON object for each image."""

from collections.abc import Iterator
from typing import Any

from dimmagen.core import hashing, storage
from dimmagen.sources.labels.annotations import broken
from dimmagen.sources.labels.files import LabelFiles
from dimmagen.sources.labels.records import LabelledLight, LabelRecord, LabelSource, document_bytes


class JsonLabels(LabelSource):
    """One JSON object for each image, of any content: it is stored as it is, and never moved.

    Args, Raises: as for :class:`LabelFiles`.
    """

    format = "json"

    def __init__(self, path: str) -> None:
        self._files = LabelFiles(path, (".json",))

    def names(self) -> Iterator[str]:
        return self._files.names()

    def read(self, name: str) -> dict[str, Any]:
        """The object of one image.

        Raises:
            DimmagenError: the file is not a JSON object.
        """
        try:
            return storage.parse_json(self._files.text(name))
        except ValueError as error:
            raise broken(f"{self._files.path}: {name}", f"it is not a JSON object ({error})") from error

    def record(self, name: str | None, light: LabelledLight) -> LabelRecord:
        found = {} if name is None else self.read(name)
        if found and light.photo_size != (light.ref.width, light.ref.height):
            raise light.refused("its source resizes it, and labels of any content cannot be moved")
        data = document_bytes(found)
        return LabelRecord(data, hashing.sha256(data))
