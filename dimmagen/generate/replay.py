"""Making pairs of a finished data set again, from what is recorded about them.

A pair is a function of its source, the profile and the settings in the manifest. A replay computes it again
and compares stage by stage, so that a difference is reported where it arises: in the source, in its decoding,
in the draws, in the dimming or in the encoding. Nothing in the data set is trusted or changed.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dimmagen.core import hashing, keyed_random
from dimmagen.core.disk_map import DiskMap
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.dataset.manifest import Manifest, Run, changes
from dimmagen.dataset.reader import ChosenRows, PairSet
from dimmagen.dataset.schema import first_difference
from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.generate.from_manifest import dimmer_from_manifest, settings_from_manifest
from dimmagen.generate.light_format import without_conversion
from dimmagen.generate.pair import make_pair, prepare_light
from dimmagen.generate.run_environment import environment_like, refuse_missing_plugins
from dimmagen.images import codec
from dimmagen.images.codec import ImageError
from dimmagen.sources import SOURCES, parse_specs
from dimmagen.sources.archives import read_entry
from dimmagen.sources.candidate_files import candidate_name, list_candidate_files
from dimmagen.sources.light_image import LightImage, LightImageRef, light_pixels
from dimmagen.sources.light_images import MixHQLightImages
from dimmagen.sources.mixhq_reading import is_mixhq


@dataclass(frozen=True, slots=True)
class Replay:
    """The result of one replay.

    Attributes:
        key: of the pair.
        stage: the first of :data:`~dimmagen.dataset.schema.PIPELINE_STAGES` that differs; empty when the
            pair is identical.
        detail: the recorded value and the one made now; empty when the pair is identical.
    """

    key: str
    stage: str = ""
    detail: str = ""

    @property
    def identical(self) -> bool:
        return not self.stage


@dataclass(frozen=True, slots=True)
class Original:
    """The file that a pair is made from.

    Attributes:
        data: the file's bytes.
        is_light: the file is the light image as stored, not the candidate that it was made from.
        ref: of the light image in a MixHQ, if the run converted it; or else None.
    """

    data: bytes
    is_light: bool
    ref: LightImageRef | None = None


Originals = Callable[[Mapping], Original]
"""Returns the original of a pair's row; raises a DimmagenError if there is none."""


def originals(pairs: PairSet, sources: Sequence[str] = ()) -> Originals:
    """A function that reads the originals of a data set's pairs.

    Args:
        pairs: the data set.
        sources: as for :func:`open_light_images`; if empty, the light images in the shards are used.

    Raises:
        UsageError: an unknown source or path, or a MixHQ combined with other sources.
        DimmagenError: a broken archive or MixHQ.
    """
    if not sources:
        return lambda row: Original(pairs.data(row, "light"), is_light=True)
    if any(is_mixhq(source) for source in sources):
        if len(sources) > 1:
            raise UsageError(
                "a MixHQ cannot be combined with other sources",
                "give its path alone",
                code="conflict",
                parameter="sources",
            )
        return _of_mixhq(sources[0])
    return _of_candidates(sources)


def _of_mixhq(path: str) -> Originals:
    lights, numbers = MixHQLightImages(path), DiskMap()
    for number, ref in enumerate(lights):
        numbers.add(ref.key, str(number).encode())

    def read(row: Mapping) -> Original:
        number = numbers.last(row["light_key"])
        if number is None:
            raise DimmagenError(
                f"{path} has no light image {row['light_key']}",
                "give the MixHQ that the data set was made from",
                code="other-settings",
                path=path,
                name=row["light_key"],
            )
        [ref] = lights.refs(int(number), int(number) + 1)
        is_converted = ref.extension != _extension(row)
        return Original(read_entry(json.loads(ref.locator)), True, ref if is_converted else None)

    return read


def _of_candidates(sources: Sequence[str]) -> Originals:
    """Files are found by their names: one pair from a large archive must not require reading all of it."""
    locators = DiskMap()
    for spec, entry in list_candidate_files(parse_specs(sources), follow_links=True).files:
        if not entry.refusal:
            locators.add(f"{spec.name}={candidate_name(entry)}", json.dumps(entry.locator).encode())

    def read(row: Mapping) -> Original:
        places = locators.find(f"{row['source']}={row['name']}")
        found = [read_entry(json.loads(locators[place])) for place in places]
        if not found:
            raise DimmagenError(
                f"{' '.join(sources)} has no {row['name']} of source {row['source']}",
                "give the `sources` that the data set was made from",
                code="source-changed",
                source=row["source"],
                name=row["name"],
            )
        same = (data for data in found if hashing.sha256(data) == row["source_sha256"])
        return Original(next(same, found[0]), is_light=False)

    return read


def replay_pair(pairs: PairSet, row: Mapping, dimmer: ImageDimmer, original_of: Originals) -> Replay:
    """Make one pair again and compare it with its row, and its row with the bytes in the shard.

    Args:
        pairs: the data set.
        row: of the pair, from `pairs`.
        dimmer: the recorded one, from :func:`dimmer_from_manifest`.
        original_of: from :func:`originals`.

    Raises:
        DimmagenError: the original is gone, the bytes in the shard are not those of the row, or the row's
            source is unknown.
    """
    for side in ("dark", "light"):
        pairs.data(row, side)
    settings = settings_from_manifest(pairs.manifest.settings)
    original = original_of(row)
    column, recorded = _recorded_hash(row, original)
    sha256 = hashing.sha256(original.data)
    if sha256 != recorded:
        return Replay(row["key"], "source bytes", f"{column}: {recorded} → {sha256}")
    try:
        light = prepare_light(_light(row, original), settings)
    except ImageError as error:
        return Replay(row["key"], "decoded pixels", error.reason)
    made = make_pair(light, dimmer, row["variant"], settings).row
    difference = first_difference(made, row)
    if difference is None:
        return Replay(row["key"])
    stage, column = difference
    return Replay(row["key"], stage, f"{column}: {row[column]} → {made[column]}")


def _recorded_hash(row: Mapping, original: Original) -> tuple[str, str]:
    """What the SHA-256 of an original should be: the column of the row that says so, and its value."""
    if not original.is_light:
        return "source_sha256", row["source_sha256"]
    if original.ref is not None:
        return "light_sha256 of MixHQ", json.loads(original.ref.locator)["sha256"]
    return "light_sha256", row["light_sha256"]


def _extension(row: Mapping) -> str:
    return row["light_member"].rpartition(".")[2]


def _light(row: Mapping, original: Original) -> LightImage:
    """The light image of a row's pair, made from its original as when the data set was made.

    Where the run converted it, this is the image before that, unless the original is the converted one.
    """
    names = ("source", "name", "width", "height")
    extension, transform = _extension(row), row["transform"]
    if not original.is_light and without_conversion(transform) != transform:
        extension, transform = "png", without_conversion(transform)
    facts = {name: row[name] for name in names}
    ref = original.ref or LightImageRef(
        row["light_key"],
        sha256=row["source_sha256"],
        transform=transform,
        extension=extension,
        locator="",
        **facts,
    )
    if original.is_light:
        return LightImage(ref, original.data, codec.decode_rgb8(original.data)[0])
    if ref.source not in SOURCES:
        raise DimmagenError(
            f"pair {row['key']} is from an unknown source {ref.source!r}",
            "install the package that provides this source",
            code="unknown-name",
            kind="source",
            name=ref.source,
        )
    frame = ref.key.removeprefix(f"{ref.source}-{ref.sha256[:16]}").removeprefix("-")
    pixels = light_pixels(ref, original.data, frame)
    file = codec.kept_file(original.data, ref.transform) or codec.encode_png(pixels)
    return LightImage(ref, file, pixels)


def chosen_pairs(pairs: PairSet, count: int) -> ChosenRows:
    """The rows of a fixed choice of pairs across the data set, in tar order.

    Args:
        pairs: a finished data set, with at least the keys.
        count: maximum number of pairs.
    """
    keys = (row["key"] for row in replace(pairs, table=pairs.table.select(["key"])).iter_rows())
    return ChosenRows(pairs, np.sort(keyed_random.permutation(0, keys, "replay")[:count]))


def replayer(
    pairs: PairSet, sources: Sequence[str] = (), profile: str | None = None
) -> Callable[[dict], Replay]:
    """A function that replays pairs of a data set by their rows.

    Args:
        pairs: a finished data set.
        sources: that it was made from; if empty, the light images in its shards are used.
        profile: folder of its profile, where the recorded name does not find it.

    Raises:
        UsageError: the package of its dimmer is not installed.
        UsageError, DimmagenError: as :func:`dimmer_from_manifest` and :func:`originals`.
    """
    refuse_missing_plugins(pairs.manifest.environment, pairs.out, "dimmer")
    dimmer = dimmer_from_manifest(pairs.manifest.settings, profile)()
    original_of = originals(pairs, sources)
    return lambda row: replay_pair(pairs, row, dimmer, original_of)


def replay_some(
    pairs: PairSet,
    count: int,
    sources: Sequence[str] = (),
    profile: str | None = None,
    on_start: Callable[[int], None] = lambda pairs: None,
    on_pair: Callable[[], None] = lambda: None,
) -> list[Replay]:
    """Make a fixed choice of pairs across a data set again.

    Args:
        pairs: a finished data set, with at least the keys.
        sources, profile: as for :func:`replayer`.
        count: maximum number of pairs.
        on_start: called with the number of pairs.
        on_pair: called after each pair.

    Returns:
        One result per pair, in tar order.

    Raises:
        UsageError, DimmagenError: as :func:`replayer` and :func:`replay_pair`.
    """
    rows = chosen_pairs(pairs, count)
    replay = replayer(pairs, sources, profile)
    on_start(len(rows))
    results = []
    for row in rows:
        results.append(replay(row))
        on_pair()
    return results


def environment_note(manifest: Manifest) -> str:
    """The differences between this machine and the one that made a data set, for messages; may be empty."""
    here = Run(manifest.settings, environment_like(manifest.environment))
    differences = changes(manifest.run, here)
    if not differences:
        return ""
    return "\nThis machine differs from the one that made the data set:\n    " + "\n    ".join(differences)
