"""What is not a data set although dimmagen wrote it: a part of one, a MixHQ, an export."""

import os

from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.sources.own_outputs import kind_of, kind_of_place


def refuse_part(out: str) -> None:
    """Refuse a local path that lies in a data set, such as `out/shards/train-{00000..00003}.tar`.

    Raises:
        UsageError: it does; the message has the folder of the data set.
    """
    folder, kind = kind_of_place(out)
    if kind == "a data set" and folder != os.path.abspath(out):
        raise UsageError(
            f"{out} is part of a data set", f"give its folder, {folder}", code="missing-path", path=out
        )


def refuse_other_kinds(out: str, names: list[str]) -> None:
    """Say what a folder with these names is if it is something else that dimmagen has written.

    Raises:
        DimmagenError: it is a MixHQ or an export.
    """
    kind = kind_of(names)
    if kind == "a MixHQ":
        raise mixhq_error(out, f"{out} is a MixHQ")
    if kind == "an export":
        raise DimmagenError(
            f"{out} is an export, not a data set",
            "give the folder of the data set that it was made from",
            code="wrong-format",
            path=out,
        )


def mixhq_error(path: str, what: str) -> DimmagenError:
    """The error of a path that belongs to a MixHQ; `what` says how."""
    return DimmagenError(
        f"{what}: light images only, without dark ones",
        "make a data set of it with `make_dataset()`; `verify_mixhq()` checks what is there",
        code="wrong-format",
        path=path,
    )
