"""The exit codes of every command; docs/automation.md explains them."""

EXIT_CODES = {
    0: "success",
    1: "failure, or the command found something: a fault, a leak, a difference",
    2: "usage error: an option, a name or a path is wrong; nothing was written",
    129: "SIGHUP: the terminal was closed",
    130: "SIGINT: Ctrl-C",
    143: "SIGTERM: the process was asked to end",
}
"""By number; a signal gives 128 and its own number."""
