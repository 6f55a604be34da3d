"""Every command on tiny data, one after another in this process; `tests/test_portability.py` runs it.

Run in a folder that holds `photos/` and `pairs/`; prints each command's exit code and messages as JSON.
"""

import io
import json
import multiprocessing
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

QUICK = "--perceptual none --crop 32 --batch 1 --validate-every 2"
RECIPE = "dim:\n  profile: linear\n  source: mixhq\n  shards: by-recipe\n  executor: serial\n"
# Expected to end with 0, where no other exit code stands before it.
COMMANDS = f"""
build-mixhq --source folder=photos --out mixhq
profile list
profile show lol3
profile fit --pairs pairs --out fitted
profile evaluate linear fitted --pairs pairs --draws 1 --workers 2
dim --profile linear --source photos --shards out --executor EXECUTOR --variants 2 --samples-per-shard 3
dim --profile lol3 --source mixhq --shards camera --executor serial
plan --profile linear --source photos --probe 2
verify out --reproduce 100% --source photos
replay KEY --from out
reproduce out --source photos --shards again --executor serial
inspect out --sheet sheet.png --html page.html
peek out KEY
stats out
subset out --to subset --min-side 256
merge out camera --to merged
1 leaks out photos
manifest diff out again
export out --layout lol-v1 --to lol-v1
export --check lol-v1 lol-v1
export out --layout basicsr-lmdb --to lmdb
export --check basicsr-lmdb lmdb
train --shards out --out network --iterations 2 --loaders 2 --validation-photos 2 {QUICK}
finetune --from network --pairs pairs --out tuned --iterations 2 {QUICK}
evaluate --from tuned --pairs pairs --metrics psnr
enhance --from tuned pairs/low/0.png
run recipe.yaml
"""


def outcome(words: list[str]) -> tuple[int, str]:
    from dimmagen.cli import main

    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        try:
            main(words)
        except SystemExit as end:
            return int(end.code or 0), said.getvalue()
        except BaseException as error:
            return -1, f"{said.getvalue()}\n{type(error).__name__}: {error}"
    raise AssertionError("main does not return")


def run_all(executor: str) -> None:
    import pytest

    from tests.quick_fits import cut_fits

    cut_fits(pytest.MonkeyPatch())
    Path("recipe.yaml").write_text(RECIPE)
    outcomes = []
    for line in COMMANDS.split("\n")[1:-1]:
        words = line.replace("EXECUTOR", executor).split()
        if "KEY" in words:
            from dimmagen.dataset.reader import open_pairs

            words[words.index("KEY")] = open_pairs("out").row(0)["key"]
        expected = int(words.pop(0)) if words[0].isdigit() else 0
        code, said = outcome(words)
        outcomes.append({"command": line, "expected": expected, "code": code, "said": said})
    json.dump(outcomes, sys.stdout)


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    run_all(sys.argv[1])
