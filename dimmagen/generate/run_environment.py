"""The environment of a run: the properties of the machine and the plug-ins that determine its bytes.

Built-in sources and dimmers are versioned with dimmagen itself. One that comes from another package adds that
package's name and version, so that runs with different versions of a plug-in have different fingerprints.
"""

from collections.abc import Iterable, Mapping

from dimmagen.core.environment import environment
from dimmagen.core.errors import UsageError
from dimmagen.core.registry import Registry
from dimmagen.dimmers.base import DIMMERS
from dimmagen.images.versions import is_step_library, step_library_version, step_versions
from dimmagen.sources import SOURCES

_REGISTRIES: dict[str, Registry] = {"dimmer": DIMMERS, "source": SOURCES}


def environment_for(dimmer: str, sources: Iterable[str], steps: Iterable[str] = ()) -> dict:
    """The environment of a run on this machine.

    Args:
        dimmer: kind of the dimmer model.
        sources: names of the sources of the light images.
        steps: by which they are made from the photos, such as `icc`; the libraries of some are versions of
            the environment too (:func:`dimmagen.images.versions.step_versions`).

    Returns:
        As :func:`~dimmagen.core.environment.environment`; with `plugins` if there are any:
        `{"source flickr": "dimmagen-flickr 1.2"}`.
    """
    names = [f"dimmer {dimmer}", *(f"source {name}" for name in sorted(sources))]
    return _extended(names, step_versions(steps))


def environment_like(recorded: Mapping) -> dict:
    """The environment of this machine for a run whose environment was recorded on another one.

    Args:
        recorded: of a manifest, or of a run that was begun elsewhere; untrusted, it may hold anything.
    """
    plugins = recorded.get("plugins")
    versions = recorded.get("versions")
    steps = [name for name in versions if is_step_library(name)] if isinstance(versions, Mapping) else []
    return _extended(
        sorted(plugins) if isinstance(plugins, Mapping) else [],
        {name: step_library_version(name) for name in steps},
    )


def refuse_missing_plugins(recorded: Mapping, origin: str, *kinds: str) -> None:
    """Refuse to make pairs again without the packages of the plug-ins that they were made with.

    Args:
        recorded: environment of a manifest; untrusted, it may hold anything.
        origin: the data set or its manifest, for the message.
        kinds: `dimmer`, `source` or both: plug-ins of other kinds are not needed.

    Raises:
        UsageError: naming the first that is not installed here.
    """
    plugins = recorded.get("plugins")
    for one, package in sorted(plugins.items()) if isinstance(plugins, Mapping) else []:
        kind, _, name = one.partition(" ")
        if kind in kinds and name not in _REGISTRIES[kind]:
            raise UsageError(
                f"{origin} was made with the {one} of the package {package}, which is not installed here",
                "install that version of it",
                code="missing-package",
                package=package,
            )


def _extended(names: Iterable[str], added: Mapping[str, str]) -> dict:
    found = {}
    for one in names:
        kind, _, name = one.partition(" ")
        plugin = _REGISTRIES[kind].plugin(name) if kind in _REGISTRIES else None
        if plugin is not None:
            found[one] = f"{plugin.distribution} {plugin.version}"
    here = environment()
    versions = {**here["versions"], **added}
    return {**here, "versions": versions, **({"plugins": found} if found else {})}
