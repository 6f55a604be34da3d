"""`make profiles`: rebuild the profiles that ship with the package from the pairs that they are fitted to.

lol3, lol5 and lol8 are fitted to the first pairs of experiment 1 of the paper's Table 4, and lol3-e2 ...
lol8-e5 to those of experiments 2 to 5 (`manifests/splits/table4.json`); lol480 is fitted to one 96x96 crop
of each of 410 pairs. The pairs are from LOL, for research only, and are not part of the repository: `--data`
names their folder.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from dimmagen.core.errors import DimmagenError
from dimmagen.dimmers.fit import fit_models
from dimmagen.dimmers.profile import BUNDLED, save_profile
from dimmagen.dimmers.real_pairs import check_pairs, load_pairs, refuse_unsuitable_pairs

ROOT = Path(__file__).resolve().parents[1]
TABLE4 = ROOT / "manifests" / "splits" / "table4.json"
MAX_BYTES = 1_000_000  # of all bundled profiles together
LICENCE = "MIT for the fitted numbers; the LOL v1 pairs (Wei et al., 2018) are for research"


def recipes() -> dict[str, tuple[str, list[str] | None]]:
    """The folder of pairs inside LOL and the names of the pairs (None for all), by profile name."""
    table = json.loads(TABLE4.read_text())
    found: dict[str, tuple[str, list[str] | None]] = {}
    for experiment, names in table["experiments"].items():
        for count in table["pairs"]:
            suffix = "" if experiment == "1" else f"-e{experiment}"
            found[f"lol{count}{suffix}"] = ("our485", names[:count])
    found["lol480"] = ("crops96", None)
    return found


def build(name: str, lol: Path, seed: int = 0) -> None:
    """Fit one profile and replace the bundled one."""
    folder, names = recipes()[name]
    pairs = load_pairs(lol / folder, names)
    problems = check_pairs(pairs)
    refuse_unsuitable_pairs(problems)
    result = fit_models(pairs, seed)
    provenance = {
        **result.provenance,
        "notes": [str(problem) for problem in problems],
        "command": "make profiles",
        "data": f"LOL v1, {folder}",
        "licence": LICENCE,
    }
    saved = save_profile(BUNDLED / name, result.models, "camera", provenance, replace=True)
    print(
        f"{name:8s} {len(pairs):3d} pairs  {result.seconds:4.0f} s  "
        f"{result.held_out_nats:6.2f} nats on {result.held_out}  {saved.fingerprint[:12]}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    data = os.environ.get("DIMMAGEN_TEST_DATA", ROOT.parent / "shared" / "data")
    parser.add_argument("names", nargs="*", help="build only these profiles (default: all)")
    parser.add_argument("--data", type=Path, default=Path(data), help="folder that contains lol/")
    arguments = parser.parse_args()
    if not (arguments.data / "lol").is_dir():
        sys.exit(f"Error: there is no {arguments.data / 'lol'}: give the folder of the test data with --data")
    for name in arguments.names or recipes():
        if name not in recipes():
            sys.exit(f"Error: there is no bundled profile {name!r}: known are {', '.join(recipes())}")
        try:
            build(name, arguments.data / "lol")
        except DimmagenError as error:
            sys.exit(f"Error: {error}")
    size = sum(file.stat().st_size for file in BUNDLED.rglob("*") if file.is_file())
    print(f"All bundled profiles: {size} bytes")
    if size > MAX_BYTES:
        sys.exit(f"Error: the bundled profiles take more than {MAX_BYTES} bytes")


if __name__ == "__main__":
    main()
