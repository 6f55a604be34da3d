"""The documentation is true: its Python runs, its commands, layouts, paths and links exist."""

import ast
import importlib.util
import json
import re
import runpy
import shlex
import tempfile
import tomllib
from pathlib import Path

import click
import matplotlib.pyplot as plt
import pytest
import yaml
from PIL import Image

import dimmagen
from dimmagen.cli import cli
from dimmagen.export.layouts import LAYOUTS
from dimmagen.images.codec import encode_png
from tests.dataset_helpers import make, write_photos
from tests.labelled_photos import write_labelled_photos
from tests.simulated_camera import SimulatedCamera, simulated_light

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs/exports").glob("*.md")),
    ROOT / "README.md",
]
ALL_PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(ROOT.glob("benchmarks/*.md")),
]
FOLDERS = ("dimmagen", "tests", "docs", "benchmarks", "pipelines", "manifests")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


EXTRAS = {
    "datasets": "interop",
    "duckdb": "interop",
    "torchvision": "torchvision",
    "albumentations": "albumentations",
    "kornia": "kornia",
}


def run(code: str) -> None:
    for name, extra in EXTRAS.items():
        if re.search(rf"(from|import) {name}\b", code) and importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed: pip install 'dimmagen[{extra}]'")
    exec(compile(code, "documentation", "exec"), {"__name__": "documentation"})


README = blocks((ROOT / "README.md").read_text(), "python")
LOADERS = blocks((ROOT / "docs/loaders.md").read_text(), "python")
API = blocks((ROOT / "docs/api.md").read_text(), "python")
GROWING = blocks((ROOT / "docs/growing.md").read_text(), "python")
DARK_COCO = blocks((ROOT / "docs/dark-coco.md").read_text(), "python")
TRAINING_LOOP = blocks((ROOT / "docs/training-loop.md").read_text(), "python")
REALISM = blocks((ROOT / "docs/realism.md").read_text(), "python")


def test_the_python_of_no_page_is_left_out_in_silence():
    run_here = {"loaders", "api", "growing", "dark-coco", "training-loop", "realism"}
    elsewhere = {"extending", "training"}  # tests/test_extending.py, tests/enhance/test_onnx_model.py
    pages = {page.stem for page in (ROOT / "docs").glob("*.md") if blocks(page.read_text(), "python")}
    assert pages == run_here | elsewhere
    above = {page.name for page in ROOT.glob("*.md") if blocks(page.read_text(), "python")}
    assert above == {"README.md"}


@pytest.fixture(scope="module")
def quick_start(tmp_path_factory):
    """The folder in which the README's quick start was followed."""
    folder = tmp_path_factory.mktemp("quick-start")
    dimmagen.make_dataset("lol3", ["sample"], folder / "out")
    return folder


@pytest.mark.parametrize("code", [*README, *LOADERS], ids=range(len(README) + len(LOADERS)))
def test_the_examples_of_the_readme_and_of_the_loaders_page_run(code, quick_start, monkeypatch):
    monkeypatch.chdir(quick_start)
    run(code)


@pytest.fixture(scope="session", params=["webp", "png", "jpg", "mixed"])
def sets_of_each_light_format(request, tmp_path_factory):
    """A data set `out` of two photos in one format, or in all of them; its folder."""
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "photos").mkdir()
    formats = {"mixed": ("webp", "png", "jpg")}.get(request.param, (request.param,) * 3)
    for index, kind in enumerate(formats):
        Image.fromarray(simulated_light(index, 256, 256)).save(folder / f"photos/{index}.{kind}")
    make(folder / "photos", folder / "out", image_format="webp" if request.param == "webp" else "png")
    return folder


READERS_OF_SHARDS = [code for code in LOADERS if "webdataset" in code or "load_dataset" in code]


@pytest.mark.parametrize("code", READERS_OF_SHARDS, ids=["webdataset", "datasets"])
def test_the_examples_of_other_readers_run_for_sets_of_any_light_format(
    code, sets_of_each_light_format, monkeypatch
):
    monkeypatch.chdir(sets_of_each_light_format)
    run(code)


@pytest.mark.parametrize("code", API, ids=range(len(API)))
def test_the_examples_of_the_api_page_run(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(code)
    assert not (tmp_path / "never-made").exists()


@pytest.mark.parametrize("code", TRAINING_LOOP, ids=range(len(TRAINING_LOOP)))
def test_the_examples_of_the_training_loop_page_run(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(code)


@pytest.mark.parametrize("path", sorted((ROOT / "docs").rglob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    names: dict = {"__name__": "documentation"}
    for cell in [cell for cell in cells if cell["cell_type"] == "code"]:
        value = value_of("".join(cell["source"]), names)
        printed = [
            "".join(one["data"]["text/plain"]) for one in cell["outputs"] if "image/jpeg" not in one["data"]
        ]
        shown = [repr(value)] if value is not None else []
        assert ["".join(text.split()) for text in printed] == ["".join(text.split()) for text in shown]


def value_of(code: str, names: dict) -> object:
    """Run a cell of a notebook: the value of its last line, as a notebook shows it."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "notebook", "exec"), names)
    return eval(compile(ast.Expression(last.value), "notebook", "eval"), names) if last else None


@pytest.mark.parametrize("code", GROWING, ids=range(len(GROWING)))
def test_the_examples_of_the_page_about_growing_run(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for count in (3, 5):
        write_photos(tmp_path / "photos", count)
        dimmagen.build_mixhq(["photos"], "mixhq", add=True)
        dimmagen.make_dataset("lol3", ["mixhq"], "out", add=True)
    run(code)


@pytest.mark.parametrize("code", DARK_COCO, ids=range(len(DARK_COCO)))
def test_the_examples_of_the_page_about_labels_run(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_labelled_photos(tmp_path)
    labels = "coco=instances.json"
    dimmagen.make_dataset("linear", ["photos"], "out", labels=labels)
    run(code)


@pytest.mark.parametrize("code", REALISM, ids=range(len(REALISM)))
def test_the_examples_of_the_realism_page_run(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for side in ("low", "high"):
        (tmp_path / "LOL/eval15" / side).mkdir(parents=True)
    for index in range(2):
        light = simulated_light(index, 96, 128)
        dark = SimulatedCamera().shoot(light, index)
        (tmp_path / f"LOL/eval15/high/{index}.png").write_bytes(encode_png(light))
        (tmp_path / f"LOL/eval15/low/{index}.png").write_bytes(encode_png(dark))
    run(code)


def test_the_snippets_of_a_data_sets_card_run_in_its_folder(pair_set, monkeypatch):
    monkeypatch.chdir(pair_set)
    snippets = blocks((pair_set / "README.md").read_text(), "python")
    assert len(snippets) == 3
    for snippet in snippets:
        run(snippet)


def test_the_snippets_of_a_card_run_for_sets_of_any_light_format(sets_of_each_light_format, monkeypatch):
    out = sets_of_each_light_format / "out"
    monkeypatch.chdir(out)
    for snippet in blocks((out / "README.md").read_text(), "python"):
        run(snippet)


def command_of(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that a command line names, and the rest of the line."""
    command: click.Command = cli
    rest = words[1:]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(click.Context(command), rest[0])
        assert found is not None, f"no command {rest[0]}"
        command, rest = found, rest[1:]
    return command, rest


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_line_in_the_docs_has_options_that_exist(page):
    text = page.read_text() if page.exists() else ""
    for block in blocks(text, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            if not line.startswith("dimmagen "):
                continue
            command, rest = command_of(shlex.split(line, comments=True))
            known = {"--help", *(name for option in command.params for name in option.opts)}
            for word in rest:
                if word.startswith("--"):
                    assert word.split("=")[0] in known, f"{line}: no option {word}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_option_that_a_page_mentions_exists(page):
    known = {"--help", "--version"}
    known |= {name for one in leaves(cli) for option in one.params for name in option.opts}
    text = page.read_text() if page.exists() else ""
    for code in re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)):
        if code.startswith(("--", "dimmagen ")):
            for word in re.findall(r"(?<!\S)--[a-z][\w-]*", code):
                assert word in known, f"`{code}`: no option {word}"


RECIPE_LINES = [
    (page.name, line)
    for page in PAGES
    for block in blocks(page.read_text(), "sh")
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith("dimmagen run ")
]


@pytest.mark.parametrize(("page", "line"), RECIPE_LINES, ids=[page for page, _ in RECIPE_LINES])
def test_every_recipe_in_the_docs_runs_with_its_changes(page, line, monkeypatch):
    monkeypatch.chdir(ROOT)
    cli.main([*shlex.split(line)[1:], "--dry-run"], standalone_mode=False)


def test_the_docs_have_a_recipe_to_run():
    assert RECIPE_LINES


def test_every_layout_has_its_page_and_is_listed():
    text = (ROOT / "docs/exports.md").read_text()
    listed = text[text.index("<!-- layouts -->") :]
    assert re.findall(r"\(exports/([\w-]+)\.md\)", listed) == list(LAYOUTS)
    assert {page.stem for page in (ROOT / "docs/exports").iterdir()} == set(LAYOUTS)


def test_the_pages_of_exports_say_what_the_tables_of_layouts_and_readers_say():
    pages = runpy.run_path(str(ROOT / "docs/make_export_pages.py"))["pages"]()
    for path, text in pages.items():
        assert (ROOT / "docs" / path).read_text() == text, f"{path}: run python docs/make_export_pages.py"


def test_every_command_has_its_page_with_every_option():
    for name in cli.list_commands(click.Context(cli)):
        page = ROOT / f"docs/commands/{name}.md"
        assert page.exists(), "run python docs/make_command_pages.py"
        text = page.read_text()
        command = cli.get_command(click.Context(cli), name)
        for one in leaves(command):
            for option in (option for option in one.params if isinstance(option, click.Option)):
                assert option.opts[0] in text, (
                    f"{name} {option.opts[0]}: run python docs/make_command_pages.py"
                )


def test_the_tables_of_the_pairs_page_are_those_of_the_code():
    spec = importlib.util.spec_from_file_location("make_command_pages", ROOT / "docs/make_command_pages.py")
    pages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pages)
    text = pages.PAIRS_PAGE.read_text()
    assert pages.pairs_page(text) == text, "run python docs/make_command_pages.py"
    assert pages.names_table() in text


def leaves(command: click.Command) -> list[click.Command]:
    """The command itself, or all commands of a group and the groups in it."""
    if not isinstance(command, click.Group):
        return [command]
    context = click.Context(command)
    inner = [command.get_command(context, name) for name in command.list_commands(context)]
    return [leaf for one in inner for leaf in leaves(one)]


def relative(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", ALL_PAGES, ids=relative)
def test_every_link_leads_to_a_file_that_exists(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        target = (page.parent / link.partition("#")[0]).resolve()
        assert link.startswith(("http:", "https:", "#")) or target.exists(), f"{relative(page)}: {link}"


def named_files(text: str) -> set[str]:
    """Files of this repository that a page names: by their path, or as `module.py`."""
    paths = re.findall(rf"(?<![\w./-])((?:{'|'.join(FOLDERS)})/[\w./-]*\.[a-z]+)", text)
    return {*paths, *re.findall(r"`([\w./-]+\.py)(?:::\w+)?`", text)}


def test_files_are_found_in_prose_in_commands_and_by_the_name_of_a_module():
    text = (
        "see docs/a.md, `python tests/b.py X`, `c/d.py`, `tests/e.py::test_f`; not out/docs/g.md or `h.yaml`"
    )
    assert named_files(text) == {"docs/a.md", "tests/b.py", "c/d.py", "tests/e.py"}


@pytest.mark.parametrize("page", [page for page in ALL_PAGES if page.name != "CHANGELOG.md"], ids=relative)
def test_every_file_that_a_page_names_exists(page):
    text = page.read_text()
    for path in named_files(text):
        # ARCHITECTURE.md names modules as they lie in dimmagen/, and says which names were not taken.
        in_a_room = page.name == "ARCHITECTURE.md" and (ROOT / "dimmagen" / path).exists()
        assert (ROOT / path).exists() or in_a_room or f", not `{path}`" in text, f"{relative(page)}: {path}"


@pytest.mark.parametrize("page", ALL_PAGES, ids=relative)
def test_what_the_python_of_a_page_imports_from_dimmagen_is_there(page):
    for block in blocks(page.read_text(), "python"):
        for line in re.findall(r"^(?:from|import) dimmagen.*$", block, re.MULTILINE):
            run(line)


def test_the_architecture_names_every_room_and_their_order_as_make_lint_holds_it():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    linted = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    layers = [set(re.findall(r"\w+", layer)) for layer in linted["layers"]]
    assert set(re.findall(r"^- \*\*(\w+)\*\*", text, re.MULTILINE)) == set().union(*layers)
    (order,) = re.findall(r"^cli ─▶ [^`]*", text, re.MULTILINE)
    assert [set(re.findall(r"\w+", part)) for part in order.split("─▶")] == layers


def test_every_target_of_make_that_a_page_names_exists():
    makefile = (ROOT / "Makefile").read_text()
    for page in ALL_PAGES:
        text = page.read_text()
        shell = "\n".join(blocks(text, "sh"))
        for target in re.findall(r"`make ([\w-]+)", text) + re.findall(
            r"^make ([\w-]+)", shell, re.MULTILINE
        ):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{relative(page)}: make {target}"


def test_the_version_is_the_same_wherever_it_is_written():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert project["version"] == dimmagen.__version__ == str(citation["version"])
    assert project["license"] == citation["license"]


def test_the_workflow_calls_the_targets_of_a_developer_on_every_system_and_python():
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    calls = {
        name: [step["run"].split()[:2] for step in job["steps"] if "run" in step]
        for name, job in jobs.items()
    }
    assert calls == {"lint": [["make", "lint"]], "test": [["make", "test"]]}
    matrix = jobs["test"]["strategy"]["matrix"]
    assert matrix["os"] == ["ubuntu-latest", "macos-latest", "windows-latest"]
    assert matrix["python-version"] == ["3.11", "3.12", "3.13", "3.14"]


@pytest.mark.parametrize(
    "form", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")), ids=lambda form: form.stem
)
def test_an_issue_form_is_complete_and_asks_for_the_version_and_the_environment(form):
    content = yaml.safe_load(form.read_text())
    assert {"name", "description", "body"} <= content.keys()
    questions = [part for part in content["body"] if part["type"] != "markdown"]
    names = [part["id"] for part in questions]
    assert len(names) == len(set(names))
    for part in questions:
        assert part["type"] in ("input", "textarea", "dropdown", "checkboxes")
        assert part["attributes"]["label"]
        assert part["type"] != "dropdown" or len(part["attributes"]["options"]) > 1
    required = {part["id"] for part in questions if part.get("validations", {}).get("required")}
    assert "version" in required
    assert "environment" in form.read_text()
