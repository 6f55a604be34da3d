"""The note of an export: its plan while it is written, and the origin of every pair when it is complete."""

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from dimmagen.core import storage
from dimmagen.core.errors import UsageError
from dimmagen.core.lock import STATE, refuse_gone
from dimmagen.export.layouts import Layout
from dimmagen.export.publishing import STAGE
from dimmagen.export.reader import Reader
from dimmagen.export.split import Split
from dimmagen.sources import terms_of

DONE, BEGUN = "export.json", ".export-begun.json"


def begin_export(out: Path, plan: dict, claims: Sequence[str] | None, reader: Reader | None = None) -> bool:
    """Record the plan; True if exactly this export is already complete.

    Args:
        out: root of the export.
        plan: what decides its files.
        claims: paths that must not exist, where `out` may hold files of others; None if it may not.
        reader: for whom the export is, for the message.

    Raises:
        UsageError: `out` holds another export, or something else.
    """
    storage.remove_unfinished(out)
    done = out / DONE
    for note in (done, out / BEGUN):
        if note.is_file():
            before = _plan_of(note)
            if before != plan:
                raise UsageError(
                    f"{out} holds another export ({_differences(before, plan)})",
                    "choose another `out`",
                    code="other-settings",
                    path=str(out),
                )
            break
    else:
        _refuse_occupied(out, claims, reader)
        storage.atomic_write(out / BEGUN, json.dumps({"plan": plan}).encode())
    if done.is_file():
        storage.discard([out / BEGUN])  # a run was killed between the two
        return True
    return False


def _differences(before: Mapping | None, plan: Mapping) -> str:
    """What the plan of an export has in another way than this one; None is a note that is damaged."""
    if before is None:
        return "its note is damaged"
    names = [name for name in {**plan, **before} if before.get(name) != plan.get(name)]
    shown = [["not set" if one.get(name) is None else one[name] for one in (before, plan)] for name in names]
    return ", ".join(f"{name}: {old} → {new}" for name, (old, new) in zip(names, shown, strict=True))


def _refuse_occupied(out: Path, claims: Sequence[str] | None, reader: Reader | None) -> None:
    if claims is None:
        if out.is_dir() and any(name != STATE for name in storage.list_names(out)):
            marks = reader.marks if reader else ()
            known = f", or the repository of {reader.title}, which holds" if reader and marks else ""
            raise UsageError(
                f"{out} is not empty, and is not an export",
                f"choose a new or an empty folder for `out`{known} {' and '.join(marks)}".rstrip(),
                code="no-room",
                path=str(out),
            )
        return
    for claim in claims:
        there = out / claim
        if there.is_file() or (there.is_dir() and storage.list_names(there)):
            raise UsageError(
                f"{there} exists already, and nothing in a repository is overwritten",
                "move it away, or choose a new folder for `out`",
                code="no-room",
                path=str(there),
            )


def _plan_of(note: Path) -> dict | None:
    """The plan in a note of an export; None if the note is damaged."""
    try:
        plan = storage.read_json(note)["plan"]
    except (ValueError, KeyError, TypeError):
        return None
    return plan if isinstance(plan, dict) else None


def finish_export(
    out: Path, plan: dict, split: Split, sources: Iterable[str], settings: Mapping, layout: Layout
) -> None:
    """Publish `export.json`: the plan, the origin of every pair, and the terms of the sources.

    Args:
        out: root of the export.
        plan: as for :func:`begin_export`.
        split: the pairs, and what was left out.
        sources: of the pairs.
        settings: of the data set.
        layout: of the export, which names the files.
    """
    refuse_gone(out)
    shutil.rmtree(out / STAGE, ignore_errors=True)
    note = {
        "plan": plan,
        "terms": {source: terms_of(source, settings) for source in sorted(sources)},
        "left_out": split.left_out,
    }
    with storage.atomic_writer(out / DONE) as file:
        file.write(json.dumps(note, indent=1).encode().removesuffix(b"\n}") + b',\n "pairs": [')
        for number, entry in enumerate(_entries(split, layout)):
            text = json.dumps(entry, indent=1).replace("\n", "\n  ")  # there may be millions
            file.write(("," if number else "").encode() + f"\n  {text}".encode())
        file.write(b"\n ]\n}\n")
    storage.discard([out / STAGE, out / BEGUN])


def _entries(split: Split, layout: Layout) -> Iterator[dict]:
    parts = (("train", split.train), ("validation", split.validation), ("test", split.test))
    for name, rows in parts:
        for number, row in enumerate(rows, 1):
            yield {
                "split": name,
                "file": layout.names.format(split=name if name != "validation" else "val", number=number),
                **{field: row[field] for field in ("key", "source", "name")},
            }
