"""`python -m dimmagen` is `dimmagen`: the command line as a process of its own."""

import os


def main() -> None:
    """Run the command line; an interruption before it begins gives the exit code of any other one."""
    try:
        if "_DIMMAGEN_COMPLETE" in os.environ:  # a shell asks, at every press of the tab key
            from dimmagen.cli.completion import complete

            raise SystemExit(complete())
        from dimmagen import cli

        cli.main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
