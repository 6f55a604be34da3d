"""Markdown tables of `dimmagen profile evaluate --json`: one of each mode, a row a measure.

dimmagen profile evaluate lol3 lol3:mdn ... --pairs ../shared/data/lol/dev15 --json realism.json
python -m benchmarks.realism_table realism.json
"""

import json
import sys
from pathlib import Path

_TITLES = {
    "gamma1": "Gamma 1",
    "drawn": "Gamma 1 and a drawn exposure",
    "matched": "Gamma matched to each real mean",
}


def table(result: dict, mode: str) -> str:
    """The Markdown table of one mode; signed measures as mean / mean of the absolutes."""
    contenders = [contender for contender in result["contenders"] if mode in contender["modes"]]
    lines = ["| measure | " + " | ".join(contender["label"] for contender in contenders) + " |"]
    lines.append("|---" + "|--:" * len(contenders) + "|")
    for measure in result["measures"]:
        found = [contender["modes"][mode].get(measure["name"]) for contender in contenders]
        if not any(found):
            continue
        shown = [_cell(estimate, measure["signed"]) for estimate in found]
        lines.append(f"| {measure['label']} ({measure['unit']}) | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def _cell(estimate: dict | None, signed: bool) -> str:
    if estimate is None:
        return "-"
    if signed:
        return f"{estimate['mean']:+.2f} / {estimate['mean_absolute']:.2f}"
    return f"{estimate['mean']:.3f}"


def main() -> None:
    result = json.loads(Path(sys.argv[1]).read_text())
    print(f"{result['pairs']} pairs, {result['draws']} draws, seed {result['seed']}")
    for mode, title in _TITLES.items():
        print(f"\n### {title}\n\n{table(result, mode)}")


if __name__ == "__main__":
    main()
