"""PNG files whose pixels are not those that were written, by their checksums (PNG specification, 5.3).

Pillow checks none of the chunks that hold pixels, and takes zeros, as an interrupted download leaves them at
the end of a file, for coded pixels.
"""

import struct
import zlib

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png_damage(data: bytes) -> str:
    """Why the pixels of a PNG file are not whole; empty if nothing says so, and for files of other kinds.

    Args:
        data: bytes of an image file, whose number of chunks is limited (:mod:`dimmagen.images.excess`).

    Returns:
        The end of a sentence that begins with the file's name.
    """
    place = len(_SIGNATURE)
    while data.startswith(_SIGNATURE) and place + 12 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        content = memoryview(data)[place + 4 : place + 8 + size]
        place += 12 + size
        if kind == b"IEND" or place > len(data):  # Pillow refuses one that is cut
            break
        if kind == b"IDAT" and zlib.crc32(content) != int.from_bytes(data[place - 4 : place], "big"):
            return "is damaged: its pixels have another checksum"
    return ""
