"""The options that every command has: how it prints and logs, and each option by an environment variable."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from dimmagen.cli import logs
from dimmagen.cli.headings import by_heading
from dimmagen.cli.output import configure, echo
from dimmagen.core.registry import nearest

PREFIX = "DIMMAGEN"
"""What the names of environment variables for options begin with."""


class OutputOption(click.Option):
    """An option that every command has; it acts on the process, not on the command's function.

    Args:
        act: called with the value if one is given.
    """

    def __init__(self, *words: str, act: Callable[[Any], None], **given: Any) -> None:
        def callback(context: click.Context, _: click.Parameter, value: Any) -> None:
            if value and not context.resilient_parsing:
                act(value)

        super().__init__(list(words), is_eager=True, expose_value=False, callback=callback, **given)


def output_options(with_json: bool = True) -> list[click.Parameter]:
    """New option objects; `--json` is left out for a command with one of its own."""
    options: list[click.Parameter] = [
        OutputOption(
            "--log-file",
            type=click.Path(dir_okay=False),
            metavar="FILE",
            act=logs.open_log,
            help="Also append all messages to this file, with the time.",
        ),
        OutputOption(
            "--log-format",
            type=click.Choice(["text", "json"]),
            show_default="text",
            act=lambda form: configure(log_format=form),
            help="Format of the messages on standard error and in the log file; `json` is one object per "
            "line.",
        ),
        OutputOption(
            "-q",
            "--quiet",
            is_flag=True,
            act=lambda _: configure(quiet=True),
            help="Show only results, warnings and errors.",
        ),
        OutputOption("-v", "--verbose", is_flag=True, act=_be_verbose, help="Show more details."),
    ]
    if with_json:
        options.insert(0, json_flag())
    return options


def json_flag() -> click.Parameter:
    """`--json` as a flag."""
    return OutputOption(
        "--json",
        is_flag=True,
        act=lambda _: configure(as_json=True),
        help="Print the result, or the error, as JSON, and nothing else to standard output.",
    )


def _be_verbose(_: Any) -> None:
    configure(verbose=True)
    logs.show_details()


class EveryCommand(click.Command):
    """What commands and groups of commands share: a session, options for output, environment variables."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own = [name for option in self.params for name in option.opts]
        self.params += output_options(with_json="--json" not in own)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        with logs.session():
            return super().main(*args, **kwargs)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The parameters; each option has the environment variables of this command."""
        params = super().get_params(ctx)
        for param in params:
            if isinstance(param, click.Option) and ctx.auto_envvar_prefix:
                param.allow_from_autoenv = False  # by the names of options, not of Python's arguments
                param.envvar = variables(ctx, param)
        return params

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        options = [one for one in self.get_params(ctx) if isinstance(one, click.Option) and not one.hidden]
        shared = [one for one in options if isinstance(one, OutputOption)]
        own = by_heading([one for one in options if one not in shared])
        for heading, listed in own.items():
            with formatter.section(heading):
                formatter.write_dl(_help_records(listed, ctx))
        if isinstance(self, click.Group):
            self.format_commands(ctx, formatter)
        with formatter.section("Global options"):
            formatter.write_dl(_help_records(shared, ctx))
        self._format_environment(ctx, formatter)

    def _format_environment(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        examples = [one for one in self.get_params(ctx) if isinstance(one, click.Option) and not one.is_flag]
        if examples and ctx.auto_envvar_prefix:
            example = next((one for one in examples if not isinstance(one, OutputOption)), examples[0])
            name = next(option for option in example.opts if option.startswith("--"))
            formatter.write_paragraph()
            formatter.write_text(
                "Every option can also be set by an environment variable, such as "
                f"{variables(ctx, example)[0]} for {name}."
            )


def _help_records(options: Sequence[click.Option], context: click.Context) -> list[tuple[str, str]]:
    return [record for one in options if (record := one.get_help_record(context))]


def variables(context: click.Context, option: click.Option) -> list[str]:
    """The environment variables of an option, one for each of its long names; those of former names last.

    Example:
        `--workers` of `dimmagen dim` is `DIMMAGEN_DIM_WORKERS`.
    """
    former = [name for name, present in _former_names(context).items() if present in option.opts]
    return [_variable(context, name) for name in (*option.opts, *former) if name.startswith("--")]


def _variable(context: click.Context, name: str) -> str:
    return f"{context.auto_envvar_prefix}_{name.removeprefix('--').replace('-', '_').upper()}"


def _former_names(context: click.Context) -> Mapping[str, str]:
    return getattr(context.command, "former_names", {})


def note_variables(context: click.Context) -> None:
    """Warn of environment variables that look like an option of this command, and of former names."""
    prefix = f"{context.auto_envvar_prefix}_"
    known = {
        name
        for option in context.command.get_params(context)
        if isinstance(option, click.Option)
        for name in variables(context, option)
    }
    for former, present in _former_names(context).items():
        if (name := _variable(context, former)) in os.environ:
            text = f"Note: {name} is now {_variable(context, present)}; the former name will be removed."
            echo(text, err=True)
    for name in sorted(set(os.environ) - known):
        if context.auto_envvar_prefix and name.startswith(prefix):
            # By what follows the prefix, which they all share.
            near = nearest(name.removeprefix(prefix), [one.removeprefix(prefix) for one in known])
            advice = f"did you mean {prefix}{near[0]}?" if near else "see --help"
            text = f"Note: {name} does not match any option of {context.command_path}: {advice}"
            echo(text, err=True, level=logging.WARNING)
