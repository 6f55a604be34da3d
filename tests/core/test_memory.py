"""Freed memory is kept while a loop needs it again and again, and given back afterwards."""

import os
import platform
import subprocess
import sys

import pytest

# Prints the page faults of a loop that frees all of its arrays at each turn: outside, inside, outside again.
PROGRAM = """
import ctypes, resource
import numpy as np
from dimmagen.core.memory import kept_memory

ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE: of huge pages there are few faults, or many

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        arrays = [np.ones(2**18) for _ in range(32)]  # 2 MB each
        del arrays
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
print(faults())
with kept_memory():
    faults()
    print(faults())
print(faults())
"""


def counted(**environment: str) -> list[int]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True, env=kept | environment
    )
    return [int(line) for line in done.stdout.split()]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library keeps memory as it likes")
def test_memory_is_kept_inside_and_given_back_at_the_end():
    before, inside, after = counted()
    assert before > 10_000
    assert inside < before / 100
    assert after > 1_000


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library keeps memory as it likes")
def test_an_allocator_that_its_user_has_set_is_left_alone():
    before, inside, _ = counted(MALLOC_TRIM_THRESHOLD_="100000")
    assert inside > before / 2
