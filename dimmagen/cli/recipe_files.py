"""The YAML files of recipes, as untrusted values, and those that come with the package."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from dimmagen.core.errors import UsageError
from dimmagen.core.registry import unknown_name
from dimmagen.core.text import decoded

_BUNDLED = Path(__file__).parent / "bundled"
_MAX_BYTES = 2**20


class _Loader(yaml.SafeLoader):
    """YAML whose plain values are strings, as on a command line: 1:1 and 012 are not numbers of other bases.

    Only `true`, `false`, `null`, `~` and empty values keep their meaning. Aliases are refused: a few of them
    within each other stand for gigabytes, and one may name itself. So is a key that is there twice, of which
    PyYAML would take the last one.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        """The next node; raises a YAMLError for an alias."""
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.composer.ComposerError(
                None, None, f"the alias *{event.anchor} is not read: write the value itself", event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict:
        """The values of a mapping; raises a YAMLError for a key that it has twice."""
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is there twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(true|false)$"), list("tf"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(null|~|)$"), ["n", "~", ""])


def read_yaml(path: Path) -> dict:
    """The mapping in a YAML file.

    Args:
        path: of the file, or the name of a recipe that comes with the package.

    Raises:
        UsageError: it is missing, is not YAML, or is not a mapping.
    """
    if not path.exists():
        path = _bundled(path)
    try:
        text = path.read_bytes()
        if len(text) > _MAX_BYTES:
            raise UsageError(
                f"{path} has more than {_MAX_BYTES} bytes",
                "give a recipe",
                code="wrong-format",
                path=str(path),
            )
        values = yaml.load(decoded(text), _Loader) or {}
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read ({error.strerror})", "check the path", code="missing-path", path=str(path)
        ) from None
    except RecursionError:
        raise UsageError(
            f"{path} is nested too deeply", "correct the file", code="wrong-format", path=str(path)
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, TypeError) as error:
        raise UsageError(
            f"{path} is not YAML ({' '.join(str(error).split())})",
            "correct the file",
            code="wrong-format",
            path=str(path),
        ) from None
    if not isinstance(values, dict):
        raise UsageError(
            f"{path} has no options",
            "write a line `option: value` for each option",
            code="wrong-format",
            path=str(path),
        )
    for name in _with_empty_entries(values):
        raise UsageError(
            f"{path}: {name} has an empty value in its list",
            "remove it, or write what is missing",
            code="wrong-format",
            name=name,
        )
    return values


def _with_empty_entries(values: Mapping[str, Any]) -> Iterator[str]:
    """The options whose list has an entry without a value, of all steps."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _with_empty_entries(value)
        elif isinstance(value, list) and None in value:
            yield name


def bundled_recipes() -> dict[str, Path]:
    """The recipes that come with the package, by name."""
    return {path.stem: path for path in sorted(_BUNDLED.glob("*.yaml"))}


def summary(path: Path) -> str:
    """The first sentence of the comment that a recipe begins with."""
    comment: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        comment.append(line.lstrip("# "))
    return re.split(r"[.:(]\s|\(", " ".join(comment))[0].strip(" .:")


def _bundled(path: Path) -> Path:
    """The file of a bundled recipe; a path that does not look like its name is returned as it is.

    Raises:
        UsageError: there is no recipe of this name.
    """
    # The recipes were files in pipelines/ before they became part of the package.
    if path.parent.name not in ("", "pipelines") or path.suffix not in ("", ".yaml"):
        return path
    known = bundled_recipes()
    if path.stem not in known:
        raise unknown_name("recipe or file", str(path), known)
    return known[path.stem]


def option_value(name: str, value: str) -> Any:
    """The value of an option that was given as YAML on the command line, with its name for the message."""
    try:
        return yaml.load(value, _Loader)
    except (yaml.YAMLError, RecursionError, ValueError, TypeError):
        raise UsageError(
            f"--set {name}={value} is not a YAML value", "put it in quotes", code="wrong-format", name=name
        ) from None
