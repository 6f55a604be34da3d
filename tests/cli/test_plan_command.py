"""`plan` as a user types it."""

import json

import pytest

from tests.commands import run_command
from tests.dataset_helpers import write_photos


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("photos") / "photos", 4)


@pytest.fixture
def plan(capsys, monkeypatch, tmp_path, photos):
    """Runs `dimmagen plan` in an empty folder; returns exit code, output and messages."""
    monkeypatch.chdir(tmp_path)

    def plan(*more):
        arguments = ["plan", "--profile", "linear", "--source", photos, "--calibration-pairs", 2, *more]
        return run_command(capsys, *arguments)

    return plan


def test_an_estimate_for_people_says_what_it_is_and_writes_nothing(plan, tmp_path):
    code, out, _ = plan("--variants", 3, "--samples-per-shard", 2, "--workers", 4)
    assert code == 0
    for message in ("pairs", "12", "4 photos x 3", "shards", "2 of 4 workers idle", "Estimated from 2 pairs"):
        assert message in out
    assert "With --samples-per-shard 1, workers are idle for less than 5%" in out
    assert "cost:" not in out
    assert list(tmp_path.iterdir()) == []


def test_the_command_of_dim_can_be_planned_with_its_shards_and_nothing_is_written(plan, tmp_path):
    code, out, _ = plan("--shards", tmp_path / "out")
    assert code == 0
    assert "4 photos x 1" in out
    assert "1 delete" in out
    assert "1 deletes" not in out
    assert list(tmp_path.iterdir()) == []


def test_an_estimate_for_programs_scaled_to_a_hundred_million_pairs_with_its_cost(plan, tmp_path):
    more = ["--variants", 4, "--pairs", "100e6", "--workers", 1600, "--executor", "ray"]
    code, out, _ = plan(*more, "--json", "-", "--price-per-core-hour", 0.04, "--price-per-gb-month", 0.02)
    assert code == 0
    figures = json.loads(out)
    assert figures["pairs"] == 100_000_000
    assert figures["photos"]["count"] == 25_000_000
    assert figures["photos"]["estimated"]
    assert figures["shards"] == 4 * 50_000
    assert figures["workers"]["variants_per_job"] == 4
    assert figures["workers"]["rounds"] == 32  # of 50,000 jobs
    assert figures["workers"]["idle_in_last_round"] == 1200
    assert figures["requests"]["reads"] == 25_000_000
    low, expected, high = (figures["bytes"]["total"][name] for name in ("low", "expected", "high"))
    assert low <= expected <= high
    storage = figures["cost"]["storage_a_month"]["expected"]
    assert storage == pytest.approx(expected / 1e9 * 0.02)
    assert list(tmp_path.iterdir()) == []


def test_the_serial_executor_is_one_worker_and_a_file_takes_the_figures(plan, tmp_path):
    code, out, _ = plan("--executor", "serial", "--workers", 8, "--json", "plan.json")
    assert code == 0
    assert "on one core" in out
    figures = json.loads((tmp_path / "plan.json").read_text())
    assert figures["workers"]["count"] == 1
    assert figures["cost"] == {}
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--pairs", "many"], "not a whole number"),
        (["--pairs", "0"], "not a whole number"),
        (["--pairs", "1.5"], "not a whole number"),
        (["--pairs", "nan"], "not a whole number"),
        (["--calibration-pairs", "0"], "--calibration-pairs"),
        (["--price-per-core-hour", "-1"], "--price-per-core-hour"),
        (["--price-per-gb-month", "x"], "--price-per-gb-month"),
        (["--variants", "0"], "--variants is 0"),
        (["--samples-per-shard", "0"], "--samples-per-shard is 0"),
        (["--workers", "0"], "--workers"),
        (["--executor", "other"], "--executor"),
        (["--gamma", "1:2", "--ladder", "1,2"], "omit one of the two"),
        (["--profile", "no-such"], "no profile 'no-such'"),
        (["--model", "no-such"], "no model 'no-such'"),
        (["--source", "nowhere"], "nowhere"),
        (["--json", "no/such/folder.json"], "--json"),
    ],
)
def test_a_mistake_is_reported_with_exit_code_two_and_nothing_is_written(options, message, plan, tmp_path):
    code, _, messages = plan(*options)
    assert code == 2
    assert message in messages
    assert list(tmp_path.iterdir()) == []
