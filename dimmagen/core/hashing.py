"""SHA-256 of bytes, and the record of a published file."""

import hashlib
from dataclasses import dataclass


def sha256(data: bytes) -> str:
    """SHA-256 of bytes, hex."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One published file: its name, size and SHA-256."""

    name: str
    bytes: int
    sha256: str
