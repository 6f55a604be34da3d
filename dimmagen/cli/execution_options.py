"""The options for who does the work: threads or Ray workers, here or on a cluster."""

from collections.abc import Callable

import click

from dimmagen.cli.options import Integer, Number

executor_option = click.option(
    "--executor",
    type=click.Choice(["auto", "ray", "serial"]),
    default="auto",
    help="Use parallel Ray workers, or only this process. `auto` is `serial` for a few pairs, which are made "
    "before Ray has started, unless --workers or a cluster is given. The output is the same.",
)


def workers_option(what: str, default: str = "one per processor") -> Callable:
    """The number of workers.

    Args:
        what: they are, after "Number of".
        default: shown in the help.
    """
    return click.option("--workers", type=Integer(1), show_default=default, help=f"Number of {what}.")


def address_option(use: str, default: str = "Ray on this machine, for this run") -> Callable:
    """The address of a Ray cluster.

    Args:
        use: of the cluster, after "to".
        default: shown in the help.
    """
    return click.option(
        "--address",
        metavar="HOST:PORT",
        show_default=default,
        help=f"Address of a running Ray cluster to {use}.",
    )


def worker_timeout_option(idle: str) -> Callable:
    """The time after which a Ray worker is replaced.

    Args:
        idle: what it has not done, after "that has".
    """
    return click.option(
        "--worker-timeout",
        type=Number(1),
        metavar="SECONDS",
        show_default="never; after 60 s a message",
        help=f"Replace a Ray worker that has {idle} for this time.",
    )
