"""`dimmagen profile`: fit, list, show, import and evaluate camera profiles."""

import click

from dimmagen.cli.command import LazyGroup

_COMMANDS = {
    "list": ("dimmagen.cli.profile_list:list_profiles", "List the available profiles."),
    "show": ("dimmagen.cli.profile_show:show", "Show how good a profile is, its origin and its curves."),
    "fit": ("dimmagen.cli.profile_fit:fit", "Fit a profile to a few dark/light pairs of a camera."),
    "import": (
        "dimmagen.cli.profile_import:import_profile",
        "Import a dimmer that the paper's authors published.",
    ),
    "evaluate": (
        "dimmagen.cli.profile_evaluate:profile_evaluate",
        "Measure the realism of profiles on held-out pairs.",
    ),
}


@click.group(cls=LazyGroup, commands_at={"Commands": _COMMANDS})
def profile() -> None:
    """Fit, list, show, import and evaluate camera profiles.

    \b
    Example:
      dimmagen profile fit --pairs my-phone/ --out my-phone
      dimmagen dim --profile my-phone --source photos/ --shards out/
    """
