"""What the contract tests of plug-ins share: `check_source`, `check_dimmer` and the others."""


def check(holds: bool, message: str) -> None:
    """Raise an AssertionError if a promise is broken, also where Python runs without `assert`.

    Args:
        holds: whether it is kept.
        message: which one is broken, and how.
    """
    if not holds:
        raise AssertionError(message)
