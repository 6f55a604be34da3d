"""The Dockerfile step by step, where no builder is at hand: its instructions, and a place to try them in."""

import fnmatch
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Stage:
    """One stage of the image.

    Attributes:
        base: of FROM.
        variables: of ARG and ENV, as they are after the stage.
        steps: of COPY and RUN, in order, as written.
        user: of USER, empty for root.
    """

    base: str
    variables: dict[str, str] = field(default_factory=dict)
    steps: list[tuple[str, str]] = field(default_factory=list)
    user: str = ""
    environment: dict[str, str] = field(default_factory=dict)


def stages(arguments: dict[str, str]) -> list[Stage]:
    """The stages of the Dockerfile, built with these arguments; others have their defaults."""
    found: list[Stage] = []
    before: dict[str, str] = {}
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        kind, _, rest = line.partition(" ")
        if kind == "FROM":
            found.append(Stage(_filled(rest.split()[0], before)))
        elif kind == "ARG":
            name, _, default = rest.partition("=")
            place = found[-1].variables if found else before
            place[name] = arguments.get(name, before.get(name, default))
        elif kind == "ENV":
            for name, value in re.findall(r"(\w+)=(\S+)", rest):
                found[-1].environment[name] = _filled(value, {**found[-1].variables, "PATH": os.defpath})
        elif kind == "USER":
            found[-1].user = rest
        elif kind in ("COPY", "RUN"):
            found[-1].steps.append((kind, rest))
    return found


def _filled(text: str, values: dict[str, str]) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda match: values.get(match[1], ""), text)


def is_in_context(path: str) -> bool:
    """Whether .dockerignore lets a path below the project into the build."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    is_kept = True
    for line in filter(lambda line: line and not line.startswith("#"), lines):
        pattern = line.removeprefix("!").removeprefix("**/")
        parts = path.split("/")
        tails = ["/".join(parts[start:]) for start in range(len(parts))] if "**/" in line else [path]
        heads = {"/".join(tail.split("/")[:count]) for tail in tails for count in range(1, len(parts) + 1)}
        if any(fnmatch.fnmatch(head, pattern) for head in heads):
            is_kept = line.startswith("!")
    return is_kept


def build(stage: Stage, place: Path, programs: Path) -> None:
    """Do the steps of a stage in a folder that stands for its working directory.

    Args:
        stage: one without files of another stage.
        place: empty folder.
        programs: folder with the `python` that the base would have.

    Raises:
        AssertionError: a step failed; with its output.
    """
    variables = {**os.environ, **stage.variables, **stage.environment}
    variables["PATH"] = os.pathsep.join([str(programs), os.environ["PATH"]])
    for name in ("PYTHONPATH", "VIRTUAL_ENV"):
        variables.pop(name, None)
    for kind, rest in stage.steps:
        if kind == "COPY":
            *names, to = rest.split()
            for name in names:
                _copy(name, place / to / (name if to.startswith(".") else ""))
            continue
        run = subprocess.run(["sh", "-c", rest], cwd=place, env=variables, capture_output=True, text=True)
        assert run.returncode == 0, f"RUN {rest}\n{run.stdout[-2000:]}{run.stderr[-2000:]}"


def _copy(name: str, to: Path) -> None:
    source = ROOT / name
    files = [source] if source.is_file() else [path for path in source.rglob("*") if path.is_file()]
    for path in files:
        if is_in_context(path.relative_to(ROOT).as_posix()):
            goal = to / path.relative_to(source) if source.is_dir() else to
            goal.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, goal)
