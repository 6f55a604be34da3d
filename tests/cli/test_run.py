"""Recipes: `dimmagen run`, and `--recipe` of a single command."""

import json
import sys

import pytest

from dimmagen.cli import cli
from dimmagen.cli.recipe_files import bundled_recipes
from dimmagen.cli.recipes import command_words, load_recipe

RECIPES_BY_NAME = bundled_recipes()
RECIPES = RECIPES_BY_NAME.values()


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)
def test_every_recipe_uses_commands_and_options_that_exist(recipe):
    steps = load_recipe(recipe).steps
    assert steps
    for command, options in steps.items():
        group, words = cli, command_words(command, options)
        for word in command.split():
            context = group.make_context(word, [], resilient_parsing=True) if group is not cli else None
            group = group.get_command(context, words.pop(0))
        group.make_context(command, words)


def test_a_recipe_runs_its_steps_in_order_and_again_without_repeating_them(run, place, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "variables:\n  out: elsewhere\n"
        "train:\n  data: shards\n  out: ${out}/network\n  iterations: 2\n  validation-photos: 1\n"
        "  crop: 32\n  perceptual: none\n  flip: true\n"
        "evaluate:\n  network: ${out}/network\n  pairs: pairs\n  metrics: psnr\n  json: ${out}/scores.json\n"
    )
    code, out, _ = run("run", recipe, "--set", f"out={tmp_path}/run", "--dry-run")
    assert code == 0
    assert f"dimmagen train --data shards --out {tmp_path}/run/network --iterations 2" in out
    assert not (tmp_path / "run").exists()

    assert run("run", recipe, "--set", f"out={tmp_path}/run")[0] == 0
    assert json.loads((tmp_path / "run" / "scores.json").read_text())["protocol"] == "dimmagen-1"
    log = tmp_path / "run" / "network" / "log.csv"
    before = log.stat().st_mtime_ns, log.read_bytes()
    assert run("run", recipe, "--set", f"out={tmp_path}/run", "--only", "train")[0] == 0
    assert log.read_bytes() == before[1]


def test_an_option_of_a_recipe_is_changed_or_removed(run, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "variables:\n  out: runs\n"
        "train:\n  data: shards\n  out: ${out}/network\n  iterations: 2\n  patience: 3\n"
        "evaluate:\n  network: ${out}/network\n  pairs: pairs\n"
    )
    changes = ["train.iterations=7", "train.patience=", "train.flip=true", "evaluate.json=${out}/scores.json"]
    code, out, _ = run("run", recipe, "--dry-run", *(word for one in changes for word in ("--set", one)))
    assert code == 0
    assert out.splitlines() == [
        "dimmagen train --data shards --out runs/network --iterations 7 --flip",
        "dimmagen evaluate --network runs/network --pairs pairs --json runs/scores.json",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("fly.to=moon", "has no step fly: it has train, evaluate"),
        ("nowhere=x", "has no variable nowhere: it has out"),
        ("train.iterations=[", "is not a YAML value"),
        ("evaluate.iterations=3", "No such option '--iterations'"),
        ("evaluate.lightness=light", "'light' is not a valid float"),
        ("evaluate.pairs=", "Missing option '--pairs'"),
        ("evaluate.json=a$ b", "a $ begins a variable"),
        ("evaluate.json=s3://bucket/scores", "is a URL"),
    ],
)
def test_a_wrong_change_is_reported_before_the_first_step(run, place, tmp_path, change, message):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"variables:\n  out: {tmp_path}/run\n"
        "train:\n  data: shards\n  out: ${out}\n  iterations: 1\n  validation-photos: 1\n"
        "  crop: 32\n  perceptual: none\n"
        "evaluate:\n  network: ${out}\n  pairs: pairs\n"
    )
    code, _, err = run("run", recipe, "--set", change)
    assert code == 2
    assert message in err
    assert not (tmp_path / "run").exists()


def test_what_a_recipe_reads_has_to_be_there_before_its_first_step(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    code, out, err = run("run", "my-camera")
    assert (code, out) == (2, "")
    told = " ".join(err.split())
    assert "my-camera reads what does not exist: pairs (pairs), photos (photos)" in told
    assert "say where yours are: --set pairs=PATH --set photos=PATH" in told
    err = " ".join(run("run", "my-camera", "--set", "pairs=mine", "--set", "photos=none")[2].split())
    assert "reads what does not exist: none (photos): say where yours are: --set photos=PATH" in err
    for photos in ("sample", "s3://bucket/photos", "photos/*.jpg", "coco=photos"):
        assert load_recipe(RECIPES_BY_NAME["my-camera"], {"photos": photos}).inputs["photos"][0] == photos
        load_recipe(RECIPES_BY_NAME["my-camera"], {"photos": photos}).refuse_missing_inputs(["dim"])
    assert load_recipe(RECIPES_BY_NAME["lol3"]).inputs.keys() == {"pairs", "test", "mixhq"}


def test_values_of_a_recipe_are_strings_and_not_numbers_of_other_bases(run, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "variables:\n  out: '0'\n"
        "dim:\n  profile: lol3\n  shards: ${out}\n  gamma: 1:1\n  seed: 2\n"
        "finetune:\n  network: n\n  pairs: p\n  out: o\n  names: 00012\n"
        "  bf16: true\n  flip: false\n  crop:\n"
    )
    code, out, _ = run("run", recipe, "--dry-run", "--set", "finetune.hold-out=2_5")
    assert code == 0
    assert out.splitlines() == [
        "dimmagen dim --profile lol3 --shards 0 --gamma 1:1 --seed 2",
        "dimmagen finetune --network n --pairs p --out o --names 00012 --bf16 --hold-out 2_5",
    ]


def test_a_single_command_uses_its_own_step_of_a_recipe(run, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "dim:\n  profile: lol3\nevaluate:\n  network: network\n  pairs: pairs\n  metrics: psnr\n"
    )
    code, out, _ = run("evaluate", "--recipe", recipe, "--names", "1")
    assert code == 0
    assert "1 image," in out
    code, _, err = run("train", "--recipe", recipe, "--out", "new")
    assert code == 2
    assert "has no step train: it has dim, evaluate" in err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("variables:\n  out: x\nfly:\n  to: moon\n", "there is no step fly"),
        ("train:\n  out: ${nowhere}\n", "there is no variable 'nowhere'"),
        ("train: 3\n", "must have lines"),
        ("- train\n", "has no options"),
        ("train: {", "is not YAML"),
        ("train:\n  data: a\nevaluate: {}\ntrain:\n  out: b\n", "the key 'train' is there twice"),
        ("dim:\n  source: [a, ]\n  exclude: [null]\n", "exclude has an empty value"),
    ],
)
def test_a_mistake_in_a_recipe_is_reported(run, tmp_path, text, message):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(text)
    code, _, err = run("run", recipe)
    assert code == 2
    assert message in err


def test_a_recipe_with_former_names_runs_with_notices(run, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "places:\n  out: runs\n"
        "train:\n  shards: shards\n  model: compact\n  out: ${out}/network\n"
        "evaluate:\n  from: ${out}/network\n  pairs: pairs\n"
    )
    code, out, err = run("run", recipe, "--dry-run")
    assert code == 0
    assert out.splitlines() == [
        "dimmagen train --data shards --architecture compact --out runs/network",
        "dimmagen evaluate --network runs/network --pairs pairs",
    ]
    for former, present in (("places:", "variables:"), ("--shards", "--data"), ("--from", "--network")):
        assert f"{former} is now {present}" in err


def test_a_step_of_a_recipe_with_former_names_gives_a_single_command_its_options(run, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("from: network\npairs: pairs\nmetrics: psnr\n")
    code, out, err = run("evaluate", "--recipe", recipe, "--names", "1")
    assert code == 0
    assert "psnr" in out.lower()
    assert "--from is now --network" in err


@pytest.mark.parametrize("name", ["lol3-camera", "lol3-camera.yaml", "pipelines/lol3-camera.yaml"])
def test_a_bundled_recipe_is_found_by_name_and_by_its_former_path(run, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("run", name, "--dry-run", "--set", "out=here")
    assert code == 0
    assert [line.split()[1] for line in out.splitlines()] == ["profile", "dim", "train", "evaluate"]


def test_a_file_comes_before_a_bundled_recipe(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lol3").write_text("dim:\n  profile: linear\n  shards: out\n")
    code, out, _ = run("run", "lol3", "--dry-run")
    assert (code, out) == (0, "dimmagen dim --profile linear --shards out\n")


def test_a_mistyped_recipe_is_told_with_the_nearest_names(run):
    code, _, error = run("run", "lol3-camra", "--dry-run")
    assert code == 2
    assert "did you mean lol3-camera" in error
    assert run("run", "somewhere/else.yaml")[0] == 2


def test_the_pairs_of_a_night_are_made_checked_and_exported_by_one_recipe(run, place, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "dim:\n  profile: linear\n  source: sample\n  shards: night\n  executor: serial\n"
        "verify:\n  dataset: night\n"
        "export:\n  dataset: night\n  layout: lol-v1\n  out: exported\n"
    )
    assert run("run", recipe)[0] == 0
    assert len(list((place / "exported").rglob("*.png"))) == 10


def test_the_arguments_of_a_command_are_in_a_recipe_by_their_names(run, place, tmp_path):
    (tmp_path / "verify.yaml").write_text("dataset: shards\njson: true\n")
    (tmp_path / "merge.yaml").write_text("merge:\n  datasets: [shards]\n  out: merged\n")
    code, out, _ = run("verify", "--recipe", tmp_path / "verify.yaml")
    assert (code, json.loads(out)["pairs"]) == (0, 5)
    code, _, err = run("merge", "--recipe", tmp_path / "merge.yaml")
    assert (code, "a merge needs at least two data sets" in err) == (2, True)


def test_an_option_with_the_name_of_a_command_is_an_option(run, place, tmp_path):
    (tmp_path / "options.yaml").write_text("network: network\nexport: [onyx, model.onnx]\n")
    assert "'onyx' is not" in run("enhance", "--recipe", tmp_path / "options.yaml")[2]
    (tmp_path / "recipe.yaml").write_text("enhance:\n  network: network\n  export: [onnx, model.onnx]\n")
    assert "--export onnx model.onnx" in run("run", tmp_path / "recipe.yaml", "--dry-run")[1]


@pytest.mark.parametrize(
    ("option", "package", "extra"),
    [("architecture: paper", "diffusers", "train"), ("logger: [mlflow]", "mlflow", "mlflow")],
)
def test_a_package_that_a_step_needs_is_there_before_the_first_step(
    option, package, extra, run, place, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, package, None)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"dim:\n  profile: linear\n  source: sample\n  shards: {tmp_path}/out\n"
        f"train:\n  data: {tmp_path}/out\n  out: {tmp_path}/run\n  {option}\n"
    )
    code, _, err = run("run", recipe)
    assert code == 2
    assert err.endswith(f"the package {package}: pip install 'dimmagen[{extra}]'\n")
    assert not (tmp_path / "out").exists()
