"""`dimmagen --version`: the version, and below it what a bug report must say about the machine."""

import platform
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Any

import click

from dimmagen import __version__
from dimmagen.cli.output import echo, report

_KINDS = ("sources", "archives", "dimmers", "layouts", "networks", "metrics")
PLUGIN_GROUPS = tuple(f"dimmagen.{kind}" for kind in _KINDS)


def version_lines() -> Iterator[str]:
    """The version, Python and the system, the processor, a line for each library that decides bytes and for
    each installed plug-in.

    The libraries and processor features are those of a manifest's `environment`: two machines that print the
    same ones make the same bytes.
    """
    from dimmagen.core.environment import environment

    here = environment()
    yield f"dimmagen, version {__version__}"
    yield f"Python {platform.python_version()} on {platform.platform()}"
    yield " ".join([here["machine"], *here["processor_features"]])
    for name, found in here["versions"].items():
        if name not in ("dimmagen", "python"):
            yield f"{name} {found}"
    for group in PLUGIN_GROUPS:
        for point in entry_points(group=group):
            package = f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown package"
            yield f"{group} {point.name}: {package}"


def version_result() -> dict[str, Any]:
    """The same for programs."""
    from dimmagen.core.environment import environment

    plugins = {
        group: {
            point.name: f"{point.dist.name} {point.dist.version}" if point.dist else None
            for point in entry_points(group=group)
        }
        for group in PLUGIN_GROUPS
    }
    return {"dimmagen": __version__, "platform": platform.platform(), **environment(), "plugins": plugins}


def version_option(command: Callable) -> Callable:
    """Add `--version` to a command."""
    return click.option(
        "--version",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_print_and_exit,
        help="Show the version and the environment and exit.",
    )(command)


def _print_and_exit(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        report(version_result())
        echo("\n".join(version_lines()))
        context.exit()
