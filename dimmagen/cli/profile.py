"""`dimmagen profile`: fit, list, show, import and evaluate camera profiles."""

import click

from dimmagen.cli.command import LazyGroup

_COMMANDS = {
    "list": ("dimmagen.cli.profile_list:list_profiles", "Name the profiles that are at hand."),
    "show": ("dimmagen.cli.profile_show:show", "Say what a profile holds and from what it was made."),
    "fit": ("dimmagen.cli.profile_fit:fit", "Make a profile from a few dark/light pairs of a camera."),
    "import": ("dimmagen.cli.profile_import:import_profile", "Make a profile of a published dimmer."),
    "evaluate": ("dimmagen.cli.profile_evaluate:profile_evaluate", "Measure how true profiles are."),
}


@click.group(cls=LazyGroup, commands_at=_COMMANDS)
def profile() -> None:
    """Fit, list, show, import and evaluate camera profiles."""
