"""`make profiles`: rebuild the profiles that ship with the package, from the pairs they are documented with.

lol3, lol5 and lol8 are the first pairs of experiment 1 of the paper's Table 4, lol3-e2 ... lol8-e5 those of
experiments 2 to 5 (`manifests/splits/table4.json`); lol480 comes of one 96x96 crop of each of 410 pairs. The
pairs are LOL's, for research only, and stay outside: `--data` says where.
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
MOST_BYTES = 1_000_000  # of all bundled profiles together
LICENCE = "MIT for the fitted numbers; the LOL v1 pairs (Wei et al., 2018) are for research"


def recipes() -> dict[str, tuple[str, list[str] | None]]:
    """Profile name -> (folder of pairs inside LOL, names of the pairs or None for all)."""
    table = json.loads(TABLE4.read_text())
    made: dict[str, tuple[str, list[str] | None]] = {}
    for experiment, names in table["experiments"].items():
        for count in table["pairs"]:
            suffix = "" if experiment == "1" else f"-e{experiment}"
            made[f"lol{count}{suffix}"] = ("our485", names[:count])
    made["lol480"] = ("crops96", None)
    return made


def build(name: str, lol: Path, seed: int = 0) -> None:
    """Fit one profile and put it in the place of the bundled one."""
    folder, names = recipes()[name]
    pairs = load_pairs(lol / folder, names)
    findings = check_pairs(pairs)
    refuse_unsuitable_pairs(findings)
    result = fit_models(pairs, seed)
    provenance = {
        **result.provenance,
        "notes": [str(finding) for finding in findings],
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
    parser.add_argument("names", nargs="*", help="only these profiles")
    parser.add_argument("--data", type=Path, default=Path(data), help="folder that holds lol/")
    arguments = parser.parse_args()
    if not (arguments.data / "lol").is_dir():
        sys.exit(f"Error: there is no {arguments.data / 'lol'}; name the folder of test data with --data")
    for name in arguments.names or recipes():
        if name not in recipes():
            sys.exit(f"Error: no bundled profile is named {name}; known are {', '.join(recipes())}")
        try:
            build(name, arguments.data / "lol")
        except DimmagenError as error:
            sys.exit(f"Error: {error}")
    size = sum(file.stat().st_size for file in BUNDLED.rglob("*") if file.is_file())
    print(f"All bundled profiles: {size} bytes")
    if size > MOST_BYTES:
        sys.exit(f"Error: that is more than {MOST_BYTES}")


if __name__ == "__main__":
    main()
