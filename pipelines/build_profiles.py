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
from collections.abc import Sequence
from pathlib import Path

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError
from dimmagen.dimmers import pair_facts
from dimmagen.dimmers.fit import fit_models
from dimmagen.dimmers.pair_facts import PairFacts
from dimmagen.dimmers.pair_problems import check_pairs, refuse_unsuitable_pairs
from dimmagen.dimmers.profile import BUNDLED, open_profile, save_profile
from dimmagen.dimmers.real_pairs import RealPair, load_pairs
from dimmagen.evaluation import profile_check
from dimmagen.evaluation.profile_check import check_profile, hold_out_pairs

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
        **checked(pairs, seed),
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


def checked(pairs: Sequence[RealPair], seed: int = 0) -> dict:
    """What the provenance says of the pictures and of the check; the package has no room for a sheet."""
    facts = PairFacts.of(pairs).model_dump()
    if facts["sizes"] == [(96, 96)]:
        facts["sizes"] = [(600, 400)]  # of the pictures that the crops are cut out of
    check = check_profile(pairs, hold_out_pairs(pairs, seed))
    return {pair_facts.KEY: facts, **({profile_check.KEY: check.model_dump()} if check else {})}


def check_again(name: str, lol: Path) -> None:
    """Replace what the provenance of a bundled profile says of its check; its models stay as they are."""
    folder, names = recipes()[name]
    path = BUNDLED / name / "profile.json"
    content = json.loads(path.read_text())
    seed = content["provenance"]["seed"]
    content["provenance"] |= checked(load_pairs(lol / folder, names), seed)
    storage.atomic_write(path, json.dumps(content, indent=1).encode() + b"\n")
    print(name, open_profile(name).provenance.get(profile_check.KEY), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    data = os.environ.get("DIMMAGEN_TEST_DATA", ROOT.parent / "shared" / "data")
    parser.add_argument("names", nargs="*", help="build only these profiles (default: all)")
    parser.add_argument("--data", type=Path, default=Path(data), help="folder that contains lol/")
    parser.add_argument("--check", action="store_true", help="do not fit: only check the profiles again")
    arguments = parser.parse_args()
    if not (arguments.data / "lol").is_dir():
        sys.exit(f"Error: there is no {arguments.data / 'lol'}: give the folder of the test data with --data")
    for name in arguments.names or recipes():
        if name not in recipes():
            sys.exit(f"Error: there is no bundled profile {name!r}: choose one of {', '.join(recipes())}")
        try:
            (check_again if arguments.check else build)(name, arguments.data / "lol")
        except DimmagenError as error:
            sys.exit(f"Error: {error}")
    size = sum(file.stat().st_size for file in BUNDLED.rglob("*") if file.is_file())
    print(f"All bundled profiles: {size} bytes")
    if size > MAX_BYTES:
        sys.exit(f"Error: the bundled profiles take more than {MAX_BYTES} bytes")


if __name__ == "__main__":
    main()
