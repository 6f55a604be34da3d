"""The layouts that other trainers read, as one table: folders, file type, lists, and what each insists on.

Where a layout names several places for a split, each holds the same pairs: readers of one layout disagree
about its folders, so all of them find theirs (hard links, no second copy).
"""

from dataclasses import dataclass

from dimmagen.core.registry import Registry
from dimmagen.export.formats import FILE_LIST, JPEG, LMDB, META_INFO, NO_LISTING, PNG, Listing, Place, Store


@dataclass(frozen=True, slots=True)
class Layout:
    """What one family of readers expects.

    Attributes:
        name: in the registry.
        readers: whose loaders read it, and on what they insist.
        train, validation: where a split's pictures are; no validation where a reader makes its own.
        store: how images are stored: `PNG` or `JPEG` files, or `LMDB`, an environment in place of each
            folder.
        listing: text file that the reader needs for a split: `META_INFO` or `FILE_LIST`.
        paired: dark and light pictures belong together by name; else each light picture is there once.
        larger_than: both sides must be longer than this many pixels.
        by_replacing: the light picture's path is found by replacing a word in the dark one's, so the root's
            own path must not hold the word.
        validation_size: validation pairs by default, if there are photos enough.
    """

    name: str
    readers: str
    train: tuple[Place, ...]
    validation: tuple[Place, ...] = ()
    store: Store = PNG
    listing: Listing = NO_LISTING
    paired: bool = True
    larger_than: int = 0
    by_replacing: bool = False
    validation_size: int = 50


_ALL = (
    Layout(
        "lol-v1",
        "LLFlow, GSAD, PyDiff, KinD, SNR-Aware, IAT; HVI-CIDNet reads exactly 485 pairs",
        train=(("our485/low", "our485/high"),),
        validation=(("eval15/low", "eval15/high"),),
        by_replacing=True,
        validation_size=15,
    ),
    Layout(
        "lol-v2",
        "LLFlow, SNR-Aware, Retinexformer; HVI-CIDNet reads 685 (Real_captured) or 900 (Synthetic) pairs",
        train=(
            ("Synthetic/Train/Low", "Synthetic/Train/Normal"),
            ("Real_captured/Train/Low", "Real_captured/Train/Normal"),
        ),
        validation=(
            ("Synthetic/Test/Low", "Synthetic/Test/Normal"),
            ("Synthetic/Test/low", "Synthetic/Test/high"),
            ("Real_captured/Test/Low", "Real_captured/Test/Normal"),
            ("Real_captured/Test/low", "Real_captured/Test/high"),
        ),
        by_replacing=True,
        validation_size=100,
    ),
    Layout(
        "retinexformer",
        "Retinexformer",
        train=(("Train/input", "Train/target"),),
        validation=(("Test/input", "Test/target"),),
    ),
    Layout(
        "basicsr",
        "BasicSR, NAFNet, Restormer, Retinexformer (io_backend disk)",
        train=(("train/lq", "train/gt"),),
        validation=(("val/lq", "val/gt"),),
        listing=META_INFO,
    ),
    Layout(
        "basicsr-lmdb",
        "BasicSR, NAFNet, Restormer, Retinexformer (io_backend lmdb)",
        train=(("train/lq.lmdb", "train/gt.lmdb"),),
        validation=(("val/lq.lmdb", "val/gt.lmdb"),),
        store=LMDB,
    ),
    Layout(
        "llformer",
        "LLFormer",
        train=(("train/low", "train/high"),),
        validation=(("test/low", "test/high"),),
        by_replacing=True,
    ),
    Layout(
        "mirnet",
        "MIRNet; pictures must be strictly larger than its 128-pixel patch",
        train=(("train/input", "train/groundtruth"),),
        validation=(("val/input", "val/groundtruth"),),
        larger_than=128,
    ),
    Layout(
        "retinexnet-syn",
        "RetinexNet, which reads data/our485 of the real LOL beside it",
        train=(("data/syn/low", "data/syn/high"),),
        validation=(("data/eval/low", "data/eval/high"),),
        by_replacing=True,
    ),
    Layout(
        "unpaired-ab",
        "EnlightenGAN, NeRCo: A is dark, B is light",
        train=(("trainA", "trainB"),),
        validation=(("testA", "testB"),),
        paired=False,
    ),
    Layout(
        "single-jpg",
        "Zero-DCE, SCI: dark pictures alone, as JPEG of quality 95",
        train=((".", ""),),
        store=JPEG,
        paired=False,
    ),
    Layout(
        "filelist",
        "DiffLL: train.txt and val.txt with a dark path a line",
        train=(("train/low", "train/high"),),
        validation=(("val/low", "val/high"),),
        listing=FILE_LIST,
        by_replacing=True,
    ),
)
LAYOUTS: Registry[Layout] = Registry("layout", "dimmagen.layouts")
for _layout in _ALL:
    LAYOUTS.register(_layout.name)(_layout)
