"""The layouts that other trainers read, as one table: folders, file type, lists, and what each one requires.

If a layout names several places for a split, each holds the same pairs: the readers of a layout disagree
about its folders, and all of them find theirs (hard links, not copies).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from dimmagen.core.registry import Registry, described
from dimmagen.export.code_bases import ALL as CODE_BASES
from dimmagen.export.labels import COCO, MASKS, NO_LABELS, VOC, YOLO, LabelFormat
from dimmagen.export.listings import FILE_LIST, META_INFO, NO_LISTING, PAIR_LIST, Listing, Place
from dimmagen.export.stores import JPEG, LMDB, PNG, Store


@dataclass(frozen=True, slots=True)
class Layout:
    """What one family of readers expects.

    Attributes:
        name: in the registry.
        readers: projects that read it, and what they require.
        train, validation, test: folders of the split's images; none for a split that the reader does not
            read, or makes itself.
        store: how images are stored: as `PNG` or `JPEG` files, or in `LMDB`, one environment per folder.
        listing: text file that the reader needs for a split: `META_INFO`, `FILE_LIST`, `PAIR_LIST` or
            `NO_LISTING`.
        paired: dark and light images are paired by name; otherwise each light image is stored once.
        larger_than: both sides of an image must be longer than this number of pixels.
        by_replacing: the reader finds a light image by replacing a word in the path of the dark image, so the
            path of the root must not contain the word.
        validation_size, test_size: default number of pairs of these splits, if there are enough light images.
        labels: how the labels of the photos are stored; `NO_LABELS` for layouts of images alone.
        names: of the images of a split, without extension; both splits may have one folder.
        options: lines that name the folders and files of an export, where its readers have no names of their
            own here; `{root}` is the folder of the export.
    """

    name: str
    readers: str
    train: tuple[Place, ...]
    validation: tuple[Place, ...] = ()
    test: tuple[Place, ...] = ()
    store: Store = PNG
    listing: Listing = NO_LISTING
    paired: bool = True
    larger_than: int = 0
    by_replacing: bool = False
    validation_size: int = 50
    test_size: int = 15
    labels: LabelFormat = NO_LABELS
    names: str = "{number:05d}"
    options: tuple[str, ...] = ()

    @property
    def splits(self) -> dict[str, tuple[Place, ...]]:
        """The folders of the splits that the layout has; the name of a split is that in file lists."""
        places = {"train": self.train, "val": self.validation, "test": self.test}
        return {split: folders for split, folders in places.items() if folders}


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
        options=(
            "train: dataroot_lq: {root}/train/lq.lmdb",
            "train: dataroot_gt: {root}/train/gt.lmdb",
            "val: dataroot_lq: {root}/val/lq.lmdb",
            "val: dataroot_gt: {root}/val/gt.lmdb",
            "io_backend: {{type: lmdb}}",
        ),
    ),
    Layout(
        "llformer",
        "LLFormer",
        train=(("train/low", "train/high"),),
        validation=(("test/low", "test/high"),),
    ),
    Layout(
        "mirnet",
        "MIRNet; images must be strictly larger than its 128-pixel patch",
        train=(("train/input", "train/groundtruth"),),
        validation=(("val/input", "val/groundtruth"),),
        larger_than=128,
    ),
    Layout(
        "mirnetv2",
        "MIRNetv2",
        train=(("train/Lol/input", "train/Lol/target"),),
        validation=(("test/Lol/input", "test/Lol/target"),),
    ),
    Layout(
        "input-gt",
        "FourLLIE",
        train=(("train/input", "train/gt"),),
        validation=(("eval/input", "eval/gt"),),
    ),
    Layout(
        "lolblur",
        "LEDNet",
        train=(("train/low_blur_noise", "train/high_sharp_scaled"),),
        validation=(("test/low_blur_noise", "test/high_sharp_scaled"),),
    ),
    Layout(
        "retinexnet-syn",
        "RetinexNet, which also reads data/our485 of the real LOL",
        train=(("data/syn/low", "data/syn/high"),),
        validation=(("data/eval/low", "data/eval/high"),),
    ),
    Layout(
        "retinexnet-pytorch",
        "RetinexNet in PyTorch, which also reads data/our485 of the real LOL",
        train=(("data/syn/low", "data/syn/high"),),
        validation=(("eval/low", "eval/high"),),
    ),
    Layout(
        "dimma",
        "Dimma: LOL, with five images for validation",
        train=(("our480/low", "our480/high"),),
        validation=(("val5/low", "val5/high"),),
        test=(("eval15/low", "eval15/high"),),
        validation_size=5,
    ),
    Layout(
        "dimma-fsd",
        "Dimma: Few-shot Dark",
        train=(("train/low", "train/high"),),
        validation=(("val/low", "val/high"),),
        test=(("test/low", "test/high"),),
        validation_size=5,
    ),
    Layout(
        "dimma-mixhq",
        "Dimma: light images only, in one of the five folders of its MixHQ",
        train=(("", "cocoHQ"),),
        paired=False,
    ),
    Layout(
        "unpaired-ab",
        "EnlightenGAN, NeRCo: A is dark, B is light",
        train=(("trainA", "trainB"),),
        validation=(("testA", "testB"),),
        paired=False,
    ),
    Layout(
        "paired-ab",
        "EnlightenGAN in its pair mode: A is dark, B is light",
        train=(("trainA", "trainB"),),
        validation=(("testA", "testB"),),
    ),
    Layout(
        "single-jpg",
        "Zero-DCE, SCI: dark images only, as JPEG of quality 95",
        train=(("train_data", ""),),
        store=JPEG,
        paired=False,
    ),
    Layout(
        "filelist",
        "DiffLL: a list of dark images for each split",
        train=(("LOLv1/train/low", "LOLv1/train/high"),),
        validation=(("LOLv1/val/low", "LOLv1/val/high"),),
        listing=FILE_LIST,
    ),
    Layout(
        "pair-list",
        "LightenDiffusion: a list of dark and light images for each split",
        train=(("train/low", "train/high"),),
        validation=(("val/low", "val/high"),),
        listing=PAIR_LIST,
    ),
    Layout(
        "coco",
        "detectors that read COCO (torchvision, MMDetection, Detectron2): dark images with their labels",
        train=(("train", ""),),
        validation=(("val", ""),),
        paired=False,
        labels=COCO,
        options=(
            "train images: {root}/train",
            "train annotations: {root}/annotations/instances_train.json",
            "val images: {root}/val",
            "val annotations: {root}/annotations/instances_val.json",
        ),
    ),
    Layout(
        "yolo",
        "Ultralytics and other YOLO: dark images with their labels, and data.yaml",
        train=(("images/train", ""),),
        validation=(("images/val", ""),),
        paired=False,
        labels=YOLO,
        options=("data: {root}/data.yaml",),
    ),
    Layout(
        "voc",
        "readers of Pascal VOC: dark images, as JPEG of quality 95, with their labels",
        train=(("JPEGImages", ""),),
        validation=(("JPEGImages", ""),),
        store=JPEG,
        paired=False,
        labels=VOC,
        names="{split}_{number:05d}",
        options=(
            "images: {root}/JPEGImages",
            "annotations: {root}/Annotations",
            "train list: {root}/ImageSets/Main/train.txt",
            "val list: {root}/ImageSets/Main/val.txt",
        ),
    ),
    Layout(
        "masks",
        "segmentation: dark images with masks of the same names",
        train=(("images/train", ""),),
        validation=(("images/val", ""),),
        paired=False,
        labels=MASKS,
        options=(
            "train images: {root}/images/train",
            "train masks: {root}/masks/train",
            "val images: {root}/images/val",
            "val masks: {root}/masks/val",
        ),
    ),
)


def layout_faults(name: str, layout: Any) -> Iterator[str]:
    """Why an object cannot be the layout of that name, for the registry."""
    if not isinstance(layout, Layout):
        yield f"{described(layout)} is not a Layout"
        return
    if layout.name != name:
        yield f"its name is {layout.name!r}, but it is registered as {name!r}"
    if layout not in _ALL and name in {reader.name for reader in CODE_BASES}:
        yield "its name is that of a code base that exports are for"
    if not isinstance(layout.readers, str):
        yield f"its readers are {layout.readers!r}, not a text"
    taken: set[str] = set()
    for split, places in (("train", layout.train), ("validation", layout.validation), ("test", layout.test)):
        if not _are_places(places):
            yield f"{split} is {places!r}, not a tuple of (dark, light) folders, such as (('low', 'high'),)"
            continue
        folders = [str(PurePosixPath(folder)) for place in places for folder in place if folder]
        if outside := [folder for folder in folders if not _is_inside(folder)]:
            yield f"{outside[0]!r} is not a folder inside the export"
        if any("" in place for place in places) and layout.paired:
            yield f"{split} has images of one side only, which needs paired=False"
        shared = taken.intersection(folders) if "{split}" not in layout.names else set()
        if shared or len(set(folders)) < len(folders):
            yield f"{split} would write two images to one file: its folders {folders} are not all different"
        taken.update(folders)
    if not layout.train:
        yield "train has no folder"


def _are_places(places: Any) -> bool:
    """Whether something is the folders of a split."""
    return isinstance(places, tuple) and all(
        isinstance(place, tuple)
        and len(place) == 2
        and all(isinstance(one, str) for one in place)
        and any(place)
        for place in places
    )


def _is_inside(folder: str) -> bool:
    path = PurePosixPath(folder)
    return not path.is_absolute() and ".." not in path.parts and not PureWindowsPath(folder).anchor


LAYOUTS: Registry[Layout] = Registry("layout", "dimmagen.layouts", faults=layout_faults)
for _layout in _ALL:
    LAYOUTS.register(_layout.name)(_layout)
