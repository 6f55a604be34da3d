"""Tests that need something of their system say so, and are skipped where it is absent."""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from tests import systems
from tests.systems import SYSTEM, is_here

TESTS = Path(__file__).parent
PATHS = [path for path in sorted(TESTS.rglob("*.py")) if "systems" not in path.as_posix()]
_BY_NAME = {
    **dict.fromkeys(("sched_getaffinity", "sched_setaffinity"), "affinity"),
    **dict.fromkeys(("fork", "waitpid", "preexec_fn"), "fork"),
    **dict.fromkeys(("kill", "killpg", "setitimer", "start_new_session", "pthread_kill"), "signals"),
    **dict.fromkeys(("SIGKILL", "SIGSTOP", "SIGCONT", "SIGHUP", "SIGALRM"), "signals"),
    **dict.fromkeys(("symlink", "symlink_to"), "links"),
    **dict.fromkeys(("geteuid", "chown"), "root"),
    "mkfifo": "fifo",
    "setrlimit": "limits",
}
_BY_TEXT = {"/proc": "proc", "LD_PRELOAD": "preload"}
_BY_PATH = {"/dev/shm": "shm", "/dev/full": "full-device"}
_MODULES = ("os", "signal", "resource")
_ON_WINDOWS = {"kill", "waitpid", "symlink"}  # of the names above
_POSIX_MODULES = ("fcntl", "resource", "pwd", "grp", "termios", "pty", "tty")


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _needs(code: ast.AST) -> Iterator[str]:
    """What a piece of code uses that not every system has."""
    for node in ast.walk(code):
        if isinstance(node, ast.Attribute) and node.attr in _BY_NAME:
            of_system = isinstance(node.value, ast.Name) and node.value.id in _MODULES
            if of_system or node.attr == "symlink_to":
                yield _BY_NAME[node.attr]
        elif isinstance(node, ast.keyword) and node.arg in ("preexec_fn", "start_new_session"):
            yield _BY_NAME[node.arg]
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Path":
            values = (one.value for one in node.args if isinstance(one, ast.Constant))
            yield from (_BY_PATH[value] for value in values if value in _BY_PATH)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from (need for text, need in _BY_TEXT.items() if node.value.startswith(text))


def _arguments(code: ast.AST, function: str) -> Iterator[str]:
    """The texts that calls of a function, or of an attribute of that name, are given."""
    for node in ast.walk(code):
        if isinstance(node, ast.Call) and function in (
            getattr(node.func, "id", ""),
            getattr(node.func, "attr", ""),
        ):
            yield from (str(one.value) for one in node.args if isinstance(one, ast.Constant))


def _at_import(tree: ast.Module) -> Iterator[ast.AST]:
    """What runs when a module is imported: all but the bodies of its functions and methods."""
    waiting: list[ast.AST] = [*tree.body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef):
            yield from (*node.decorator_list, *node.args.defaults)
        elif isinstance(node, ast.ClassDef):
            waiting += node.body
        else:
            yield node


def _used(code: ast.AST) -> set[str]:
    """Names that a piece of code uses, `module.name` among them."""
    names = set()
    for node in ast.walk(code):
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            names.add(f"{node.value.id}.{node.attr}")
    return names


class _Code:
    """The top-level definitions of one module of the tests.

    Attributes:
        name: such as `tests.killing`.
        parts: code by name; assignments, functions and classes.
        uses: names of functions, of values, and of fixtures by arguments, by name of the definition.
        needs: what a definition itself needs, but for what it asks for by `is_here`.
        origin: (module, name) of what is imported from other modules of the tests, by name here.
    """

    def __init__(self, path: Path, root: Path) -> None:
        self.name = ".".join(("tests", *path.relative_to(root).with_suffix("").parts))
        self.parts: dict[str, ast.AST] = {}
        self.origin: dict[str, tuple[str, str]] = {}
        for node in _parsed(path).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                self.parts[node.name] = node
            elif isinstance(node, ast.Assign):
                self.parts |= {one.id: node for one in node.targets if isinstance(one, ast.Name)}
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests"):
                self.origin |= {one.asname or one.name: (str(node.module), one.name) for one in node.names}

        self.uses = {name: _used(part) for name, part in self.parts.items()}
        self.needs = {
            name: {*_needs(part)} - {*_arguments(part, "is_here")} for name, part in self.parts.items()
        }

    def marks(self, test: str) -> set[str]:
        """The needs that a test, its parameters or its module are marked with."""
        marked = [self.parts[test], *([self.parts["pytestmark"]] if "pytestmark" in self.parts else [])]
        return {need for one in marked for need in _arguments(one, "needs")}


def needs_of_tests(
    paths: list[Path], root: Path = TESTS
) -> Mapping[tuple[str, str], tuple[set[str], set[str]]]:
    """What tests need, through all their helpers and fixtures, and what they are marked with.

    Args:
        paths: of all modules of the tests.
        root: their folder.

    Returns:
        (needs, marks) by the module and name of each test.
    """
    modules = {code.name: code for code in (_Code(path, root) for path in paths)}
    fixtures = [code for code in modules.values() if code.name.endswith("conftest")]
    shared = {name: code for code in fixtures for name in code.parts}

    def of(module: str, name: str, seen: set[tuple[str, str]]) -> set[str]:
        code = modules.get(module)
        if code is None or (module, name) in seen:
            return set()
        seen.add((module, name))
        first, _, rest = name.partition(".")
        if rest:  # of a module, if it is one of the tests
            return of(".".join(code.origin[first]), rest, seen) if first in code.origin else set()
        if name in code.origin:
            return of(*code.origin[name], seen)
        if name not in code.parts:
            return of(shared[name].name, name, seen) if name in shared and shared[name] is not code else set()
        return code.needs[name].union(*(of(module, one, seen) for one in code.uses[name]))

    return {
        (code.name, name): (of(code.name, name, set()), code.marks(name))
        for code in modules.values()
        for name in code.parts
        if name.startswith("test_")
    }


def test_every_test_is_marked_with_what_it_needs():
    lacking = {
        f"{module}::{name}": needs - marks
        for (module, name), (needs, marks) in needs_of_tests(PATHS).items()
        if needs - marks
    }
    assert lacking == {}


def test_the_needs_of_a_helper_and_of_a_fixture_are_those_of_a_test(tmp_path):
    (tmp_path / "conftest.py").write_text("import os\n\ndef child():\n    return os.fork()\n")
    (tmp_path / "helper.py").write_text(
        "import os, signal\n\ndef end(pid):\n    os.kill(pid, signal.SIGKILL)\n"  # as tests/killing.py
    )
    (tmp_path / "test_it.py").write_text(
        "import os\nimport pytest\nfrom tests.helper import end\nfrom tests.systems import is_here\n\n"
        "def test_plain(): ...\n"
        "def test_helper(): end(7)\n"
        "@pytest.mark.needs('fork')\ndef test_fixture(child): ...\n"
        "def test_asks():\n    if is_here('fifo'):\n        os.mkfifo('x')\n"
    )
    found = needs_of_tests(sorted(tmp_path.glob("*.py")), tmp_path)
    assert {name: one for (_, name), one in found.items()} == {
        "test_plain": (set(), set()),
        "test_helper": ({"signals"}, set()),
        "test_fixture": ({"fork"}, {"fork"}),
        "test_asks": (set(), set()),
    }


def test_every_module_of_the_tests_can_be_imported_on_windows():
    found = {}
    for path in PATHS:
        names = [name for node in _at_import(_parsed(path)) for name in _not_on_windows(node)]
        if names:
            found[path.relative_to(TESTS).as_posix()] = names
    assert found == {}


def _not_on_windows(code: ast.AST) -> Iterator[str]:
    for node in ast.walk(code):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in _POSIX_MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in _POSIX_MODULES:
            yield node.module
        elif isinstance(node, ast.Attribute) and getattr(node.value, "id", "") in _MODULES:
            yield from {node.attr} & (_BY_NAME.keys() - _ON_WINDOWS)


def test_what_is_absent_is_the_reason_and_an_unknown_need_an_error(monkeypatch, request):
    from tests.conftest import skip_without

    monkeypatch.setitem(systems.SYSTEM, "wings", ("wings", lambda: False))
    with pytest.raises(pytest.skip.Exception, match="this system has no wings, which it needs"):
        skip_without("fork" if is_here("fork") else "home", "wings")
    with pytest.raises(KeyError, match="hooves"):
        skip_without("hooves")
    assert all(isinstance(is_here(name), bool) for name in SYSTEM if name != "wings")
