"""Names in one option: `2,5,6`."""


def split_names(names: str | None) -> tuple[str, ...] | None:
    """`2, 5,6` is ("2", "5", "6"); nothing is None."""
    return tuple(name.strip() for name in names.split(",")) if names else None
