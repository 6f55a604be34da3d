"""Text for people: counts with their nouns, and names, paths and settings of strangers made safe to show."""

import codecs
import html
import os
import re
import shlex
import subprocess

# What cmd or PowerShell take for a part of their own language, besides spaces.
_WINDOWS_SPECIAL = re.compile(r"[&|<>^(){};,'`@#]")
# Control characters (C0, DEL, C1), those that turn the direction of text or separate lines, lone surrogates.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")

# What begins something in Markdown, in the middle of a line.
_MARKDOWN = re.compile(r"[\\`*\[\]|~]|(?<!\w)_|_(?!\w)")


def printable(text: str, keep: str = "\n\t") -> str:
    r"""Text whose control characters are escaped, so that it cannot move a cursor or hide what it says.

    Args:
        text: of anyone.
        keep: control characters that stay; none for what must be one line.

    Example:
        >>> printable("cat\x1b[2J.jpg")
        'cat\\x1b[2J.jpg'
    """
    return _UNSEEN.sub(lambda found: found[0] if found[0] in keep else _escaped(found[0]), text)


def decoded(data: bytes) -> str:
    """The text of a file that someone has written: UTF-8, or UTF-16 as PowerShell and Excel store it.

    Raises:
        UnicodeDecodeError: it is neither.

    Example:
        >>> decoded(b"\\xff\\xfea\\0"), decoded(b"\\xef\\xbb\\xbfa")
        ('a', 'a')
    """
    is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if is_utf16 else "utf-8-sig")


def one_line(text: str) -> str:
    """As :func:`printable`, with line ends and tabs escaped as well."""
    return printable(text, keep="")


def markdown(text: str) -> str:
    """Text of anyone as one line of Markdown that says just that: no HTML, link, table cell or code."""
    return _MARKDOWN.sub(r"\\\g<0>", html.escape(one_line(text), quote=False))


def pluralize(number: int, noun: str, plural: str = "") -> str:
    """A count with its noun: `1 pair`, `2 pairs`; with the plural where that is not the noun and an s."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def _escaped(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"


def shell_word(path: object) -> str:
    """A path as one word of a command that people copy into a shell.

    Example:
        >>> [shell_word(path) for path in ("out", "-out")]
        ['out', './-out']
    """
    text = str(path)
    text = f"./{text}" if text.startswith("-") else text
    if os.name != "nt":
        return shlex.quote(text)
    word = subprocess.list2cmdline([text])  # which quotes spaces alone; no name there has a quotation mark
    if word != text or not _WINDOWS_SPECIAL.search(text):
        return word
    ending = text[len(text.rstrip("\\")) :]  # which would take the quotation mark for a part of the name
    return f'"{text}{ending}"'
