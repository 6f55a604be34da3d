"""The options of every command: results as JSON, messages in a file, quiet runs, environment variables."""

import json
import logging

import click
import pytest

from dimmagen.cli import cli
from dimmagen.cli.recipes import COMMANDS
from tests.cli.test_help import ALL, LEAVES
from tests.commands import exit_code
from tests.dataset_helpers import write_photos


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with photos and a data set of them, `out`."""
    folder = tmp_path_factory.mktemp("output")
    write_photos(folder / "photos", 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        cli.main(DIM.split(), standalone_mode=False)
    return folder


DIM = "dim --profile linear --source photos --shards out --executor serial"
PLAN = "plan --profile linear"


@pytest.fixture
def run(capfd, monkeypatch, place):
    """Runs a command line in that folder; returns exit code, output and messages."""
    monkeypatch.chdir(place)

    def run(line):
        return exit_code(*line.split()), *capfd.readouterr()

    return run


@pytest.mark.parametrize("name", ALL)
def test_every_command_has_the_options_for_output(name):
    context = ALL[name]
    options = {option for param in context.command.get_params(context) for option in param.opts}
    assert {"--json", "--log-file", "--log-format", "--quiet", "-q", "--verbose", "-v"} <= options


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_returns_a_result_for_json(name):
    function = LEAVES[name].command.callback
    assert str(function.__annotations__["return"]).startswith("dict[str"), name


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("stats out", {"pairs": 3, "photos": 3}),
        ("verify out", {"dataset": "out", "pairs": 3, "shards": 1, "made_again": 0}),
        ("verify out --reproduce 100%", {"made_again": 3}),
        ("inspect out", {"pairs": 3, "light_images": 3}),
        (DIM, {"dataset": "out", "pairs": 3, "made": 0}),
        (f"{DIM} --dry-run", {"pairs": 3, "written": False}),
        (f"{DIM} --add", {"dataset": "out", "pairs": 3, "made": 0}),
        ("build-mixhq --source folder=photos --dry-run", {"light_images": 3, "written": False}),
        ("plan --profile linear --source photos --calibration-pairs 1", {"pairs": 3}),
        ("plan --profile linear --source photos --calibration-pairs 1 --workers 1", {"pairs": 3}),
        ("manifest diff out out", {"same": True, "differences": []}),
        ("profile show linear", {"name": "linear"}),
        ("subset out --out part --min-side 1", {"of_pairs": 3, "pairs": 3}),
        ("export out --layout lol-v1 --out lol --validation 1", {"layout": "lol-v1", "reader": None}),
    ],
)
def test_the_result_is_one_json_document_alone_on_standard_output(line, expected, run):
    code, out, err = run(f"{line} --json")
    assert code == 0, err
    result = json.loads(out)
    assert {name: result[name] for name in expected} == expected


def test_json_stands_before_or_behind_the_command(run):
    assert run("--json stats out")[1] == run("stats out --json")[1] == run("stats --json out")[1]


def test_the_version_is_json_as_well(run):
    _, out, _ = run("--version --json")
    assert json.loads(out)["dimmagen"] in run("--version")[1]


@pytest.mark.parametrize(
    ("line", "code", "error"),
    [
        ("verify nowhere --json", 2, {"code": "missing-path", "path": "nowhere"}),
        ("verify --json", 2, {"code": "usage"}),
        ("verify out --wrong --json", 2, {"code": "usage"}),
        ("vrify out --json", 2, {"code": "unknown-name", "near": ["verify"]}),
        ("leaks out photos --json", 1, {"code": "failed"}),
        ("dim --profile linaer --source photos --shards x --json", 2, {"code": "unknown-name"}),
    ],
)
def test_an_error_is_json_with_its_code_and_hint(line, code, error, run):
    exit_code, out, err = run(line)
    assert exit_code == code
    found = json.loads(out)["error"]
    assert {name: found[name] for name in error} == error
    assert found["exit_code"] == code
    assert found["message"]
    assert "hint" in found
    assert found["message"] in err  # for people, on standard error


def test_hints_of_json_name_options(run):
    _, out, _ = run("dim --profile linear --source photos --shards new --variants 0 --json")
    assert json.loads(out)["error"]["message"] == "--variants is 0"


def test_a_difference_is_a_result_with_exit_code_one(run, place):
    run("dim --profile linear --source photos --shards other --seed 1 --executor serial")
    code, out, _ = run("manifest diff out other --json")
    assert code == 1
    assert json.loads(out)["same"] is False
    assert any("seed" in line for line in json.loads(out)["differences"])


def test_the_results_of_the_steps_of_a_recipe_are_one_document(run, place):
    (place / "recipe.yaml").write_text(
        "dim:\n  profile: linear\n  source: photos\n  shards: out\n  executor: serial\n"
    )
    code, out, _ = run("run recipe.yaml --json")
    assert code == 0
    (step,) = json.loads(out)["steps"]
    assert step["result"]["pairs"] == 3


def test_quiet_leaves_results_and_errors(run):
    _, out, err = run(f"{DIM} -q")
    assert "out is complete" in out
    assert "Next: " not in out
    assert err == ""
    _, out, err = run(DIM)
    assert "Next: dimmagen verify out\n      dimmagen inspect out" in out
    assert "3 photos from" in err
    assert "Error: nowhere" in run("verify nowhere -q")[2]


def test_a_log_file_gets_results_messages_and_errors_with_the_time(run, tmp_path):
    log = tmp_path / "log.txt"
    run(f"{DIM} --log-file {log}")
    run(f"--log-file {log} verify nowhere --quiet")
    lines = log.read_text().splitlines()
    assert all(line[:4].isdigit() and line[10] == "T" for line in lines if not line.startswith("    "))
    assert any(line.endswith("info dimmagen.cli: 3 photos from folder=photos") for line in lines)
    assert any("out is complete" in line for line in lines)
    assert "error dimmagen.cli: Error: nowhere does not exist" in lines[-1]


def test_messages_in_json_are_one_object_a_line(run, tmp_path):
    log = tmp_path / "log.json"
    _, out, err = run(f"{DIM} --log-format json --log-file {log}")
    assert "out is complete" in out  # results stay as they are
    for text in (err, log.read_text()):
        records = [json.loads(line) for line in text.splitlines()]
        assert {"time", "level", "logger", "message"} <= records[0].keys()
        assert "3 photos from folder=photos" in [record["message"] for record in records]
    _, _, err = run("verify nowhere --log-format json")
    assert json.loads(err)["error"]["code"] == "missing-path"


def test_a_log_file_that_cannot_be_written_is_an_error(run):
    code, _, err = run("stats out --log-file no/such/folder/log")
    assert code == 2
    assert "check --log-file" in err


def test_a_log_file_is_closed_and_the_settings_restored_after_the_command(run, tmp_path):
    before = list(logging.getLogger("dimmagen").handlers)
    run(f"stats out --log-file {tmp_path / 'log'} --json -v")
    assert logging.getLogger("dimmagen").handlers == before
    assert run("stats out")[1].startswith("3 pairs")


def test_details_are_shown_on_request(run):
    assert "shard" not in run("verify out")[2]
    assert "fingerprint" in run(f"{DIM} -v")[2]


def test_an_option_is_set_by_the_environment_below_the_command_line(run, monkeypatch):
    line = "dim --profile linear --source photos --shards new --dry-run --json"
    monkeypatch.setenv("DIMMAGEN_DIM_VARIANTS", "4")
    assert json.loads(run(line)[1])["pairs"] == 12
    assert json.loads(run(f"{line} --variants 2")[1])["pairs"] == 6


def test_the_environment_is_above_a_recipe_and_that_above_the_default(run, place, monkeypatch):
    (place / "options.yaml").write_text("variants: 5\n")
    line = "dim --profile linear --source photos --shards new --dry-run --json --recipe options.yaml"
    assert json.loads(run(line)[1])["pairs"] == 15
    monkeypatch.setenv("DIMMAGEN_DIM_VARIANTS", "4")
    assert json.loads(run(line)[1])["pairs"] == 12
    monkeypatch.delenv("DIMMAGEN_DIM_VARIANTS")
    assert json.loads(run(line.replace("--recipe options.yaml", ""))[1])["pairs"] == 3


def test_each_long_name_of_an_option_is_a_variable(run, monkeypatch):
    for name in ("DIMMAGEN_DIM_SHARDS", "DIMMAGEN_DIM_OUT"):
        monkeypatch.setenv(name, "by-environment")
        line = "dim --profile linear --source photos --dry-run --json"
        assert json.loads(run(line)[1])["dataset"] == "by-environment"
        monkeypatch.delenv(name)


def test_output_is_set_by_the_environment_for_all_commands(run, monkeypatch):
    monkeypatch.setenv("DIMMAGEN_QUIET", "1")
    monkeypatch.setenv("DIMMAGEN_JSON", "1")
    _, out, err = run(DIM)
    assert json.loads(out)["pairs"] == 3
    assert err == ""


def test_a_variable_that_names_no_option_is_told(run, monkeypatch):
    monkeypatch.setenv("DIMMAGEN_DIM_WORKRES", "8")
    monkeypatch.setenv("DIMMAGEN_DIM_NOSUCH", "8")
    told = " ".join(run(DIM)[2].split())
    no_option = "does not match any option of dimmagen dim"
    assert f"DIMMAGEN_DIM_WORKRES {no_option}: did you mean DIMMAGEN_DIM_WORKERS?" in told
    assert f"DIMMAGEN_DIM_NOSUCH {no_option}: see --help" in told
    assert f"DIMMAGEN_DIM_NOSUCH {no_option}" in " ".join(run(f"{DIM} --quiet")[2].split())


def test_a_variable_of_a_former_name_counts_with_a_notice(run, monkeypatch):
    monkeypatch.setenv("DIMMAGEN_PLAN_PROBE", "none")
    assert "'none' is not a valid integer. This is from DIMMAGEN_PLAN_PROBE." in run(PLAN)[2]
    monkeypatch.setenv("DIMMAGEN_PLAN_CALIBRATION_PAIRS", "1")
    told = " ".join(run(f"{PLAN} --source missing")[2].split())
    assert "Note: DIMMAGEN_PLAN_PROBE is now DIMMAGEN_PLAN_CALIBRATION_PAIRS; the former name" in told
    assert "does not match any option" not in told


def test_a_wrong_value_that_was_not_typed_says_where_it_is_from(run, monkeypatch, tmp_path):
    recipe = tmp_path / "some.yaml"
    recipe.write_text("variants: many")
    code, _, err = run(f"{DIM} --recipe {recipe}")
    assert (code, " ".join(err.split()).count(f"not a valid integer. This is from {recipe}.")) == (2, 1)
    monkeypatch.setenv("DIMMAGEN_DIM_VARIANTS", "two")
    assert "'two' is not a valid integer. This is from DIMMAGEN_DIM_VARIANTS." in run(DIM)[2]
    assert "This is from" not in run(f"{DIM} --variants few")[2]


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_takes_a_recipe_but_the_one_that_runs_them(name):
    context = LEAVES[name]
    takes_one = any("--recipe" in param.opts for param in context.command.get_params(context))
    assert takes_one == (name != "dimmagen run")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_step_of_a_recipe_is_a_command(name):
    assert f"dimmagen {name}" in LEAVES


@pytest.mark.parametrize("name", LEAVES)
def test_no_two_options_have_one_variable(name):
    context = LEAVES[name]
    options = [one for one in context.command.get_params(context) if isinstance(one, click.Option)]
    names = [variable for option in options for variable in option.envvar or ()]
    assert len(names) == len(set(names))
