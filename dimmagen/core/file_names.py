"""Names of files as text that does not depend on the locale.

A name is bytes. Python decodes it by the locale, so that the same file has another text on another machine:
here a name is UTF-8, and a byte that is not stands for itself as one of Python's lone surrogates (PEP 383).
"""

import os
import sys
import unicodedata


def portable(name: str) -> str:
    """The text of a local name or path that Python has decoded, the same under every locale."""
    if _is_utf8():
        return name
    try:
        return os.fsencode(name).decode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # no name of a file of this machine
        return name


def native(name: str) -> str:
    """The name or path that opens the file here: the inverse of :func:`portable`."""
    return name if _is_utf8() else os.fsdecode(name.encode("utf-8", "surrogateescape"))


def common_form(name: str) -> str:
    """What two systems agree on in a name or path: accents as one character each, and `/` between folders.

    macOS writes them as a letter and an accent, and Windows writes a backslash.
    """
    return unicodedata.normalize("NFC", name).replace("\\", "/")


def _is_utf8() -> bool:
    return os.name == "nt" or sys.getfilesystemencoding().replace("-", "").lower() == "utf8"
