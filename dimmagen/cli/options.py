"""Option types and options that several commands share."""

import errno
import json
import math
import os
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

import click

from dimmagen.cli.headings import EXECUTION, headed_option
from dimmagen.cli.output import configure
from dimmagen.core import storage
from dimmagen.core.errors import UsageError
from dimmagen.core.outputs import refuse_inside_a_set, refuse_unsuitable

_LARGEST = 10**15  # of counts


class Integer(click.IntRange):
    """An integer in a range, shown in the help as INTEGER."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> int:
        number = super().convert(value, param, context)
        if number > _LARGEST:  # libraries take 64 bits
            self.fail(f"{str(value)[:40]!r} is too large", param, context)
        return number


class Number(click.FloatRange):
    """A finite number in a range, shown in the help as FLOAT; click's own accepts `nan`."""

    name = "float"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> float:
        number = super().convert(value, param, context)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, context)
        return number


class Range(click.ParamType):
    """Two numbers A <= B, written `A:B`.

    Args:
        positive: whether A must be greater than 0.
    """

    name = "A:B"

    def __init__(self, positive: bool = False) -> None:
        self.positive = positive

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> tuple[float, float]:
        if isinstance(value, tuple):
            return value
        try:
            low, high = (float(part) for part in str(value).split(":"))
        except ValueError:
            self.fail(f"{value!r} is not of the form A:B, such as 0.3:2.0", param, context)
        if not (low > 0 if self.positive else low >= 0) or not low <= high < float("inf"):
            self.fail(f"{value!r} must have 0 {'<' if self.positive else '<='} A <= B", param, context)
        return low, high


class Rungs(click.ParamType):
    """Distinct positive numbers, written `A,B,C`."""

    name = "A,B,C"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not of the form A,B,C, such as 0.3,1,2", param, context)
        if len(set(numbers)) != len(numbers) or not all(0 < number < float("inf") for number in numbers):
            self.fail(f"{value!r} must have distinct numbers greater than 0", param, context)
        return numbers


class LocalPath(click.Path):
    """A path that is not a URL: click's own would take `s3://bucket/run` for a path below a folder `s3:`.

    A URL with the protocol `file` becomes the path that it names.

    Args:
        endings: that the name of a file may have, in small letters, such as `.png`: what is written is of one
            kind, whatever the name says. A name without an ending is taken. By default every ending is.
        is_result: whether it is written, so not inside a data set.
        options: of click's own.
    """

    def __init__(self, *, endings: tuple[str, ...] = (), is_result: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.endings = endings
        self.is_result = is_result

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        text = os.fspath(value)
        place = storage.local_path(text)
        if place is None:
            self.fail(f"{value} is a URL; give a local or mounted path", param, context)
        ending = os.path.splitext(place)[1].lower()
        if self.endings and ending not in ("", *self.endings):
            wanted = f"give a name that ends with {self.endings[0]}"
            self.fail(f"{value} ends with {ending}: {wanted}", param, context)
        if self.is_result:
            refuse_inside_a_set(place, for_results=not self.file_okay)
        return super().convert(place if storage.is_url(text) else value, param, context)


PNG_FILE = LocalPath(path_type=Path, dir_okay=False, endings=(".png",), is_result=True)
"""A PNG file to write."""
PAGE = LocalPath(path_type=Path, dir_okay=False, endings=(".html", ".htm"), is_result=True)
"""A page for a browser to write."""


class OutputPath(click.ParamType):
    """A local path or an fsspec URL that keeps what is written there."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        try:
            refuse_unsuitable(value)
        except UsageError as error:
            self.fail(str(error), param, context)
        return value


def json_option(what: str, kind: click.ParamType | None = None) -> Callable:
    """`--json [FILE]`, for commands whose result is worth a file: alone, or with `-`, it is as elsewhere.

    Args:
        what: is written, such as `the estimate`.
        kind: of path of the file; by default any.
    """

    def take(context: click.Context, option: click.Parameter, file: str | None) -> str | None:
        if file == "-":
            configure(as_json=True)
        elif file is not None and storage.is_local(file) and storage.is_folder(file):
            # Refused here, and not after hours of work.
            raise click.BadParameter(f"{file} is a folder: name a file", param=option)
        elif file is not None:
            OutputPath().convert(file, option, context)
            if (place := storage.local_path(file)) is not None:
                refuse_inside_a_set(place)
        return None if file == "-" else file

    return click.option(
        "--json",
        "json_file",
        is_flag=False,
        flag_value="-",
        type=kind,
        metavar="[FILE]",
        callback=take,
        help=f"Write {what} to this JSON file; without FILE, print nothing but the JSON to standard output.",
    )


def write_json(path: str, result: Mapping[str, Any], *, make_folder: bool = True) -> None:
    """Write a result to a JSON file.

    Args:
        path: of the file.
        result: of a command.
        make_folder: make the folder of the file if there is none; otherwise that is an error.

    Raises:
        UsageError: the file cannot be written.
    """
    try:
        if not make_folder and not Path(path).absolute().parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        storage.write_result(path, json.dumps(result, indent=1, allow_nan=False).encode() + b"\n")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written ({error.strerror})", "check --json", code="missing-path", path=path
        ) from error


def split_names(names: str | None) -> tuple[str, ...] | None:
    """`2, 5,6` is ("2", "5", "6"); nothing is None."""
    return tuple(name.strip() for name in names.split(",")) if names else None


def pair_of_dataset(needs_key: bool) -> Callable:
    """`DATASET KEY`, for a command that reads one pair; the data set may be given by `--data` instead.

    The command's function receives `dataset` and `key`.

    Args:
        needs_key: whether there has to be a key; otherwise `key` may be None.
    """

    def add(function: Callable) -> Callable:
        @wraps(function)
        def with_pair(*args, dataset, key, data, **kwargs):
            if data is not None and dataset is not None and key is not None:
                raise UsageError(
                    f"the data set is given twice: {dataset} and --data {data}", "omit one", code="conflict"
                )
            if data is not None:
                dataset, key = data, key if dataset is None else dataset
            if dataset is None or (needs_key and key is None):
                missing = "DATASET" if dataset is None else "KEY"
                form = "the folder of a data set" + (" and the key of a pair of it" if needs_key else "")
                raise UsageError(f"{missing} is missing", f"give {form}", code="missing-argument")
            return function(*args, dataset=dataset, key=key, **kwargs)

        with_pair = click.option(
            "--data",
            metavar="DATASET",
            help="Folder or URL of the data set, instead of the argument DATASET.",
        )(with_pair)
        with_pair = click.argument("key", required=False, metavar="KEY" if needs_key else "[KEY]")(with_pair)
        return click.argument("dataset", required=False, metavar="DATASET")(with_pair)

    return add


def _not_empty(_: click.Context, option: click.Parameter, names: str | None) -> str | None:
    """Refuse names of which there are none, as a variable that is not set leaves them: all would be taken."""
    if names is not None and not names.strip():
        raise click.BadParameter("it is empty: give names, or omit it for all pairs", param=option)
    return names


source_option = click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="[NAME=]PATH",
    show_default="the light images in the shards",
    help="Photos or MixHQ that the data set was made from, as for `dimmagen dim`. Repeatable.",
)
new_dataset_option = click.option(
    "--out",
    required=True,
    metavar="DIR|URL",
    type=OutputPath(),
    help="Folder or URL of the data set to make.",
)

profile_option = click.option(
    "--profile",
    metavar="NAME|DIR",
    show_default="the profile that the manifest names",
    help="Profile that the data set was made with.",
)
threads_option = click.option(
    "--workers",
    type=Integer(1),
    show_default="one per processor",
    help="Number of threads.",
)
rescan_option = headed_option(
    "--rescan",
    is_flag=True,
    help="Read and check every photo again. By default, a photo whose size, times and inode (or ETag) have "
    "not changed since an earlier run keeps its verdict.",
    heading=EXECUTION,
)
PAIRS_HELP = (
    "a folder with low/ and high/ or similar (as in LOL-v2, SID, ...), a CSV file, or a pattern of file "
    "names; see docs/pairs.md."
)
pairs_option = click.option(
    "--pairs",
    required=True,
    metavar="DIR|FILE|PATTERN",
    help=f"Real pairs: {PAIRS_HELP}",
)
names_option = click.option(
    "--names",
    metavar="NAME,...",
    callback=_not_empty,
    show_default="all pairs",
    help="Use only these pairs, by file name without extension, such as 2,5,6.",
)
