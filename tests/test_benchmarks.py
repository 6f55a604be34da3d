"""The benchmarks' arithmetic, and that they run; what they measure is never held against a clock."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks import compare, gpu, gpu_training, other_networks, run, scaling
from benchmarks.figures import Figure, Options, alternately, line
from benchmarks.memory import imagined_mixhq
from dimmagen.enhance.acceleration import Acceleration
from dimmagen.sources.light_images import MixHQLightImages
from tests.dataset_helpers import write_photos

# A suite of one figure, as a commit would bring it: `VALUE` stands for how slow that commit is.
SUITE = """
import json, sys
row = {"suite": "kernel", "name": "camera", "at": None, "unit": "ms", "median": VALUE}
open(sys.argv[sys.argv.index("--json") + 1], "w").write(json.dumps({"figures": [row]}))
"""


def test_a_figure_tells_its_median_and_its_extremes():
    row = Figure("dim", "ms", [3.0, 1.0, 2.0], at=0.5).to_dict("stages")
    assert (row["median"], row["min"], row["max"], row["runs"]) == (2.0, 1.0, 3.0, 3)
    assert line(row) == "| stages | dim at 0.5, ms | 2 | 1 | 3 | 3 |"


@pytest.mark.parametrize("name", ["benchmarks", "pipelines"])
def test_a_package_of_the_same_name_that_a_library_installs_hides_nothing(name, tmp_path):
    """pyarrow 17 brings a package `benchmarks`."""
    root = Path(__file__).resolve().parents[1]
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    command = [sys.executable, "-c", f"import {name}; print({name}.__path__[0])"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    found = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
    assert Path(found.stdout.strip()) == root / name


def test_actions_are_run_in_turn_and_each_keeps_its_values():
    calls = []

    def action(name):
        calls.append(name)
        return len(calls)

    found = list(alternately([lambda: action("a"), lambda: action("b")], 3))
    assert calls == ["a", "b"] * 3
    assert found == [[1, 3, 5], [2, 4, 6]]


def test_ratios_are_taken_round_by_round_of_figures_that_both_commits_have():
    kernel, stage, gone, zero = (("kernel", name, None) for name in ("camera", "mdn", "old", "zero"))
    rounds = [
        ({kernel: 10.0, gone: 1.0, zero: 0.0}, {kernel: 5.0, stage: 2.0, zero: 1.0}),
        ({kernel: 40.0}, {kernel: 40.0}),  # a busy minute slows both
        ({kernel: 10.0}, {kernel: 6.0}),
    ]
    assert compare.ratios(rounds) == {kernel: [0.5, 1.0, 0.6]}
    assert list(compare.table(compare.ratios(rounds)))[2:] == ["| kernel | camera | 0.6 | 0.5 | 1 | 3 |"]


@pytest.fixture
def repository(tmp_path):
    """Three commits: without a suite, with a slow kernel, with a fast one; returns folder and commits."""
    folder = tmp_path / "repository"
    (folder / "benchmarks").mkdir(parents=True)
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")

    def git(*words):
        done = subprocess.run(
            ["git", "-C", folder, *identity, *words], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    git("init", "--quiet")
    commits = []
    for value in (None, 8.0, 2.0):
        (folder / "benchmarks" / "README").write_text(str(value))
        if value:
            (folder / "benchmarks" / "kernel.py").write_text(SUITE.replace("VALUE", str(value)))
        git("add", ".")
        git("commit", "--quiet", "-m", "another")
        commits.append(git("rev-parse", "HEAD"))
    return folder, commits, lambda: git("worktree", "list").splitlines()


def test_two_commits_are_compared_each_with_its_own_code(repository, tmp_path, capsys):
    folder, (_, slow, fast), worktrees = repository
    words = [slow, fast, "--only", "kernel", "--rounds", "2", "--out", str(tmp_path / "ratios.json")]
    compare.main(words, folder)
    assert "| kernel | camera | 0.25 | 0.25 | 0.25 | 2 |" in capsys.readouterr().out
    assert json.loads((tmp_path / "ratios.json").read_text())[0]["ratios"] == [0.25, 0.25]
    assert len(worktrees()) == 1


def test_a_commit_that_lacks_a_suite_is_named_and_the_rest_goes_on(repository, capsys):
    folder, (bare, _, fast), worktrees = repository
    compare.main([bare, fast, "--only", "kernel", "--rounds", "1"], folder)
    assert f"kernel is left out: BASE {bare}: it has no suite kernel" in capsys.readouterr().out
    assert len(worktrees()) == 1


def test_a_commit_that_does_not_exist_is_told(repository):
    folder, _, _ = repository
    with pytest.raises(SystemExit, match="no-such cannot be checked out"):
        compare.main(["no-such"], folder)


def test_worktrees_are_gone_after_an_interruption(repository, monkeypatch):
    folder, (_, slow, fast), worktrees = repository

    def interrupted(*_):
        assert len(worktrees()) == 3
        raise KeyboardInterrupt

    monkeypatch.setattr(compare, "run_suite", interrupted)
    with pytest.raises(KeyboardInterrupt):
        compare.main([slow, fast], folder)
    assert len(worktrees()) == 1


def test_a_quick_run_prints_the_machine_and_a_table_and_writes_json(tmp_path, capsys):
    write_photos(tmp_path / "lol" / "high_only", 2)
    words = ["--quick", "--only", "stages", "--data", str(tmp_path), "--out", str(tmp_path / "figures.json")]
    run.main(words)
    out = capsys.readouterr().out
    report = json.loads((tmp_path / "figures.json").read_text())
    assert json.loads(out.splitlines()[0]) == report["machine"]
    assert {"processor", "cores", "memory_gib", "python", "versions"} <= report["machine"].keys()
    assert str(tmp_path) not in json.dumps(report)
    names = {row["name"].split()[0] for row in report["figures"]}
    assert names == {"decode", "dim", "encode", "hash", "write"}
    assert all(row["min"] > 0 and line(row) in out for row in report["figures"])


def test_the_gpus_suite_runs_anywhere_and_counts_what_the_kernel_does():
    figures = {figure.name: figure for figure in gpu.measure(Options(quick=True))}
    assert all(value > 0 for figure in figures.values() for value in figure.values)
    assert figures["torch, operations"].median > 3 * 10  # ten rounds of Philox for two pixels at least


def test_training_on_gpus_is_measured_lever_by_lever_and_a_row_that_fails_does_not_end_it(
    tmp_path, capsys, monkeypatch
):
    size = gpu_training.QUICK
    setup = gpu_training.Setup(
        size, torch.device("cpu"), None, str(tmp_path / "absent"), False, gpu_training.random_batches(size)
    )
    everything = replace(gpu_training.ON_GPUS, graph=False, fetch_every=4)
    levers = [
        gpu_training.Lever("base", Acceleration(), host_inputs=True),
        gpu_training.Lever("all", everything),
        gpu_training.Lever("read", everything, loaders=1),
    ]
    monkeypatch.setattr(gpu_training, "training_levers", lambda data, autotune: levers)
    monkeypatch.setattr(gpu_training, "ENHANCING", [gpu_training.Brightening("enhance", True, window=True)])
    report = tmp_path / "rows.json"
    gpu_training.measure(setup, gpu_training.Report(report, {}), minutes=1000)
    base, everything_on, read, enhance = json.loads(report.read_text())["rows"]
    for row in (base, everything_on):
        assert row["unit"] == "steps/s"
        assert all(row[phase] > 0 for phase in gpu_training.PHASES)
    assert base["loss 10"] == pytest.approx(everything_on["loss 10"], rel=0.02)  # the same is computed
    assert "absent" in read["failed"]
    assert enhance["unit"] == "Mpix/s"
    assert capsys.readouterr().out.count("\n") == 4
    gpu_training.measure(setup, gpu_training.Report(None, {}), minutes=0)
    assert capsys.readouterr().out.count("left out: no time") == 4


def test_a_suite_that_fails_is_an_error_that_names_it(tmp_path):
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "kernel.py").write_text("raise ValueError('out of order')")
    with pytest.raises(RuntimeError, match="suite kernel failed there: ValueError: out of order"):
        run.run_suite("kernel", tmp_path)


def test_the_imagined_mixhq_is_read_as_a_real_one(tmp_path):
    assert len(MixHQLightImages(str(imagined_mixhq(tmp_path / "mixhq", 70)))) == 70


def test_the_plot_is_drawn_from_the_json(tmp_path):
    rows = [
        Figure(curve, "s", [at, 2.0 * at], at).to_dict("scaling") for curve in scaling.CURVES for at in (1, 4)
    ]
    scaling.plot(json.loads(json.dumps(rows)), tmp_path / "scaling.png")
    assert (tmp_path / "scaling.png").stat().st_size > 10_000


def test_photos_of_a_dependency_stand_in_where_there_is_no_data(tmp_path):
    from benchmarks.photos import sources

    assert sources(Options(data=tmp_path / "nowhere")) == ["sample"]


def test_networks_of_others_have_one_row_for_each_kind_of_data_over_its_seeds():
    def result(way, seed, psnr):
        scores = {"psnr": psnr, "gt_mean": 20.0, "gt_mean_luma": 21.0, "ssim_rgb": 0.5}
        told = {"network": "NAFNet", "iterations": 9, "pairs": 3, "way": way, "seed": seed}
        return {**told, "scores": {"dev15": scores, "held-out": scores}}

    text = other_networks.table([result("real", 0, 10.0), result("real", 1, 12.0), result("camera", 0, 9.0)])
    rows = text.splitlines()[2:]
    assert [row.split(" | ")[3:6] for row in rows] == [
        ["camera", "1", "9.00 ± 0.00"],
        ["real", "2", "11.00 ± 1.41"],
    ]
