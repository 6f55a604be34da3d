"""What the Dockerfile promises, without a builder: its steps, and its user on a root that is read-only."""

import os
import platform
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import yaml

from tests.attacks.commands import COUNT, ROOT
from tests.attacks.dockerfile import build, is_in_context, stages
from tests.dataset_helpers import file_hashes

# In a mount namespace: a folder that the user can reach, with the parts below it; then all else is read-only.
_BOX = """
set -e
box=$1 out=$2 user=$3; shift 3
mount -t tmpfs -o mode=755 tmpfs "$box"
for part in "$@"; do
    [ "$part" = -- ] && break
    mkdir -p "$box/${part%%=*}"
    mount --bind "${part#*=}" "$box/${part%%=*}"
    mount -o remount,bind,ro "$box/${part%%=*}"
    shift
done
shift
mkdir "$box/data"
mount --bind "$out" "$box/data"
mount -t tmpfs -o mode=1777,size=1g tmpfs /tmp
mount -o remount,ro,bind /
mount -o remount,ro "$box"
cd "$box/data"
exec setpriv --reuid "${user%:*}" --regid "${user#*:}" --clear-groups --bounding-set -all --inh-caps -all "$@"
"""


class Box:
    """Runs commands as the image would: its user and its variables, a read-only root, a /tmp of its own.

    Args:
        folder: in which `out`, the one folder that can be written, is made.
        base: folder of the Python to run.
        parts: folders that Python finds packages in, by name.
    """

    def __init__(self, folder: Path, base: Path, parts: dict[str, Path]) -> None:
        self._stage = stages({})[-1]
        self.out = folder / "out"
        self.out.mkdir()
        self.user, group = map(int, self._stage.user.split(":"))
        os.chown(self.out, self.user, group)
        self._parts = [f"{name}={path}" for name, path in {"python": base, **parts}.items()]
        self._variables = {
            **self._stage.environment,
            "OMP_NUM_THREADS": "1",
            "PATH": f"/mnt/python/bin:{os.defpath}",
            "LD_LIBRARY_PATH": "/mnt/python/lib",
            "PYTHONPATH": ":".join(f"/mnt/{name}" for name in parts),
        }

    def run(self, *words: str) -> str:
        """What a command prints; it has to succeed."""
        box = ["unshare", "--mount", "sh", "-c", _BOX, "sh", "/mnt", str(self.out), self._stage.user]
        command = [*box, *self._parts, "--", *words]
        run = subprocess.run(command, env=self._variables, capture_output=True, text=True, timeout=900)
        text = run.stdout + run.stderr
        assert run.returncode == 0, text
        assert "Traceback" not in text
        return text

    def dimmagen(self, *commands: str) -> str:
        """One after another, with one /tmp: what the first has compiled serves the others."""
        return self.run("sh", "-ec", "\n".join(f"python3 -m dimmagen {words}" for words in commands))


DIM = "dim --profile linear --source sample --samples-per-shard 2 --shards"


@pytest.mark.slow
@pytest.mark.needs("links", "mounts", "root", "setpriv")
def test_the_images_user_works_on_a_read_only_root(tmp_path):
    """And what it makes has the bytes of a run without any of this."""
    packages = Path(sysconfig.get_paths()["purelib"])
    box = Box(tmp_path, Path(sys.base_prefix), {"project": ROOT, "packages": packages})
    touched = box.run("sh", "-c", "id -u; touch /usr/x /mnt/project/x /mnt/x 2>/dev/null || echo refused")
    assert touched.split() == [str(box.user), "refused"]
    text = box.dimmagen(
        "--version",
        "build-mixhq --source sample --out mixhq",
        f"{DIM} serial --executor serial",
        f"{DIM} ray --executor ray --workers 2",
    )
    assert f"Python {platform.python_version()} " in text
    words = [*DIM.split(), str(tmp_path / "here"), "--executor", "serial"]
    subprocess.run([sys.executable, "-m", "dimmagen", *words], check=True, cwd=ROOT)
    assert file_hashes(box.out / "serial") == file_hashes(box.out / "ray") == file_hashes(tmp_path / "here")


@pytest.mark.slow
@pytest.mark.skipif(COUNT < 84, reason="minutes, gigabytes and a package registry: make test-attacks")
@pytest.mark.needs("links", "mounts", "root", "setpriv")
def test_the_steps_of_the_dockerfile_make_what_its_user_runs(tmp_path):
    """With this Python in place of the base's."""
    assert all(re.fullmatch(r"python:3\.\d+-slim-\w+", stage.base) for stage in stages({}))
    base = Path(sys.base_prefix)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(base / "bin" / "python3")
    (tmp_path / "src").mkdir()
    build(stages({"PREFIX": str(tmp_path / "prefix")})[0], tmp_path / "src", tmp_path / "bin")
    (packages,) = (tmp_path / "prefix").glob("lib/python*/site-packages")
    box = Box(tmp_path, base, {"packages": packages})
    text = box.dimmagen(
        "--version",
        "build-mixhq --source sample --out mixhq",
        f"{DIM} out --executor ray --workers 2",
        "verify out",
    )
    assert "dimmagen, version" in text


def test_the_build_gets_what_it_copies_and_nothing_else():
    for stage in stages({}):
        for kind, rest in stage.steps:
            if kind == "COPY" and "--from" not in rest:
                assert all((ROOT / name).exists() and is_in_context(name) for name in rest.split()[:-1])
    assert is_in_context("dimmagen/cli/bundled/lol3-camera.yaml")
    for path in ("tests/conftest.py", ".git/config", "dimmagen/__pycache__/a.pyc", "dimmagen/core/x.pyc"):
        assert not is_in_context(path)


def test_the_user_is_not_root_and_everything_is_written_below_tmp():
    last = stages({})[-1]
    assert all(int(number) >= 1000 for number in last.user.split(":"))
    for name in ("HOME", "TMPDIR", "NUMBA_CACHE_DIR"):
        assert last.environment[name].split("/")[1] == "tmp"


@pytest.mark.parametrize("name", ["job", "rayjob"])
def test_the_pods_of_the_examples_are_as_the_image_wants_them(name):
    document = yaml.safe_load((ROOT / "deploy" / f"{name}.yaml").read_text())
    pods = list(_pods(document))
    assert len(pods) == {"job": 1, "rayjob": 2}[name]
    user, group = map(int, stages({})[-1].user.split(":"))
    for pod in pods:
        secure = pod["securityContext"]
        assert (secure["runAsUser"], secure["runAsGroup"], secure["runAsNonRoot"]) == (user, group, True)
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in pod["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"]
            mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
            assert mounts.keys() >= {"/tmp", "/data", "/dev/shm"}
            assert volumes >= set(mounts.values())


def _pods(value):
    if isinstance(value, dict):
        if "containers" in value:
            yield value
        for one in value.values():
            yield from _pods(one)
    elif isinstance(value, list):
        for one in value:
            yield from _pods(one)
