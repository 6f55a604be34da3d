"""The names that data sets of dark/light pairs have for dark and for light images.

One table for everything that reads pairs: folders, file names, headers of lists, messages and docs/pairs.md.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Side = Literal["dark", "light"]


@dataclass(frozen=True, slots=True)
class PairNames:
    """Names that are used together.

    Attributes:
        dark, light: names of the two sides, in lower case, without separators; the first is the usual one.
        known_from: data sets and trainers that use them.
    """

    dark: tuple[str, ...]
    light: tuple[str, ...]
    known_from: str


PAIR_NAMES = (
    PairNames(("low", "lowlight"), ("high",), "LOL, LSRW, LLFormer"),
    PairNames(("low", "lowlight"), ("normal", "normallight"), "LOL-v2, VE-LOL"),
    PairNames(("input",), ("target",), "Retinexformer, FiveK"),
    PairNames(("input",), ("gt", "groundtruth", "expertc", "reference", "ref"), "SDSD, UHD-LL, MIRNet"),
    PairNames(("lq",), ("gt", "hq"), "BasicSR"),
    PairNames(("short",), ("long",), "SID, SMID"),
    PairNames(
        ("underexposed", "underexposure"), ("properlyexposed", "wellexposed"), "sets for exposure correction"
    ),
    PairNames(("dark", "night", "under"), ("light", "bright", "day"), "photos of one's own"),
)
"""Any dark name goes with any light name; these are the usual ones."""

DARK_NAMES = frozenset(name for row in PAIR_NAMES for name in row.dark)
LIGHT_NAMES = frozenset(name for row in PAIR_NAMES for name in row.light)
EVALUATION_NAMES = frozenset(("dev", "eval", "evaluation", "test", "testing", "val", "valid", "validation"))
TRAINING_NAMES = frozenset(("train", "training", "our"))  # LOL's is our485

# Next to these words, `low` and `high` say nothing of light.
_OTHER_MEASURES = frozenset(("res", "resolution", "angle", "poly"))

_SID_NAME = re.compile(r"(\d{5})_\d{2}_\d+(\.\d+)?s")  # 10019_00_0.033s: scene, number in the burst, seconds
_SID_EVALUATION = ("1", "2")  # first digits of a scene: test and validation; 0 is training

# Of trainers for two sets of images, A to B: EnlightenGAN's trainA, trainB, testA, testB.
_SETS: dict[str, Side] = {"a": "dark", "b": "light"}

_WORD = re.compile(r"[^\W\d_]+|\d+")
_CAMEL_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])")  # trainLow, GroundTruth
_COMPOUND = re.compile(
    r"(low|normal)[\W_]?(?=light)|(ground)[\W_]?(?=truth)|(expert)[\W_]?(?=c(?![^\W\d_]))"
    r"|(under|properly|well)[\W_]?(?=expos)"
)


def words(name: str) -> tuple[str, ...]:
    """The words and numbers of a name, in lower case: `Low_train` is low, train; `low00001` is low, 00001.

    Example:
        >>> words("VE-LOL-Low_train"), words("Low-Light"), words("testLow")
        (('ve', 'lol', 'low', 'train'), ('lowlight',), ('test', 'low'))
    """
    composed = unicodedata.normalize("NFC", name)  # macOS and others write accents in different ways
    composed = _CAMEL_CASE.sub("_", composed).lower()
    return tuple(_WORD.findall(_COMPOUND.sub(lambda match: next(filter(None, match.groups())), composed)))


def side_of_word(word: str) -> Side | None:
    """The side that a word of :func:`words` names, if it names one."""
    return "dark" if word in DARK_NAMES else "light" if word in LIGHT_NAMES else None


def side_of(name: str) -> tuple[Side, tuple[str, ...]] | None:
    """The side that a folder's or column's name says, and its other words; None if it says none or both.

    Example:
        >>> side_of("Low_train"), side_of("expertC_gt"), side_of("photos"), side_of("low-res")
        (('dark', ('train',)), ('light', ()), None, None)
        >>> side_of("testB"), side_of("B")
        (('light', ('test',)), None)
    """
    parts = words(name)
    if len(parts) == 2 and parts[1] in _SETS and parts[0] in EVALUATION_NAMES | TRAINING_NAMES:
        return _SETS[parts[1]], parts[:1]
    found = {side for word in parts if (side := side_of_word(word))}
    if len(found) != 1 or _OTHER_MEASURES & {*parts}:
        return None
    return found.pop(), tuple(word for word in parts if not side_of_word(word))


def is_evaluation(name: str) -> bool:
    """Whether a folder's name says that it belongs to an evaluation split."""
    return bool(EVALUATION_NAMES & {*words(name)})


def is_training(name: str) -> bool:
    """Whether a folder's name says that it belongs to a training split."""
    return bool(TRAINING_NAMES & {*words(name)}) and not is_evaluation(name)


def evaluation_beside_training(names: Iterable[str]) -> list[str]:
    """The names of the evaluation splits, sorted, where others are of a training split; otherwise none.

    Example:
        >>> evaluation_beside_training(["train", "val", "test", "val"])
        ['test', 'val']
        >>> evaluation_beside_training(["desk", "test"])
        []
    """
    found = {*names}
    return sorted(filter(is_evaluation, found)) if any(map(is_training, found)) else []


def sid_scene(stem: str) -> str:
    """The scene of an image of SID, by its file name without extension; empty for other names.

    Example:
        >>> sid_scene("10019_00_0.033s"), sid_scene("00001")
        ('10019', '')
    """
    match = _SID_NAME.fullmatch(stem)
    return match[1] if match else ""


def is_sid_evaluation(stem: str) -> bool:
    """Whether a file name without extension is that of SID's test or validation scenes."""
    return sid_scene(stem).startswith(_SID_EVALUATION)


def known_pair_names() -> str:
    """All names of folders, for messages: `dark are low, lowlight, ...; light are high, ...`."""
    sides = {
        side: ", ".join(dict.fromkeys(name for row in PAIR_NAMES for name in getattr(row, side)))
        for side in ("dark", "light")
    }
    return "; ".join(f"{side} are {names}" for side, names in sides.items())


def names_table() -> str:
    """The table as Markdown, for docs/pairs.md."""
    rows = [
        f"| {', '.join(f'`{name}`' for name in row.dark)} | {', '.join(f'`{name}`' for name in row.light)} "
        f"| {row.known_from} |"
        for row in PAIR_NAMES
    ]
    return "\n".join(["| dark | light | as in |", "|---|---|---|", *rows])
