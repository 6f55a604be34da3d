"""The checks on a node before it makes a shard."""

import pytest

from dimmagen.core.environment import environment
from dimmagen.core.errors import DimmagenError
from dimmagen.dataset.manifest import Run
from dimmagen.generate.preflight import build_after_preflight
from dimmagen.generate.resume import DatasetFolder

SETTINGS = {"seed": 0, "variants": 1}


def test_a_worker_is_built_where_the_run_was_begun(tmp_path):
    run = Run(SETTINGS, environment())
    DatasetFolder(str(tmp_path)).begin(run, {})
    assert build_after_preflight(run, str(tmp_path), lambda: "worker") == "worker"


@pytest.mark.parametrize("begun", [None, {"seed": 1, "variants": 1}], ids=["nothing", "another run"])
def test_a_folder_that_only_has_the_same_path_is_refused(begun, tmp_path):
    """As on a node that does not share the folder of the driver."""
    if begun:
        DatasetFolder(str(tmp_path)).begin(Run(begun, environment()), {})
    with pytest.raises(DimmagenError, match="is not the folder that the run was begun in") as refusal:
        build_after_preflight(Run(SETTINGS, environment()), str(tmp_path), lambda: "worker")
    assert str(tmp_path) in str(refusal.value)
    assert refusal.value.code == "missing-path"


@pytest.mark.parametrize("part", ["versions.numpy", "processor_features", "machine"])
def test_another_class_of_machine_is_refused_with_both_values(part, tmp_path):
    values = {"versions": {**environment()["versions"], "numpy": "1.0"}}
    values |= {"processor_features": ["none"], "machine": "m68k"}
    name = part.partition(".")[0]
    run = Run(SETTINGS, {**environment(), name: values[name]})
    DatasetFolder(str(tmp_path)).begin(run, {})
    with pytest.raises(DimmagenError, match=rf"environment\.{part}: .* → ") as refusal:
        build_after_preflight(run, str(tmp_path), lambda: "worker")
    assert refusal.value.code == "other-environment"


def test_all_that_differs_is_told_line_by_line(tmp_path):
    run = Run(SETTINGS, {**environment(), "machine": "m68k", "more": "1"})
    DatasetFolder(str(tmp_path)).begin(run, {})
    with pytest.raises(DimmagenError) as refusal:
        build_after_preflight(run, str(tmp_path), lambda: "worker")
    lines = [f"environment.machine: m68k → {environment()['machine']}", "environment.more: 1 → not set"]
    assert refusal.value.fields == {"differences": lines}
    said = "this machine differs from the one that began the run, so its shards may differ:"
    assert refusal.value.what == (
        f"{said}\n    {lines[0]}\n    {lines[1]}\n"
        "Install the same versions on every node, and run on one kind of processor"
    )
