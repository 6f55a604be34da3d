"""Kernels are compiled with a cache where there is one, and without where there is none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dimmagen.core import compiled

_ROOT = Path(__file__).resolve().parents[2]
_KERNEL = """
from dimmagen.core.compiled import jit


@jit()
def twice(number):
    return 2 * number
"""
_RUN = """
import logging, sys
logging.basicConfig(format="%(message)s", stream=sys.stderr)
from kernels import twice
print(twice(21), sum(twice.stats.cache_hits.values()))
"""


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "kernels.py").write_text(_KERNEL)
    return folder


def run(package, **environment):
    """Call the kernel in a process of its own; its output and its messages."""
    variables = {name: value for name, value in os.environ.items() if name not in ("HOME", "NUMBA_CACHE_DIR")}
    variables |= {
        "PYTHONPATH": f"{package}{os.pathsep}{_ROOT}",
        "PYTHONDONTWRITEBYTECODE": "1",
        **environment,
    }
    done = subprocess.run(
        [sys.executable, "-c", _RUN],
        env=variables,
        cwd=package,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split(), done.stderr


def cache_files(folder):
    return sorted(path for path in folder.rglob("*.checked.*") if path.suffix in (".nbi", ".nbc"))


def test_a_second_process_takes_the_kernel_from_the_cache(package, tmp_path):
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    assert run(package, **cache) == (["42", "0"], "")
    assert run(package, **cache) == (["42", "1"], "")


def test_of_two_processes_that_compile_at_the_same_time_none_is_given_the_code_of_the_other(tmp_path):
    """Both have seen an empty cache; the code of the first comes after all that the second writes."""
    first, second = (compiled._CheckedFiles(str(tmp_path), "kernel", (1.0, 2)) for _ in "12")
    first._save_data = lambda name, data: (second.save("floats", "code for floats"), write(name, data))
    write = compiled._CheckedFiles._save_data.__get__(first)
    second._load_index = dict
    first.save("integers", "code for integers")
    assert len(list(tmp_path.iterdir())) == 2
    reader = compiled._CheckedFiles(str(tmp_path), "kernel", (1.0, 2))
    assert reader.load("floats") is None
    assert reader.load("integers") is None
    reader.save("floats", "code for floats")
    assert reader.load("floats") == "code for floats"


@pytest.mark.parametrize("kind", [".nbi", ".nbc"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
    ],
    ids=["empty", "truncated", "a changed bit"],
)
def test_a_damaged_entry_is_made_again_with_a_message_that_names_the_cache(kind, damage, package, tmp_path):
    cache = tmp_path / "cache"
    run(package, NUMBA_CACHE_DIR=str(cache))
    (file,) = (path for path in cache_files(cache) if path.suffix == kind)
    file.write_bytes(damage(file.read_bytes()))
    output, messages = run(package, NUMBA_CACHE_DIR=str(cache))
    assert output == ["42", "0"]
    assert len(messages.splitlines()) == 1
    assert f"numba's cache in {file.parent}" in messages
    assert run(package, NUMBA_CACHE_DIR=str(cache)) == (["42", "1"], "")


def test_without_any_folder_that_can_be_written_to_it_runs_and_says_so(package, tmp_path):
    """A file in the place of each folder: as root, permissions would stop nothing."""
    (package / "__pycache__").write_text("")
    (tmp_path / "file").write_text("")
    output, messages = run(package, HOME=str(tmp_path / "file"), XDG_CACHE_HOME=str(tmp_path / "file"))
    assert output == ["42", "0"]
    assert "numba's cache has no place" in messages
    assert "NUMBA_CACHE_DIR" in messages
    assert len(messages.splitlines()) == 1


def test_a_user_without_a_name_and_a_home_makes_no_folder_named_tilde(package):
    (package / "nobody.py").write_text("import os\nos.path.expanduser = lambda path: path\n")
    (package / "kernels.py").write_text("import nobody\n" + _KERNEL)
    output, messages = run(package)
    assert output == ["42", "0"]
    assert "HOME is not set" in messages
    assert sorted(path.name for path in package.iterdir()) == ["kernels.py", "nobody.py"]


@pytest.mark.needs("full-device")
def test_a_full_disk_is_a_message_and_not_an_error(package, tmp_path):
    (package / "full.py").write_text(
        "from numba.core.caching import IndexDataCacheFile\n"
        "import contextlib\n"
        "IndexDataCacheFile._open_for_write = contextlib.contextmanager(lambda *_: (yield open('/dev/full', "
        "'wb', buffering=0)))\n"
    )
    (package / "kernels.py").write_text("import full\n" + _KERNEL)
    output, messages = run(package, NUMBA_CACHE_DIR=str(tmp_path / "cache"))
    assert output == ["42", "0"]
    assert "cannot be written (No space left on device)" in messages


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("NUMBA_CPU_FEATURES=avx2", "NUMBA_CPU_FEATURES is not of the form"),
        ("NUMBA_CPU_FEATURES=+avx2, -fma", "NUMBA_CPU_FEATURES is not of the form"),
        ("NUMBA_NUM_THREADS=0", "Number of threads specified must be > 0"),
        ("NUMBA_THREADING_LAYER=none", "The threading layer requested 'none' is unknown"),
    ],
)
def test_a_value_that_numba_refuses_is_a_usage_error_with_its_variable(variable, said):
    name, _, value = variable.partition("=")
    code = "from dimmagen.core import compiled, threads\nwith threads.one_thread(): pass"
    environment = {**os.environ, name: value, "PYTHONPATH": str(_ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1].startswith("dimmagen.core.errors.UsageError: numba refuses")
    assert said in done.stderr.splitlines()[-1]
    assert done.stderr.splitlines()[-1].endswith(f"unset or correct {variable}")
