"""`dimmagen --version`: the version, and below it what a bug report must say about the machine."""

import platform
from collections.abc import Callable, Iterator

import click

from dimmagen import __version__


def version_lines() -> Iterator[str]:
    """The version, then Python and system, the processor, and one line for each library that decides bytes.

    The libraries and processor features are those of a manifest's `environment`: two machines that print the
    same versions and features make the same bytes.
    """
    from dimmagen.core.environment import environment

    here = environment()
    libraries = {
        name: found for name, found in here["versions"].items() if name not in ("dimmagen", "python")
    }
    yield f"dimmagen, version {__version__}"
    yield f"Python {platform.python_version()} on {platform.platform()}"
    yield " ".join([here["machine"], *here["processor_features"]])
    for name, found in libraries.items():
        yield f"{name} {found}"


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
        click.echo("\n".join(version_lines()))
        context.exit()
