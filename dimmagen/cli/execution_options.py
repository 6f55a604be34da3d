"""The options for who does the work: threads or Ray workers, here or on a cluster."""

from collections.abc import Callable
from functools import partial, wraps

import click

from dimmagen.cli.headings import EXECUTION, headed_option
from dimmagen.cli.messages import end_lost_run
from dimmagen.cli.options import Integer, Number
from dimmagen.generate.execution import choose_execution

headed = partial(headed_option, heading=EXECUTION)


def workers_option(what: str, default: str = "one per processor") -> Callable:
    """The number of workers.

    Args:
        what: they are, after "Number of".
        default: shown in the help.
    """
    return headed("--workers", type=Integer(1), show_default=default, help=f"Number of {what}.")


def address_option(use: str, default: str = "Ray on this machine, for this run") -> Callable:
    """The address of a Ray cluster.

    Args:
        use: of the cluster, after "to".
        default: shown in the help.
    """
    return headed(
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
    return headed(
        "--worker-timeout",
        type=Number(1),
        metavar="SECONDS",
        show_default="never; a message after 60 s",
        help=f"Replace a Ray worker that has {idle} for this long.",
    )


_EXECUTION = (
    workers_option("Ray workers", "one per processor or GPU"),
    headed(
        "--executor",
        type=click.Choice(["auto", "ray", "serial"]),
        default="auto",
        help="Run on parallel Ray workers, or in this process only. `auto` is `serial` for small runs, which "
        "are done before Ray has started, unless --workers or a cluster is given. The output is the same.",
    ),
    headed(
        "--device",
        type=click.Choice(["cpu", "cuda"]),
        default="cpu",
        help="Device that renders the dark images; one GPU per worker. The output is the same.",
    ),
    headed(
        "--threads",
        type=Integer(1),
        show_default="the processors, divided among the GPUs",
        help="Threads per GPU worker for reading and encoding.",
    ),
    address_option("use"),
    worker_timeout_option("made no pair"),
)


def execution_options(function: Callable) -> Callable:
    """Add the options of how pairs are made to a command, whose function receives them as `execution`."""

    @wraps(function)
    def with_execution(*args, executor, workers, address, device, threads, worker_timeout, **kwargs):
        chosen = choose_execution(executor, workers, address, device, threads, worker_timeout, end_lost_run)
        return function(*args, execution=chosen, **kwargs)

    with_options: Callable = with_execution
    for one in reversed(_EXECUTION):
        with_options = one(with_options)
    return with_options
