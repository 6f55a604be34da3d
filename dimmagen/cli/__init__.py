"""The command line: one module a group of commands; they parse, call and print, and hold no logic."""

import io
import sys

import click

from dimmagen.cli.command import LazyGroup, message
from dimmagen.cli.messages import end_at_once, messages_on_stderr
from dimmagen.cli.version import version_option
from dimmagen.core.errors import DimmagenError

_COMMANDS = {
    "build-mixhq": ("dimmagen.cli.build_mixhq:build_mixhq", "Select photos by the paper's rules into MixHQ."),
    "profile": ("dimmagen.cli.profile:profile", "Fit, list, show, import and evaluate camera profiles."),
    "dim": ("dimmagen.cli.dim:dim", "Make dark/light pairs as WebDataset shards."),
    "plan": ("dimmagen.cli.plan:plan", "Forecast time, disk, memory and cost of a dim."),
    "verify": ("dimmagen.cli.verify:verify", "Check a finished data set against its manifest."),
    "replay": ("dimmagen.cli.replay:replay", "Make one pair anew and compare it."),
    "reproduce": ("dimmagen.cli.reproduce:reproduce", "Make a data set again from its manifest and compare."),
    "inspect": ("dimmagen.cli.inspect:inspect", "Summarise a data set and draw a contact sheet."),
    "peek": ("dimmagen.cli.peek:peek", "Show one pair and its record in the terminal."),
    "stats": ("dimmagen.cli.stats:stats", "Count what is in a data set."),
    "subset": ("dimmagen.cli.subset:subset", "Write some pairs of a data set as a data set."),
    "merge": ("dimmagen.cli.merge:merge", "Write several data sets as one."),
    "leaks": ("dimmagen.cli.leaks:leaks", "Find pictures of an evaluation folder in a data set."),
    "manifest": ("dimmagen.cli.manifest:manifest", "Compare manifests."),
    "export": ("dimmagen.cli.export:export", "Write a data set as the folders that other trainers read."),
    "train": ("dimmagen.cli.train:train", "Train the brightening network on shards."),
    "finetune": ("dimmagen.cli.finetune:finetune", "Go on training a network on real pairs."),
    "evaluate": ("dimmagen.cli.evaluate:evaluate", "Score a trained network on real pairs."),
    "enhance": ("dimmagen.cli.enhance:enhance", "Brighten photos with a trained network."),
    "run": ("dimmagen.cli.run:run", "Run a recipe: profile, dim, train, finetune, evaluate."),
}


@click.group(
    cls=LazyGroup,
    commands_at=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@version_option
def cli() -> None:
    """Low-light training pairs for your camera: photos in, dark/light pairs out."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; expected errors become one message and exit code 1 or 2, Ctrl-C becomes 130."""
    _replace_what_cannot_be_shown()
    with messages_on_stderr():
        code = _run(arguments)
    cluster = sys.modules.get("dimmagen.core.executors.ray_cluster")  # few commands need it
    if cluster is not None and cluster.is_leaving():
        end_at_once(code)
    sys.exit(code)


def _replace_what_cannot_be_shown() -> None:
    """A bar of blocks or an arrow in an encoding that has none, as a Windows file has, becomes a `?`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not stream.encoding.lower().startswith("utf"):
            stream.reconfigure(errors="replace")


def _run(arguments: list[str] | None) -> int:
    try:
        code = cli.main(arguments, prog_name="dimmagen", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except DimmagenError as error:
        click.echo(f"Error: {message(error)}", err=True)
        return error.exit_code
    except OSError as error:  # of a disk or a network; what we know better is said above
        place = f"{error.filename}: " if error.filename else ""
        click.echo(f"Error: {place}{error.strerror or error}: see to it and run the command again", err=True)
        return 1
    except (click.Abort, KeyboardInterrupt):
        click.echo(
            "Interrupted: what is complete stays valid; run the same command again to go on.", err=True
        )
        return 130
    return code if isinstance(code, int) else 0
