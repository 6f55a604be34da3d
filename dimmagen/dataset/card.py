"""`README.md` of a data set: the data set card, whose YAML head tells Hugging Face `datasets` the layout."""

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import yaml

from dimmagen.core.hugging_face import layout, layout_file, sample_features
from dimmagen.core.text import markdown, one_line
from dimmagen.dataset.generations import GENERATIONS, generations_of, removals_of
from dimmagen.dataset.manifest import Manifest
from dimmagen.dataset.rejected import rejected_entries
from dimmagen.dataset.schema import schema_of, sidecar_keys
from dimmagen.dataset.statistics import bars, short
from dimmagen.sources import terms_of

CARD = "README.md"
SHEET = "sheet.jpg"
_TARS = "shards/train-*.tar"
_IMAGE_COLUMNS = ("dark.png", "dark.webp", "light.jpg", "light.png", "light.webp")
_NUMBERS = ("gamma", "lightness_before", "lightness_after", "width", "height")

_TEMPLATE = """\
---
{yaml}---
# Dark/light pairs made with dimmagen

{pairs} pairs of {lights} photos, dimmed as the camera of profile `{profile}` would see them in the dark, at
most {variants} {times} each. Only the dark pictures are synthetic; the light pictures are the sources' own
bytes where they needed no change.

![some of the pairs: light, dark, dark with gain](sheet.jpg)

```sh
{command}
```

Equal inputs give equal bytes. `dimmagen verify .` checks every file.

- fingerprint of the settings: `{fingerprint}`
- root hash of the files: `{root_hash}`

## Contents

| path | what |
|---|---|
| `shards/train-*.tar` | WebDataset shards; a sample is `<key>.dark.*`, `<key>.json`, `<key>.light.*`{more} |
| `metadata/train-*.parquet` | a row a pair in tar order: origin, draws, offsets, SHA-256 of file and pixels |
| {rejected} | a row for every photo that was left out, with the rule that rejected it |
| `manifest.json` | settings, environment, SHA-256 of every file; written last |
| `sheet.jpg` | some of the pairs, the dark pictures also with gain |
| `croissant.json` | the same for machines, MLCommons Croissant 1.0 |
| `.huggingface.yaml` | the head of this page, which `datasets` takes from here, also without this page |

{history}## Pairs in numbers

| | least | 5 % | median | 95 % | most | from least to most |
|---|---|---|---|---|---|---|
{numbers}

Gamma is the brightness of a dark picture relative to the camera's usual darkness; lightness is the mean of a
picture, from 0 to 1. `dimmagen inspect . --html report.html` shows the pairs, `dimmagen leaks . EVALUATION`
looks for the scenes of an evaluation split.

## Loading

```python
import dimmagen

pairs = dimmagen.PairDataset(".")  # a torch Dataset; dimmagen.pair_loader streams
pairs[0]["dark"], pairs[0]["light"], pairs[0]["gamma"]
```

```python
import webdataset as wds


def is_member(name):  # decode("rgb8") would run the code in any other member that is a pickle
    return name.endswith({members})


shards = "{tars}"
pairs = wds.WebDataset(shards, select_files=is_member, shardshuffle=False).decode("rgb8")
for pair in pairs.rename(light="{light_fields}", dark="{dark_field}"):
    pair["dark"], pair["light"], pair["json"]["gamma"]
```

```python
from pathlib import Path
from datasets import load_dataset

pairs = load_dataset(str(Path.cwd()), split="train", streaming=True)  # "." alone has no name for the set
```

Every data set has the columns `dark.png`, `dark.webp`, `light.jpg`, `light.png` and `light.webp`. A picture
is in the column of its file type; the others are empty.

## Sources and their terms

| source | photos | terms |
|---|---|---|
{sources}

The authors of dimmagen claim no rights in the pictures. Method: Dimma, Entropy 2024, 26(9), 726,
arXiv 2310.09633.
"""


def card(manifest: Manifest, light_extensions: Iterable[str], numbers: Mapping) -> str:
    """The text of README.md.

    Args:
        manifest: of the finished data set.
        light_extensions: file types of its light images.
        numbers: from :meth:`dimmagen.dataset.statistics.DatasetSummary.result`.
    """
    settings, counts = manifest.settings, manifest.counts
    extensions = sorted(set(light_extensions))
    dark_field = f"dark.{settings['image_format']}"
    light_fields = [f"light.{extension}" for extension in extensions]
    sources = "\n".join(
        f"| {markdown(source)} | {count} | {markdown(terms_of(source, manifest.settings))} |"
        for source, count in counts.lights_by_source.items()
    )
    return _TEMPLATE.format(
        yaml=yaml.safe_dump(_front_matter(manifest), sort_keys=False),
        pairs=counts.pairs,
        lights=counts.lights,
        variants=settings["variants"],
        times="time" if settings["variants"] == 1 else "times",
        profile=one_line(str(settings["profile"])).replace("`", "'"),  # a code span ends at the next one
        command=one_line(manifest.command),
        fingerprint=manifest.fingerprint,
        root_hash=manifest.root_hash,
        tars=_tar_pattern(manifest),
        rejected=" and ".join(f"`{name}`" for name in _rejected(manifest)),
        history=_history(manifest),
        light_fields=";".join(light_fields),
        members="(" + ", ".join(f'".{field}"' for field in (dark_field, "json", *light_fields)) + ")",
        dark_field=dark_field,
        sources=sources,
        more=_label_file(settings.get("labels")),
        numbers="\n".join(_number_row(name, numbers["numbers"][name]) for name in _NUMBERS),
    )


def _tar_pattern(manifest: Manifest) -> str:
    """All tars as webdataset understands it: ranges of numbers, joined where there are gaps."""
    numbers = sorted(int(entry.name[len("shards/train-") : -len(".tar")]) for entry in manifest.shards)
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return "::".join(f"shards/train-{{{first:05d}..{last:05d}}}.tar" for first, last in runs)


def _rejected(manifest: Manifest) -> list[str]:
    names = [entry.name for entry in rejected_entries(manifest)]
    return names if len(names) < 3 else [names[0], "rejected/candidates-*.parquet"]


def _history(manifest: Manifest) -> str:
    """When photos were added and taken out; nothing of a data set that is as it was made."""
    if GENERATIONS not in manifest.settings:
        return ""
    lines = ["## Generations", "", "| generation | photos | shards |", "|---:|---:|---:|"]
    for number, one in enumerate(generations_of(manifest), 1):
        lines.append(f"| {number} | {one.lights} | {one.shards} |")
    removals = removals_of(manifest)
    if removals:
        count = sum(len(one.photos) for one in removals)
        pairs = sum(one.pairs for one in removals)
        lines += ["", f"Taken out since: {count} photos with {pairs} pairs."]
    return "\n".join([*lines, "", ""])


def _label_file(labels: Mapping | None) -> str:
    if not labels:
        return ""
    return f", `<key>.{'mask.png' if labels['format'] == 'masks' else 'labels.json'}`"


def _number_row(name: str, summary: Mapping) -> str:
    cells = [*map(short, summary["quantiles"]), f"`{bars(summary['histogram'])}`"]
    return f"| {name.replace('_', ' ')} | {' | '.join(cells)} |"


def pair_layout_file(manifest: Manifest) -> bytes:
    """The content of :data:`~dimmagen.core.hugging_face.LAYOUT`; it says the same as the card's YAML head.

    Args:
        manifest: of the data set.
    """
    return layout_file(_TARS, _features(manifest.settings), manifest.root_hash)


def _front_matter(manifest: Manifest) -> dict:
    """The YAML head."""
    return {
        "license": "other",
        "task_categories": ["image-to-image"],
        "tags": ["low-light", "webdataset"],
        **layout(_TARS, _features(manifest.settings), manifest.root_hash),
    }


def _features(settings: Mapping) -> list[dict]:
    """The same columns for every data set, and the drawn white balance; those of other file types are empty.

    None where labels are of any content: `datasets` finds out what they are.
    """
    labels, schema = settings.get("labels"), schema_of(settings)
    kind = labels["format"] if labels else ""
    if kind == "json":
        return []
    images = [*_IMAGE_COLUMNS, *(["mask.png"] if kind == "masks" else [])]
    features = sample_features(
        images, [(key, _dtype(schema.field(key).type)) for key in sidecar_keys(schema)]
    )
    if kind and kind != "masks":
        after = next(place for place, one in enumerate(features) if one["name"] == "json") + 1
        features.insert(after, _LABELS)
    return features


_OBJECT: dict[str, dict[str, Any]] = {
    "id": {"dtype": "int64"},
    "category_id": {"dtype": "int64"},
    "category": {"dtype": "string"},
    "bbox": {"list": "float64"},
    "area": {"dtype": "float64"},
    "iscrowd": {"dtype": "int64"},
    "polygons": {"list": {"list": "float64"}},
    "rle": {"struct": [{"name": "size", "list": "int64"}, {"name": "counts", "dtype": "string"}]},
    "keypoints": {"list": "float64"},
    "num_keypoints": {"dtype": "int64"},
    "other": {"dtype": "string"},
}
_IMAGE_LABELS: dict[str, dict[str, Any]] = {
    "format": {"dtype": "string"},
    "image_id": {"dtype": "int64"},
    "file_name": {"dtype": "string"},
    "width": {"dtype": "int64"},
    "height": {"dtype": "int64"},
    "left_out": {"dtype": "int64"},
    "annotations": {"list": [{"name": name, **kind} for name, kind in _OBJECT.items()]},
    "other": {"dtype": "string"},
}
_LABELS = {
    "name": "labels.json",
    "struct": [{"name": name, **kind} for name, kind in _IMAGE_LABELS.items()],
}


def _dtype(kind: pa.DataType) -> str:
    return "float64" if pa.types.is_floating(kind) else "int64" if pa.types.is_integer(kind) else "string"
