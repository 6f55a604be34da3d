"""`python -m dimmagen` is `dimmagen`: the command line as a process of its own."""


def main() -> None:
    """Run the command line; an interruption while it is imported gives the exit code of any other one."""
    try:
        from dimmagen import cli
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    cli.main()


if __name__ == "__main__":
    main()
