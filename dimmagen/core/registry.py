"""Registries: the extension points for sources, archives, dimmers, export layouts, networks and metrics.

A registry maps names to objects. Built-in objects are given as `module:attribute` and imported on
first use; an installed package adds objects through entry points of the registry's group; a script adds one
with :meth:`Registry.register`. docs/extending.md has a complete example of each kind.
"""

import difflib
import importlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from dimmagen.core.errors import DimmagenError, UnknownNameError, UsageError, fault_of

T = TypeVar("T")
Item = TypeVar("Item")
Faults = Callable[[str, Any], Iterable[str]]
"""Given a name and the object of that name: why it cannot be used, in a few words each; nothing if it can."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Plugin:
    """The installed package that an object comes from: its distribution's name and version."""

    distribution: str
    version: str


class Registry(Mapping[str, T], Generic[T]):
    """Objects of one kind by name: built-in objects, those registered in this process, and those of plug-ins.

    Args:
        kind: what the objects are, for messages, such as `source`.
        group: group of the entry points, such as `dimmagen.sources`.
        builtin: `module:attribute` by name, imported on first use.
        instantiate: whether a registered class is replaced by an instance, created without arguments.
        faults: finds out whether an object is complete, before it is used for the first time. Without it,
            what a half-written plug-in lacks would come up in the middle of a run, or never.

    Example:
        >>> numbers = Registry[int]("number", "example.numbers", {"pi": "math:pi"})
        >>> numbers.register("four")(4), sorted(numbers), round(numbers["pi"], 2)
        (4, ['four', 'pi'], 3.14)
    """

    def __init__(
        self,
        kind: str,
        group: str,
        builtin: Mapping[str, str] | None = None,
        *,
        instantiate: bool = False,
        faults: Faults = lambda name, item: (),
    ) -> None:
        self.kind, self.group = kind, group
        self._instantiate = instantiate
        self._faults = faults
        self._complete: dict[str, T] = {}
        self._builtin = dict(builtin or {})
        self._loaded: dict[str, T] = {}
        self._registered: dict[str, Any] = {}
        self._entry_points: dict[str, list[EntryPoint]] | None = None

    def register(self, name: str) -> Callable[[Item], Item]:
        """Decorator that adds an object under a name, for this process only.

        Raises:
            UsageError: the name is taken, or is not made from lower-case letters, digits, `-` and `_`.
        """

        def add(item: Item) -> Item:
            self._refuse_name(name)
            if name in self._builtin or name in self._loaded:
                raise self._taken(name)
            self._loaded[name] = self._made(item)
            self._registered[name] = item
            return item

        return add

    def __getitem__(self, name: str) -> T:
        """The object of that name.

        Raises:
            UnknownNameError: there is no object of that name.
            DimmagenError: the plug-in that provides it cannot be imported, or the object is not complete.
            UsageError: a plug-in has a name that it cannot have, or that something else has, too.
        """
        item = self._loaded.get(name)
        if item is not None and self._complete.get(name) is item:
            return item
        self._refuse_ambiguous(name)
        if item is None:
            item = self._loaded[name] = self._load(name)
        # Not where it is registered: a decorator may stand below another one that completes the class.
        self._refuse_incomplete(name, item)
        self._complete[name] = item
        return item

    def __contains__(self, name: object) -> bool:
        return name in self._loaded or name in self._builtin or name in self._plugins()

    def __iter__(self) -> Iterator[str]:
        plugins = self._plugins()
        registered = [name for name in self._loaded if name not in self._builtin and name not in plugins]
        return iter([*self._builtin, *registered, *(name for name in plugins if name not in self._builtin)])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def usable(self) -> tuple[dict[str, T], dict[str, DimmagenError]]:
        """All objects by name, for lists that a broken plug-in must not end: those that can be used, and the
        errors of the others."""
        found: dict[str, T] = {}
        failures: dict[str, DimmagenError] = {}
        for name in self:
            try:
                found[name] = self[name]
            except DimmagenError as error:
                failures[name] = error
        return found, failures

    def plugin(self, name: str) -> Plugin | None:
        """The package that provides the entry point of this name; None for built-in and unknown names."""
        point = None if name in self._builtin else self._point(name)
        if point is None or point.dist is None:
            return None
        return Plugin(point.dist.name, point.dist.version)

    def unknown(self, name: str) -> UnknownNameError:
        """The error for a name that is not registered, with the nearest known names."""
        return unknown_name(self.kind, name, self)

    def _load(self, name: str) -> T:
        if name in self._builtin:
            module, attribute = self._builtin[name].split(":")
            return self._made(getattr(importlib.import_module(module), attribute))
        point = self._point(name)
        if point is None:
            raise self.unknown(name)
        try:
            return self._made(point.load())
        except Exception as error:
            raise DimmagenError(
                f"the {self.kind} {name} cannot be loaded from {point.value} "
                f"({type(error).__name__}: {error})",
                "install its package again, or uninstall it",
                code="plugin-broken",
                kind=self.kind,
                name=name,
            ) from error

    def _refuse_incomplete(self, name: str, item: T) -> None:
        try:
            faults = list(self._faults(name, item))
        except Exception as error:  # in the code of the plug-in
            faults = [fault_of(error)]
        if faults:
            point = self._point(name)
            where = f" of {point.value}" if point else ""
            raise DimmagenError(
                f"the {self.kind} {name}{where} cannot be used: {'; '.join(faults)}",
                "correct it, as docs/extending.md shows, or uninstall its package",
                code="plugin-broken",
                kind=self.kind,
                name=name,
            )

    def _made(self, item: Any) -> T:
        return item() if self._instantiate and isinstance(item, type) else item

    def _plugins(self) -> dict[str, list[EntryPoint]]:
        """The entry points of each name: more than one where packages took the same name."""
        if self._entry_points is None:
            found: dict[str, list[EntryPoint]] = {}
            for point in sorted(entry_points(group=self.group), key=lambda point: (point.name, point.value)):
                found.setdefault(point.name, []).append(point)
            self._entry_points = found
        return self._entry_points

    def _point(self, name: str) -> EntryPoint | None:
        return next(iter(self._plugins().get(name, ())), None)

    def _refuse_ambiguous(self, name: str) -> None:
        """Where it is used, not where names are listed: the other names are not worse for it."""
        points = self._plugins().get(name, ())
        places = [point.value for point in points]
        if places:
            self._refuse_name(name, f" ({places[0]})")
        if places and name in self._builtin:
            places.insert(0, self._builtin[name])
        elif name in self._registered and not all(self._is_registered(name, point) for point in points):
            places.insert(0, "one that is registered")
        if len(places) > 1:
            raise self._taken(name, f" ({', '.join(places)})")

    def _is_registered(self, name: str, point: EntryPoint) -> bool:
        """Whether the module of a plug-in has registered the same object itself, too."""
        with suppress(Exception):
            return point.load() is self._registered[name]
        return False

    def _refuse_name(self, name: str, where: str = "") -> None:
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} cannot be the name of a {self.kind}{where}",
                "use lower-case letters, digits, - and _",
                code="invalid-name",
                kind=self.kind,
                name=name,
            )

    def _taken(self, name: str, where: str = "") -> UsageError:
        return UsageError(
            f"there are two {self.kind}s named {name!r}{where}",
            "rename one, or uninstall its package",
            code="name-taken",
            kind=self.kind,
            name=name,
        )


def missing(item: Any, attributes: Iterable[str], methods: Iterable[str]) -> Iterator[str]:
    """What an object has to have and has not, as one text for :data:`Faults`.

    Args:
        item: any object.
        attributes, methods: their names.
    """
    lacking = [name for name in attributes if not hasattr(item, name)]
    lacking += [f"{name}()" for name in methods if not callable(getattr(item, name, None))]
    if lacking:
        yield f"{described(item)} has no {', '.join(lacking)}"


def described(item: Any) -> str:
    """An object for a message: `the class Square`, or `an object of Square`."""
    return f"the class {item.__name__}" if isinstance(item, type) else f"an object of {type(item).__name__}"


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """The error for a name that does not exist.

    Args:
        kind: what the name refers to, such as `profile`.
        name: the unknown name.
        known: all known names, in the order to list them.
    """
    names = list(known)
    shown = [one or "''" for one in names]
    return UnknownNameError(
        f"there is no {kind} {name!r}",
        f"{did_you_mean(name, names)}choose one of {', '.join(shown)}",
        kind=kind,
        name=name,
        near=nearest(name, names),
    )


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """At most three known names that a mistyped one may stand for, the nearest first; only one if it differs
    by upper and lower case alone."""
    folded = {one.casefold(): one for one in known}
    if name.casefold() in folded:
        return [folded[name.casefold()]]
    return [folded[one] for one in difflib.get_close_matches(name.casefold(), folded, 3, 0.6)]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The beginning of advice: `did you mean lol3? ` with a space after it; empty if no name is near.

    Every message about an unknown name has it: of :func:`unknown_name`, or before its own list of names.
    """
    near = nearest(name, known)
    return f"did you mean {' or '.join(near)}? " if near else ""
