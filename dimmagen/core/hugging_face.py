"""How Hugging Face's `datasets` reads a folder of shards, next to a README that users replace.

Without it, and without the YAML head of the README, `load_dataset(FOLDER)` takes the parquet files next to
the shards for the data set and gives their rows in place of images.
"""

from collections.abc import Sequence
from typing import Any

import yaml

LAYOUT = ".huggingface.yaml"
"""Name of the file, which `datasets` reads since 3.0 and prefers to the YAML head of the README."""


def layout(tars: str, features: Sequence[dict], content: str) -> dict[str, Any]:
    """The layout of a folder of shards, as in :data:`LAYOUT` or the YAML head of a README.

    Args:
        tars: pattern of the shards, relative to the folder.
        features: of a sample, as `datasets` writes them. They are listed because `datasets` otherwise infers
            the fields from the first five samples, and refuses data sets in which the fields differ. Empty
            where nothing is known about a field.
        content: a hash of the shards. `datasets` keeps what it has loaded under the name of the folder and a
            hash of this layout, and would give the pairs of another folder `out`, or of an earlier one.
    """
    info = {"dataset_info": {"config_name": "default", "features": list(features)}} if features else {}
    files = [{"split": "train", "path": tars}]
    config = {"config_name": "default", "description": f"content {content}", "data_files": files}
    return {"configs": [config], **info}


def layout_file(tars: str, features: Sequence[dict], content: str) -> bytes:
    """The content of :data:`LAYOUT`; arguments as for :func:`layout`."""
    return yaml.safe_dump(layout(tars, features, content), sort_keys=False).encode()


def sample_features(images: Sequence[str], record: Sequence[tuple[str, str]]) -> list[dict]:
    """The features of a sample of images and one JSON file.

    Args:
        images: their fields, such as `dark.png`; those before `json` in the alphabet are first.
        record: name and type of each key of the JSON file.
    """
    fields = [{"name": field, "dtype": "image"} for field in images]
    struct = {"name": "json", "struct": [{"name": name, "dtype": dtype} for name, dtype in record]}
    before = sum(field < "json" for field in images)
    keys = [{"name": name, "dtype": "string"} for name in ("__key__", "__url__")]
    return [*fields[:before], struct, *fields[before:], *keys]
