"""The container image itself, where a builder is at hand: its user, on a read-only root, without a network.

DIMMAGEN_IMAGE names an image that was built before; otherwise `make image` builds one. DIMMAGEN_CONTAINER is
the command that runs a container, `docker run` or `podman run` by default, with options that a machine needs.
"""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.attacks.commands import COUNT, ROOT
from tests.dataset_helpers import file_hashes

pytestmark = pytest.mark.slow
USER = 10001
BUILT = "dimmagen:tested"
DIM = "dim --profile linear --source sample --samples-per-shard 2 --shards"


def _answers(program: str) -> bool:
    return (
        shutil.which(program) is not None
        and not subprocess.run([program, "info"], capture_output=True).returncode
    )


@pytest.fixture(scope="module")
def container() -> list[str]:
    """Command that runs a container."""
    if chosen := os.environ.get("DIMMAGEN_CONTAINER"):
        return shlex.split(chosen)
    if COUNT < 84 and "DIMMAGEN_IMAGE" not in os.environ:
        pytest.skip("an image is built by make test-attacks")
    found = [program for program in ("docker", "podman") if _answers(program)]
    if not found:
        pytest.skip("neither docker nor podman answers")
    return [found[0], "run"]


@pytest.fixture(scope="module")
def image(container) -> str:
    """Name of the image."""
    if name := os.environ.get("DIMMAGEN_IMAGE"):
        return name
    [base] = re.findall(r"^ARG BASE=(.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    if subprocess.run([container[0], "pull", base], capture_output=True).returncode:
        pytest.skip(f"{base} cannot be had from here")
    command = ["make", "image", f"IMAGE={BUILT}", f"BUILDER={container[0]}"]
    build = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert build.returncode == 0, build.stdout + build.stderr
    return BUILT


@pytest.fixture
def run(container, image, tmp_path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs words in a container in which nothing but `out` and /tmp can be written."""
    out = tmp_path / "out"
    out.mkdir()
    os.chown(out, USER, USER)
    box = ["--rm", "--read-only", "--network", "none", "--tmpfs", "/tmp", "--shm-size", "256m"]

    def call(*words: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        command = [*container, *box, *options, "-v", f"{out}:/data", image, *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=600)

    return call


@pytest.mark.needs("root")
def test_the_image_works_on_a_read_only_root_and_makes_the_same_bytes(run, tmp_path):
    out: Path = tmp_path / "out"
    for words in (
        "--version",
        f"{DIM} serial --executor serial",
        f"{DIM} ray --workers 2",
        "verify ray",
    ):
        made = run(*words.split())
        assert made.returncode == 0, made.stdout + made.stderr
        assert "Traceback" not in made.stdout + made.stderr
    files = file_hashes(out / "serial")
    assert files
    assert file_hashes(out / "ray") == files
    assert {path.stat().st_uid for path in out.rglob("*")} == {USER}


@pytest.mark.needs("root")
def test_the_images_user_can_write_nowhere_else(run):
    made = run("-c", "touch /opt/dimmagen/new", options=("--entrypoint", "sh"))
    assert made.returncode != 0
    assert "Read-only file system" in made.stderr
