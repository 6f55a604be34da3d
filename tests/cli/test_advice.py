"""Errors advise options that the command at hand has.

The library names arguments, and a command shows its option of that name (:mod:`dimmagen.cli.wording`). Which
errors a command can meet is read from the code: from its function on, every function and class that is named.
That is more than can happen, so `ELSEWHERE` has what cannot, with the reason.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from dimmagen.cli import cli
from dimmagen.cli.wording import named_arguments

ROOT = Path(__file__).resolve().parents[2]

_CARD = "it is no error, but the card of a data set"
_CLUSTER = "nothing but an address that was given leads there"
_DATA_SET = "training on a data set or by several workers, which `finetune` is not"
_FORGED = "settings that `dim` checks, and a manifest after it"
_GPU = "a device that was given"
_GROWING = "`add`, which was given"
_LOGGED = "a command with this option: others leave it out of the message, see `cli.wording.worded`"
ELSEWHERE = {
    "dimmagen.core.executors.ray_address:check_answers": _CLUSTER,
    "dimmagen.core.executors.ray_connected:_refuse_another_cluster": _CLUSTER,
    "dimmagen.dataset.card:_TEMPLATE": _CARD,
    "dimmagen.dimmers.base:DimmerModel": f"{_GPU}, or {_FORGED}",
    "dimmagen.dimmers.camera.model:CameraModel": "a model without a profile, which Python can make",
    "dimmagen.dimmers.dimmer:ImageDimmer": _FORGED,
    "dimmagen.dimmers.dimmer:_gammas_of": _FORGED,
    "dimmagen.dimmers.profile:Profile": _FORGED,
    "dimmagen.enhance.checkpoints:_TRAIN_AGAIN": "a run that is resumed: of a network, other advice is given",
    "dimmagen.enhance.config:TrainConfig": _DATA_SET,
    "dimmagen.enhance.data:ShardBatches": _DATA_SET,
    "dimmagen.enhance.distributed:_worker_error": _DATA_SET,
    "dimmagen.enhance.distributed:run_distributed": _DATA_SET,
    "dimmagen.enhance.enhancer:Enhancer": "a window that was given",
    "dimmagen.enhance.mixing:refuse_share": _DATA_SET,
    "dimmagen.enhance.training_data:open_training_data": _DATA_SET,
    "dimmagen.enhance.training_shards:open_shards": _DATA_SET,
    "dimmagen.generate.execution:_gpu_count": _GPU,
    "dimmagen.generate.execution:choose_execution": _GPU,
    "dimmagen.generate.gpu_worker:find_device": _GPU,
    "dimmagen.generate.growing:_MORE_FIRST": _GROWING,
    "dimmagen.generate.growing:grown_run": _GROWING,
    "dimmagen.generate.growing:light_format_of_addition": _GROWING,
    "dimmagen.generate.growing:refuse_discarding": _GROWING,
    "dimmagen.generate.previous_run:refusal": "a run for which `resume` can be given",
    "dimmagen.generate.resume:DatasetFolder": "`resume`, which was given",
    "dimmagen.generate.run_plan:_check_count": _FORGED,
    "dimmagen.generate.run_plan:check_pair_settings": _FORGED,
    "dimmagen.generate.run_plan:plan_dataset": "no photo at all, which is told before",
    "dimmagen.sources.archives.folders:_walk": _LOGGED,
    "dimmagen.sources.index_pass:index_candidates": _LOGGED,
    "dimmagen.sources.labels.index:parse_labels": "labels that were given",
    "dimmagen.sources.newcomers:refuse_limit": _GROWING,
}
"""What no command without these options meets, by what it needs."""

Place = str  # `module:name` of what a module defines


def modules() -> dict[str, ast.Module]:
    found = {}
    for path in (ROOT / "dimmagen").rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


class Code:
    """What the modules of the package define, and what each definition names."""

    def __init__(self) -> None:
        self.modules = modules()
        self.imported: dict[str, dict[str, str]] = {
            name: self._imports(tree) for name, tree in self.modules.items()
        }
        self.defined: dict[Place, ast.AST] = {}
        for name, tree in self.modules.items():
            for node in tree.body:
                for defined in self._names(node):
                    self.defined[f"{name}:{defined}"] = node

    def _imports(self, tree: ast.Module) -> dict[str, str]:
        found = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dimmagen"):
                for one in node.names:
                    module = f"{node.module}.{one.name}"
                    is_module = module in self.modules
                    found[one.asname or one.name] = module if is_module else f"{node.module}:{one.name}"
        return found

    @staticmethod
    def _names(node: ast.stmt) -> list[str]:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            return [node.name]
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            return [one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)]
        return []

    def place(self, name: str) -> Place:
        """Where something is defined that a module may have imported from another one."""
        module, _, attribute = name.partition(":")
        if name in self.defined or module not in self.imported:
            return name
        other = self.imported[module].get(attribute)
        return self.place(other) if other else name

    @cache  # noqa: B019 - there is one
    def named_in(self, place: Place) -> set[Place]:
        module = place.partition(":")[0]
        imported, found = self.imported[module], set()
        for node in ast.walk(self.defined[place]):
            if isinstance(node, ast.Name):
                found.add(imported.get(node.id, f"{module}:{node.id}"))
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                found.add(f"{imported.get(node.value.id, '')}:{node.attr}")
        return {one for one in map(self.place, found) if one in self.defined}

    def reached_from(self, place: Place) -> set[Place]:
        reached, new = set(), {place}
        while new:
            reached |= new
            new = set().union(*map(self.named_in, new)) - reached
        return reached


def text_of(node: ast.AST) -> str:
    """A literal text; what is put into it is left out."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(one.value) if isinstance(one, ast.Constant) else "?" for one in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def advice(node: ast.AST) -> Iterator[list[set[str]]]:
    """The arguments that each text in a definition names, by the ways that it offers."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "Ways.of":
        yield [{*named_arguments(text_of(way))} for way in node.args]
    elif text := text_of(node):
        yield [{*named_arguments(text)}]
    else:
        has_docstring = isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node)
        for child in ast.iter_child_nodes(node):
            if not (has_docstring and child is node.body[0]):
                yield from advice(child)


def commands(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        one = group.get_command(context, name)
        if isinstance(one, click.Group):
            yield from commands(one, f"{before}{name} ")
        elif name != "run":  # whose steps tell their errors themselves
            yield f"{before}{name}", one


CODE, COMMANDS = Code(), dict(commands(cli))
OPTIONS = {one.name for command in COMMANDS.values() for one in command.params}


def lacking(name: str) -> set[tuple[Place, str]]:
    """Definitions that a command reaches and arguments that they advise, which it lacks."""
    command = COMMANDS[name]
    function = command.callback
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    has, found = {one.name for one in command.params}, set()
    for place in CODE.reached_from(f"{function.__module__}:{function.__name__}"):
        if place.startswith("dimmagen.cli"):
            continue
        for ways in advice(CODE.defined[place]):
            lacks = [(way & OPTIONS) - has for way in ways]
            if all(lacks):
                found |= {(place, argument) for argument in set().union(*lacks)}
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_what_an_error_advises_is_an_option_of_the_command(name):
    assert [one for one in sorted(lacking(name)) if one[0] not in ELSEWHERE] == []


def test_what_is_known_to_happen_elsewhere_is_still_there():
    assert {*ELSEWHERE} == {place for name in COMMANDS for place, _ in lacking(name)}


def test_the_advice_of_each_command_is_found():
    """A change of how errors are made, or of how commands call, must not empty the test above."""
    reached = CODE.reached_from("dimmagen.cli.reproduce:reproduce")
    assert "dimmagen.core.executors.ray_cluster:refuse_other_cluster" in reached
    [node] = ast.parse("def f(x):\n '`no`'\n raise E(f'`a` is {x}', Ways.of('give `b=2`', f'{x}, `c`'))").body
    assert list(advice(node)) == [[{"a"}], [{"b"}, {"c"}]]
