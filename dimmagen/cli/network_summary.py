"""What a trained network says of itself, for `dimmagen inspect`."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from dimmagen.core import storage
from dimmagen.core.text import one_line

_NETWORK_FILES = ".safetensors"
_RUN = "run.json"


def is_network(path: str) -> bool:
    """Whether a path is the folder of a training run, or a network file."""
    if not storage.is_local(path):
        return False
    return path.endswith(_NETWORK_FILES) or (Path(path) / _RUN).is_file()


def network_summary(path: str) -> tuple[Table, dict[str, Any]]:
    """What a network is and what it was made from: as a table, and as JSON values.

    Raises:
        UsageError, DimmagenError: as :func:`~dimmagen.enhance.checkpoints.load_network`.
    """
    from dimmagen.enhance.checkpoints import load_network  # torch, which data sets do not need
    from dimmagen.enhance.network import parameter_count

    network, header = load_network(path)
    table = Table(title=one_line(path), title_justify="left", show_header=False)
    table.add_column()
    table.add_column(overflow="fold")  # hashes are to be compared
    size = f"{parameter_count(network) / 1e6:.2f} million parameters"
    table.add_row("architecture", f"{network.architecture_name}, {size}")
    for name, text in _rows(header):
        table.add_row(name, one_line(text))
    names = ("iteration", "psnr", "validated_on", "data", "made_by", "lightness")
    shown = {name: header[name] for name in names if name in header}
    return table, {"network": path, "architecture": network.architecture_name, **shown}


def _rows(header: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    psnr, on = header.get("psnr"), header.get("validated_on")
    score = f", {psnr:.2f} dB{f' on {on}' if on else ''}" if isinstance(psnr, float) else ""
    yield "iteration", f"{header.get('iteration', '?')}{score}"
    data = _mapping(header, "data")
    if not data:
        yield "trained on", "not recorded: the network is of an earlier version"
    else:
        yield "trained on", str(data.get("name", "?"))
        for label, name in (
            ("root hash", "root_hash"),
            ("SHA-256 of its pairs", "sha256"),
            ("profile", "profile"),
            ("profile's hash", "profile_fingerprint"),
            ("dimmer model", "model"),
            ("data set made by", "dimmagen"),
        ):
            if data.get(name):
                yield label, f"dimmagen {data[name]}" if name == "dimmagen" else str(data[name])
        if mixed := _mapping(data, "mixed_in"):
            yield "mixed with", f"{mixed.get('pairs', '?')} real pairs of {mixed.get('name', '?')}"
    if made := _mapping(header, "made_by"):
        commit = f", commit {made['commit']}" if made.get("commit") else ""
        yield "trained by", f"dimmagen {made.get('dimmagen', '?')}{commit}"
    from dimmagen.enhance.lightness import lightness_of_header

    if (own := lightness_of_header(header)) is not None:
        yield "lightness", f"{own.mean:.2f} ± {own.spread:.2f} of {own.images} light images"


def _mapping(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = values.get(name)
    return found if isinstance(found, dict) else {}
