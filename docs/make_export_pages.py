"""Write docs/exports/, a page for each layout, and the tables of docs/exports.md.

Run it after the table of layouts or of readers has changed:

python docs/make_export_pages.py
"""

from pathlib import Path

from dimmagen.export.layouts import LAYOUTS, Layout
from dimmagen.export.listings import FILE_LIST, META_INFO, PAIR_LIST
from dimmagen.export.reader import Pairing, Reader, Trial
from dimmagen.export.readers import READERS, readers_of, shown_sizes
from dimmagen.export.stores import JPEG, LMDB

DOCS = Path(__file__).parent
_NOTES = (
    (META_INFO, "Each split has a `meta_info.txt` of lines `00001.png (h,w,c)`."),
    (
        FILE_LIST,
        "Each split has a list next to its folders, such as `LOLv1_train.txt`, with one dark image per\n"
        "line, such as `low/00001.png`; the reader replaces `low` by `high`.",
    ),
    (
        PAIR_LIST,
        "The lists `unpaired_train.txt` and `LOLv1_val.txt` have a dark and a light image per line, as seen\n"
        "from the repository: `data/train/low/00001.png data/train/high/00001.png`.",
    ),
    (JPEG, "Images are JPEG files of quality 95 without chroma subsampling; no other layout is lossy."),
    (
        LMDB,
        "Each folder is an LMDB environment with a `meta_info.txt` of lines `00001.png (h,w,c) 1`. A key is\n"
        "the name without extension, and its value is the PNG file.",
    ),
)
"""What is said of each kind of list and store."""


def layout_page(layout: Layout) -> str:
    """The page of one layout, with what is known of its readers."""
    name = layout.name
    lines = [
        f"# {name}",
        "",
        "```sh",
        f"dimmagen export out/ --layout {name} --out data/{name}",
        f"dimmagen export --check {name} data/{name}",
        "```",
        "",
        "| split | dark images | light images |",
        "|---|---|---|",
    ]
    for split, places in layout.splits.items():
        sides = [dict.fromkeys(place[side] for place in places if place[side]) for side in (0, 1)]
        cells = [", ".join(f"`{folder}`" for folder in side) or "none" for side in sides]
        lines.append(f"| {split} | {cells[0]} | {cells[1]} |")
    lines += ["", f"Made for {layout.readers}."]
    lines += [note for part, note in _NOTES if part in (layout.listing, layout.store)]
    if layout.labels.note:
        lines.append(layout.labels.note)
    elif not layout.paired:
        lines.append("Images are not paired, and each light image is stored once.")
    if len(layout.train) > 1:
        lines.append("The folders of a split hold the same pairs, by hard links.")
    if layout.options:
        options = [line.format(root="ROOT") for line in layout.options]
        named = "places" if layout.labels.needs else "options"
        lines += ["", f"Its {named}, where ROOT is the export:", "", "```", *options, "```"]
    for reader in readers_of(name):
        lines += ["", *reader_section(reader)]
    lines += [
        "",
        "[Exports](../exports.md) says how scenes are split, what is checked, and more.",
    ]
    return "\n".join(lines) + "\n"


def reader_section(reader: Reader) -> list[str]:
    """The lines about one reader on the page of its layout."""
    place = "the repository itself" if reader.path == "." else f"`{reader.path}`"
    facts = [
        f"- read at commit {reader.commit}" if reader.commit else "- its files were not read for this page",
        f"- place in its repository: {place}" if reader.marks else "",
        "- does not pair" if reader.pairing is Pairing.NONE else f"- pairs by {reader.pairing.value}",
        f"- batches: {reader.batch}",
        f"- needs {shown_sizes(reader)}" if shown_sizes(reader) != "any size" else "- takes any size",
        "- photos of several sizes: `--fit WxH` cuts one size out of all" if needs_one_size(reader) else "",
        f"- reads {reader.epoch} pairs in every epoch, whatever there are" if reader.epoch else "",
        *tried(reader.trial),
    ]
    lines = [
        f"## {reader.title}: `--layout {reader.name}`",
        "",
        f"[{reader.repository}](https://github.com/{reader.repository})",
        "",
        *filter(None, facts),
    ]
    if reader.options:
        where = f"{place} as seen from `{reader.runs_in}`" if reader.marks else "the export"
        already = ", which they name already" if reader.as_is else ""
        options = [line.format(root="ROOT") for line in reader.options]
        lines += ["", f"Its options, where ROOT is {where}{already}:", "", "```", *options, "```"]
    return lines


def needs_one_size(reader: Reader) -> bool:
    """Whether it needs one size for all images, whichever that is."""
    return reader.train.equal or reader.validation.equal


def tried(trial: Trial) -> list[str]:
    """What was tried with the code base, as lines of a list."""
    if not trial.starts:
        return ["- not run; its contract is tested"]
    steps = ("starts", "pairs right", "trains", "validates")
    results = (trial.starts, trial.pairs, trial.trains, trial.validates)
    said = "; ".join(f"{step}: {result or 'not run'}" for step, result in zip(steps, results, strict=True))
    return [f"- run on a processor in {trial.when} ({trial.what}):", f"  {said}"]


def reader_table() -> str:
    """The table of all readers for docs/exports.md."""
    rows = ["| code base | `--layout` | layout | needs | went through | what ran |", "|---" * 6 + "|"]
    for reader in READERS.values():
        layout = f"[{reader.layout}](exports/{reader.layout}.md)"
        needs, trial = shown_sizes(reader), reader.trial
        cells = [reader.title, f"`{reader.name}`", layout, needs, went_through(trial), trial.what or "-"]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def went_through(trial: Trial) -> str:
    """How far the code base came, in a word or two."""
    if trial.starts != "yes":
        return trial.starts or "not run"
    if trial.trains != "yes":
        return "batches"
    return "training, validation" if trial.validates == "yes" else "training"


def layout_table() -> str:
    """The table of all layouts for docs/exports.md."""
    rows = [f"| [{name}](exports/{name}.md) | {layout.readers} |" for name, layout in LAYOUTS.items()]
    return "\n".join(["| layout | made for |", "|---|---|", *rows])


def pages() -> dict[str, str]:
    """The text of each page by its path below docs/."""
    text = (DOCS / "exports.md").read_text(encoding="utf-8")
    for name, table in (("readers", reader_table()), ("layouts", layout_table())):
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}{table}\n{end}{rest.partition(end)[2]}"
    return {"exports.md": text, **{f"exports/{name}.md": layout_page(one) for name, one in LAYOUTS.items()}}


if __name__ == "__main__":
    texts = pages()
    for path in (DOCS / "exports").glob("*.md"):
        path.unlink()
    for file, text in texts.items():
        (DOCS / file).write_text(text, encoding="utf-8")
