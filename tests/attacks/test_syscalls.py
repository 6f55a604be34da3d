"""System calls that fail, on the folder of the output: one line, and the same bytes when it is run again."""

import errno
import os
import random
import shutil
import subprocess

import pytest

from tests.attacks.commands import COUNT, DIM, dimmagen, is_clear
from tests.dataset_helpers import file_hashes, make, write_photos

CALLS = ("write", "fsync", "rename", "open", "mkdir", "unlink")
ERRORS = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ESTALE, errno.ENOLCK)
MOST_CALLS = 30  # of each kind that a run makes on its output

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("fork", "preload", "gcc"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("syscalls")
    write_photos(folder / "photos", 4)
    make(folder / "photos", folder / "whole", variants=2, samples_per_shard=2, light_format="auto")
    return folder


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    source = os.path.join(os.path.dirname(__file__), "faults.c")
    built = tmp_path_factory.mktemp("preload") / "faults.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(built), source, "-ldl"], check=True)
    return built


def attacked(place, library, call, nth, number, forever):
    """Run with the fault, then without it; what is odd about it, if anything."""
    out = place / "out"
    fault = {"FAULT_CALL": call, "FAULT_PATH": "/out/", "FAULT_NTH": str(nth), "FAULT_ERRNO": str(number)}
    if forever:
        fault["FAULT_FOREVER"] = "1"
    what = f"{call} {nth}{' and all after it' if forever else ''}: {errno.errorcode[number]}"
    words = DIM.replace("OUT", str(out))
    code, text = dimmagen(words, place, environment={"LD_PRELOAD": str(library), **fault})
    expected = file_hashes(place / "whole")
    if code == 0 and file_hashes(out) != expected:
        return f"{what}: exit 0 with other bytes\n{text}"
    if code != 0 and not is_clear(code, text):
        return f"{what}: exit {code}\n{text}"
    code, text = dimmagen(words, place)
    is_same = code == 0 and file_hashes(out) == expected
    shutil.rmtree(out, ignore_errors=True)
    return "" if is_same else f"{what}: run again, exit {code}\n{text}"


def test_the_library_makes_the_call_fail(place, library):
    fault = {"FAULT_CALL": "fsync", "FAULT_PATH": "/out/", "FAULT_NTH": "1", "FAULT_ERRNO": str(errno.EIO)}
    words = DIM.replace("OUT", str(place / "out"))
    code, text = dimmagen(words, place, environment={"LD_PRELOAD": str(library), **fault})
    shutil.rmtree(place / "out", ignore_errors=True)
    assert code == 1, text
    assert os.strerror(errno.EIO) in text


def test_a_call_that_fails_is_one_line_and_the_next_run_makes_the_same_bytes(place, library):
    chance = random.Random(COUNT)
    odd = []
    for number in range(COUNT):
        call = CALLS[number % len(CALLS)]
        nth, error = chance.randint(1, MOST_CALLS), chance.choice(ERRORS)
        odd.append(attacked(place, library, call, nth, error, chance.random() < 0.5))
    assert not any(odd), "\n".join(filter(None, odd))
