"""SHA-256 of bytes, short hashes of names, and the record of a published file."""

import hashlib
from dataclasses import dataclass


def sha256(data: bytes) -> str:
    """SHA-256 of bytes, hex."""
    return hashlib.sha256(data).hexdigest()


def text_hash(text: str) -> int:
    """A hash of a text, in [0, 2**64), for tables in memory; the same in every process."""
    encoded = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(encoded, digest_size=8).digest(), "big")


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One published file: its name, size and SHA-256."""

    name: str
    bytes: int
    sha256: str
