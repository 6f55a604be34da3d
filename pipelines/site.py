"""`make site`: the documentation as a site, build/site, from the pages as they lie in the repository.

Pages link to each other by their paths in the repository, so they are copied with these paths, with what they
link to, and Sphinx builds the copy. A link that leads nowhere and a page without a place in the navigation
are errors.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONFIGURATION = ROOT / "docs/site"
SITE = ROOT / "build/site"
FOLDERS = ("docs", "benchmarks")
SHOWN = (".md", ".png", ".jpg")
LINKED = (".py", ".json", ".yaml", ".cff", ".ipynb")  # shown as files
NAVIGATION: Mapping[str, Sequence[str]] = {
    "Start": ("docs/tour", "docs/training-loop", "docs/dark-coco", "docs/automation"),
    "Your camera": ("docs/profiles", "docs/pairs", "docs/camera-model", "docs/realism"),
    "Data sets": (
        "docs/sources-and-rules",
        "docs/resume",
        "docs/growing",
        "docs/scale",
        "docs/cluster",
        "docs/container",
        "docs/storage",
        "docs/guarantees",
    ),
    "Feeding models": ("docs/loaders", "docs/exports", "docs/training"),
    "Reference": ("docs/commands/README", "docs/api", "docs/extending", "docs/licences"),
    "Project": ("benchmarks/README", "ARCHITECTURE", "CONTRIBUTING", "CHANGELOG"),
}
# Pages that list others, and where those are.
LISTS = {"docs/commands/README": "*", "docs/exports": "exports/*", "benchmarks/README": "*"}


def shown_files() -> Iterator[Path]:
    """What the site shows or links to, relative to the repository's root."""
    found = [*ROOT.glob("*"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))]
    for path in sorted(found):
        if path.is_file() and (path.suffix in SHOWN + LINKED or path.name == "LICENSE"):
            yield path.relative_to(ROOT)


def stage(folder: Path) -> None:
    """Copy them into a folder, with the navigation at the end of the pages that have one."""
    for path in shown_files():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, folder / path)
    _append(folder / "README.md", *(_tree(pages, caption) for caption, pages in NAVIGATION.items()))
    for page, pattern in LISTS.items():
        _append(folder / f"{page}.md", _tree([pattern]))


def _tree(pages: Sequence[str], caption: str = "") -> str:
    options = [":hidden:", ":glob:", *([f":caption: {caption}"] if caption else [])]
    return "\n".join(["```{toctree}", *options, "", *pages, "```"])


def _append(path: Path, *blocks: str) -> None:
    path.write_text("\n\n".join([path.read_text(encoding="utf-8"), *blocks, ""]), encoding="utf-8")


def build(site: Path) -> int:
    """Build the site; the result is Sphinx's exit code, which is not 0 where there was a warning."""
    pages = site.with_name(f"{site.name}-pages")
    for folder in (site, pages):
        shutil.rmtree(folder, ignore_errors=True)
    stage(pages)
    words = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", CONFIGURATION, pages, site]
    code = subprocess.run([*map(str, words)], cwd=ROOT, check=False).returncode
    if code == 0:
        shutil.copyfile(site / "README.html", site / "index.html")
    return code


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    return build(SITE)


if __name__ == "__main__":
    sys.exit(main())
