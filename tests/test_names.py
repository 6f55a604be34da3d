"""One word for one thing: no class or function of one module has the name of another one elsewhere."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1] / "dimmagen"
SHARED = {
    *(
        "build_mixhq",
        "train",
        "verify",
        "verify_mixhq",
    ),  # a public function, its command or what it calls
    *("dim_image", "philox4x32", "structured_normals"),  # one arithmetic in numba, numpy, torch and Triton
    *("exists", "read_range", "remove"),  # of any place, and of one behind a URL
    "main",
}
"""Names of one thing that has several implementations."""


def test_no_two_modules_define_a_class_or_a_function_of_one_name():
    places = defaultdict(set)
    for path in ROOT.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_"):
                places[node.name].add(path.relative_to(ROOT).as_posix())
    shared = {name: paths for name, paths in places.items() if len(paths) > 1}
    assert {name: paths for name, paths in shared.items() if name not in SHARED} == {}
    assert shared.keys() == SHARED, "some are in one module only"
