"""The command in the manifest of a data set: all that decides its bytes, with placeholders for paths."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from dimmagen.dataset.manifest import EXCLUDE
from dimmagen.sources import SOURCES


def command_line(
    settings: Mapping,
    sources: Iterable[str],
    extensions: Sequence[str] = (),
    sizes: Mapping[str, int] | None = None,
    choices: Mapping[str, Any] | None = None,
) -> str:
    """The command that makes this data set on any machine: all settings, with placeholders for paths.

    Folders, workers and the executor are omitted because they do not change the output, and so is the light
    format where it converts nothing: that is what the command does anyway.

    Args:
        settings: of the run.
        sources: names.
        extensions: file types of the light images before they are converted.
        sizes: values of `--resize` and `--crop`, if they were given.
        choices: by which photos were chosen, see :meth:`.PhotoSelection.choices`.
    """
    words = ["dimmagen", "dim", "--profile", settings["profile"]]
    for source in sources:
        needs_path = source not in SOURCES or not SOURCES[source].default_path
        words += ["--source", f"{source}={source.upper()}" if needs_path else source]
    words += ["--exclude", EXCLUDE.upper()] if EXCLUDE in settings else []
    words += _choice_words({**(choices or {}), **(sizes or {})})
    words += ["--shards", "out/", *_draw_words(settings), *_dimmer_words(settings)]
    words += ["--samples-per-shard", settings["samples_per_shard"]]
    words += ["--image-format", settings["image_format"]]
    light_format = settings.get("light_format", "same" if len(extensions) > 1 else "")
    words += ["--light-format", light_format] if light_format else []
    if labels := settings.get("labels"):
        words += ["--labels", f"{labels['format']}=LABELS"]
    return shlex.join(str(word) for word in words)


def _draw_words(settings: Mapping) -> list[Any]:
    ladder = settings.get("ladder", [])
    words = ["--variants", settings["variants"] // (len(ladder) or 1), "--seed", settings["seed"]]
    if "brightness" in settings:
        words += ["--brightness", settings["brightness"]]
    elif ladder:
        words += ["--ladder", ",".join(map(str, ladder))]
    else:
        words += ["--gamma", ":".join(map(str, settings["gamma_range"]))]
    return words + (["--group-by", settings["group_by"]] if "group_by" in settings else [])


def _dimmer_words(settings: Mapping) -> list[Any]:
    words = ["--temperature", settings["temperature"], "--model", settings["model"]]
    for part in filter(None, settings.get("without", "").split(",")):
        words += ["--without", part]
    return [*words, "--compat", settings.get("compat", "default")]


# The choices among photos in the order of the command, with the types of the numbers among them.
_CHOICES: dict[str, type[int] | type[float] | None] = {
    "resize": int,
    "crop": int,
    "min_lightness": float,
    "limit": int,
    "names": None,
    "follow_links": None,
}


def _option(name: str) -> str:
    return "--list" if name == "names" else f"--{name.replace('_', '-')}"


def _choice_words(choices: Mapping[str, Any]) -> list[str]:
    words: list[str] = []
    for name, number in _CHOICES.items():
        if name in choices:
            words += [_option(name), *([str(choices[name])] if number else [])]
            words += ["LIST"] if name == "names" else []
    return words


def joined_choices(before: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The choices for all photos of a data set to which some were added: a list only where all are of one."""
    of_lists = "names" in before and "names" in new
    return {name: value for name, value in {**before, **new}.items() if name != "names" or of_lists}


def choices_of(command: str) -> dict[str, Any]:
    """By which choices the photos of a data set were chosen, from the command in its manifest, untrusted.

    A manifest has them nowhere else: its settings decide the fingerprint, in which the census of the photos
    already stands for what chose them.

    Returns:
        Values of `resize`, `crop`, `min_lightness` and `limit`; `names` and `follow_links` are `True`. A data
        set of version 0.1.0 names sizes alone.
    """
    try:
        words = shlex.split(command)
    except ValueError:
        return {}
    found: dict[str, Any] = {}
    for name, number in _CHOICES.items():
        place = words.index(_option(name)) + 1 if _option(name) in words else 0
        if place and number:
            with suppress(ValueError, IndexError):
                found[name] = number(words[place])
        elif place:
            found[name] = True
    return found
