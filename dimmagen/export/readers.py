"""The code bases that read exports, as one table, of which presets, checks and documentation are made.

A row says in our words what the data classes of one repository do, at the commit whose files were read.
Its name is accepted wherever a layout is, and then the sizes that it needs are asked for and checked as well.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from dimmagen.core.errors import UsageError
from dimmagen.core.registry import unknown_name
from dimmagen.export.layouts import LAYOUTS, Layout
from dimmagen.export.sizes import ANY_SIZE, Fit, SizeRule


class Pairing(StrEnum):
    """How a reader finds the light image of a dark one."""

    NAME = "equal file names"
    SORTED = "the n-th of both sorted lists of names"
    LISTING = "the n-th of both folders as the file system lists them, unsorted"
    REPLACED = "the path of the dark image with a word replaced"
    LIST = "a list of paths"
    NONE = "not paired"


@dataclass(frozen=True, slots=True)
class Trial:
    """What happened when code of the code base itself ran on an export, on a processor.

    Attributes:
        starts, pairs, trains, validates: `yes`, `batches only` (the batches of an epoch were made, and no
            network saw them), `no: why`, `not recorded`, or empty if it was not run.
        what: ran, such as `data classes`.
        when: year and month.
    """

    starts: str = ""
    pairs: str = ""
    trains: str = ""
    validates: str = ""
    what: str = ""
    when: str = "2026-11"


NOT_RUN = Trial()
_NONE = "not recorded"
_CLASSES = Trial("yes", "yes", "batches only", "batches only", "data classes")
_STAND_INS = Trial("yes", "yes", "batches only", "batches only", "data classes, with stand-ins")
_UNPAIRED = replace(_STAND_INS, pairs="unpaired")
_NETWORK = Trial("yes", "yes", "yes", "yes", "data classes and network")
_EARLIER = Trial("yes", "yes", "yes", _NONE, "recorded earlier")


@dataclass(frozen=True, slots=True)
class Reader:
    """One code base.

    Attributes:
        name: of the preset.
        title: name of the project.
        repository: `owner/name` on GitHub.
        commit: the one whose files the row was read from, shortened; empty if only its behaviour is known.
        layout: name of the layout that it reads.
        pairing: how it pairs images.
        batch: what it puts into a training batch.
        path: where it expects the export, relative to the repository.
        marks: files by which the repository is recognised; without them it is not.
        runs_in: folder of the repository in which its scripts are started.
        options: lines of its option file or command that name the export; `{root}` is the export as seen from
            `runs_in`.
        as_is: whether its options name `path` already.
        fixed: its lists name images as seen from `runs_in`, so that an export is read at `path` alone.
        train, validation: what it needs of the images of a split.
        epoch: number of pairs that it reads in every epoch, whatever there are; 0 for as many as there are.
        replaces: words that it replaces in the paths that it is given, so that no other part of the path may
            hold them.
        trial: what was tried with the code base itself.
    """

    name: str
    title: str
    repository: str
    commit: str
    layout: str
    pairing: Pairing
    batch: str
    path: str = ""
    marks: tuple[str, ...] = ()
    runs_in: str = "."
    options: tuple[str, ...] = ()
    as_is: bool = False
    fixed: bool = False
    train: SizeRule = ANY_SIZE
    validation: SizeRule = ANY_SIZE
    epoch: int = 0
    replaces: tuple[str, ...] = ()
    trial: Trial = NOT_RUN

    @property
    def fit(self) -> Fit | None:
        """The fit that satisfies the reader, if one does whatever the images are."""
        for rule in (self.train, self.validation):
            if rule.exact:
                return Fit(*rule.exact)
        multiple = max(self.train.multiple, self.validation.multiple)
        return Fit(multiple=multiple) if multiple > 1 else None

    @property
    def shortest(self) -> int:
        """Shorter sides than this number of pixels cannot be read."""
        return max(self.train.shortest, self.validation.shortest)

    def check_fit(self, fit: Fit) -> None:
        """Refuse a size that the reader cannot take.

        Raises:
            UsageError: it cannot.
        """
        for rule in (self.train, self.validation):
            if fit.multiple:
                fault = "" if fit.multiple % rule.multiple == 0 and not rule.exact else "would not do"
            else:
                fault = rule.fault((fit.height, fit.width))
            if fault:
                raise UsageError(
                    f"{self.title} needs {rule}, and `fit={fit}` {fault}",
                    f"give another `fit`{f', such as {self.fit}' if self.fit else ''}, or leave it out",
                    code="out-of-range",
                    parameter="fit",
                    value=str(fit),
                )

    def is_repository(self, folder: Path) -> bool:
        """Whether a folder holds the code base."""
        return bool(self.marks) and all((folder / mark).exists() for mark in self.marks)

    def option_lines(self, root: Path, repository: Path | None) -> list[str]:
        """The lines to put into its option file or command, for an export.

        Args:
            root: of the export.
            repository: that it was written into; None if it lies elsewhere, and is named by its whole path
                (by `path` if it has to be brought there).
        """
        if repository is None and self.fixed:
            seen = Path(os.path.relpath(self.path, self.runs_in)).as_posix()
        elif repository is None:
            seen = root.absolute().as_posix()
        else:
            seen = Path(os.path.relpath(root.absolute(), (repository / self.runs_in).absolute())).as_posix()
        return [line.format(root=seen) for line in self.options]


_BASICSR = (
    "train: dataroot_lq: {root}/train/lq",
    "train: dataroot_gt: {root}/train/gt",
    "val: dataroot_lq: {root}/val/lq",
    "val: dataroot_gt: {root}/val/gt",
)


def _pydiff(name: str, batch: str, train: SizeRule, trial: Trial) -> Reader:
    return Reader(
        name,
        "PyDiff",
        "limuloo/PyDIff",
        "4144b89",
        "lol-v1",
        Pairing.NAME,
        f"{batch}; validation pads to multiples of 32",
        path="dataset/LOLdataset",
        marks=("PyDiff/options/train_v1.yaml",),
        runs_in="PyDiff",
        options=(
            "train: gt_root: {root}/our485/high",
            "train: input_root: {root}/our485/low",
            "val: gt_root: {root}/eval15/high",
            "val: input_root: {root}/eval15/low",
        ),
        as_is=True,
        train=train,
        trial=trial,
    )


def _hvi(name: str, layout: str, path: str, epoch: int, options: tuple[str, ...], trial: Trial) -> Reader:
    return Reader(
        name,
        "HVI-CIDNet",
        "Fediory/HVI-CIDNet",
        "f886e55",
        layout,
        Pairing.LISTING,
        "random crops of 256 pixels; evaluation one image at a time",
        path=path,
        marks=("net/CIDNet.py", "data/LOLdataset.py"),
        options=options,
        as_is=True,
        train=SizeRule(shortest=256),
        validation=SizeRule(multiple=8),
        epoch=epoch,
        trial=trial,
    )


def _hvi_v2(kind: str, folder: str, epoch: int) -> Reader:
    options = (
        f"--data_train_lolv2_{kind} {{root}}/{folder}/Train",
        f"--data_val_lolv2_{kind} {{root}}/{folder}/Test/Low",
        f"--data_valgt_lolv2_{kind} {{root}}/{folder}/Test/Normal/",
    )
    return _hvi(f"hvi-cidnet-v2-{kind}", "lol-v2", "datasets/LOLv2", epoch, options, _CLASSES)


_ALL = (
    Reader(
        "retinexformer",
        "Retinexformer",
        "caiyuanhao1998/Retinexformer",
        "fdf2503",
        "retinexformer",
        Pairing.NAME,
        "random crops, smaller images are padded; validation one image at a time",
        path="data/LOLv1",
        marks=("Options/RetinexFormer_LOL_v1.yml",),
        options=(
            "train: dataroot_gt: {root}/Train/target",
            "train: dataroot_lq: {root}/Train/input",
            "val: dataroot_gt: {root}/Test/target",
            "val: dataroot_lq: {root}/Test/input",
        ),
        as_is=True,
        trial=_EARLIER,
    ),
    Reader(
        "basicsr",
        "BasicSR",
        "XPixelGroup/BasicSR",
        "",
        "basicsr",
        Pairing.NAME,
        "random crops of `gt_size`; validation one image at a time",
        path="datasets/dimmagen",
        marks=("basicsr/train.py", "options/train"),
        options=(*_BASICSR, "io_backend: {{type: disk}}"),
        trial=Trial("yes", "yes", "yes", "yes", "training script"),
    ),
    Reader(
        "nafnet",
        "NAFNet",
        "megvii-research/NAFNet",
        "",
        "basicsr",
        Pairing.NAME,
        "random crops of `gt_size`; validation one image at a time",
        path="datasets/dimmagen",
        marks=("options/train/SIDD/NAFNet-width32.yml",),
        options=(*_BASICSR, "io_backend: {{type: disk}}"),
        trial=_EARLIER,
    ),
    Reader(
        "restormer",
        "Restormer",
        "swz30/Restormer",
        "",
        "basicsr",
        Pairing.NAME,
        "random crops, smaller images are padded; validation one image at a time",
        path="datasets/dimmagen",
        marks=("basicsr/models/archs/restormer_arch.py",),
        options=(*_BASICSR, "io_backend: {{type: disk}}"),
        trial=_EARLIER,
    ),
    Reader(
        "mirnet",
        "MIRNet",
        "swz30/MIRNet",
        "4af5c03",
        "mirnet",
        Pairing.SORTED,
        "random crops of 128 pixels; validation puts whole images into batches of 16",
        path="datasets/dimmagen",
        marks=("networks/MIRNet_model.py", "training.yml"),
        options=("TRAIN_DIR: '{root}/train'", "VAL_DIR: '{root}/val'"),
        train=SizeRule(shortest=129),
        validation=SizeRule(equal=True),
        trial=_CLASSES,
    ),
    Reader(
        "mirnetv2",
        "MIRNetv2",
        "swz30/MIRNetv2",
        "235f1ee",
        "mirnetv2",
        Pairing.NAME,
        "random crops, smaller images are padded; validation one image at a time",
        path="Enhancement/Datasets",
        marks=("Enhancement/Options/Enhancement_MIRNet_v2_Lol.yml",),
        options=(
            "train: dataroot_gt: {root}/train/Lol/target",
            "train: dataroot_lq: {root}/train/Lol/input",
            "val: dataroot_gt: {root}/test/Lol/target",
            "val: dataroot_lq: {root}/test/Lol/input",
        ),
        as_is=True,
        trial=_EARLIER,
    ),
    Reader(
        "llformer",
        "LLFormer",
        "TaoWangzj/LLFormer",
        "74bedc4",
        "llformer",
        Pairing.SORTED,
        "random crops, smaller images are padded; validation cuts the middle",
        path="datasets/LOL",
        marks=("model/LLFormer.py", "configs/LOL/train/training_LOL.yaml"),
        options=(
            "TRAIN_DIR: '{root}/train'",
            "VAL_DIR: '{root}/test'",
        ),
        as_is=True,
        trial=_EARLIER,
    ),
    Reader(
        "snr-aware",
        "SNR-Aware",
        "dvlab-research/SNR-Aware-Low-Light-Enhance",
        "d550311",
        "lol-v1",
        Pairing.SORTED,
        "random crops of images that it scales to 600x400",
        path="datasets/LOLv1",
        marks=("options/train/LOLv1.yml", "options/train/SMID.yml"),
        options=(
            "train: dataroot_GT: {root}/our485/high",
            "train: dataroot_LQ: {root}/our485/low",
            "val: dataroot_GT: {root}/eval15/high",
            "val: dataroot_LQ: {root}/eval15/low",
        ),
        trial=_EARLIER,
    ),
    Reader(
        "fourllie",
        "FourLLIE",
        "wangchx67/FourLLIE",
        "214efc3",
        "input-gt",
        Pairing.SORTED,
        "random crops of 384 pixels; validation one image at a time",
        path="datasets/dimmagen",
        marks=("data/LL_dataset.py", "options/train/LOLv2_real.yml"),
        options=(
            "train: dataroot_GT: {root}/train/gt",
            "train: dataroot_LQ: {root}/train/input",
            "val: dataroot_GT: {root}/eval/gt",
            "val: dataroot_LQ: {root}/eval/input",
        ),
        train=SizeRule(shortest=384),
        trial=_STAND_INS,
    ),
    Reader(
        "lednet",
        "LEDNet",
        "sczhou/LEDNet",
        "31971d3",
        "lolblur",
        Pairing.NAME,
        "random crops of 256 pixels; validation one image at a time",
        path="datasets/LOLBlur",
        marks=("options/train_LEDNet.yml",),
        options=(
            "train: dataroot_gt: {root}/train/high_sharp_scaled",
            "train: dataroot_lq: {root}/train/low_blur_noise",
            "val: dataroot_gt: {root}/test/high_sharp_scaled",
            "val: dataroot_lq: {root}/test/low_blur_noise",
        ),
        train=SizeRule(shortest=256),
        validation=SizeRule(multiple=8),
        trial=_STAND_INS,
    ),
    Reader(
        "llflow",
        "LLFlow",
        "wyf0912/LLFlow",
        "675d8b3",
        "lol-v1",
        Pairing.NAME,
        "random crops of 160 pixels; validation one image at a time",
        path="LOLdataset",
        marks=("code/confs/LOL-pc.yml",),
        runs_in="code",
        options=(
            "train: root: {root}",
            "val: root: {root}",
            "dataroot_GT: {root}/eval15/high",
            "dataroot_LR: {root}/eval15/low",
        ),
        train=SizeRule(shortest=160),
        validation=SizeRule(multiple=8),
        trial=_CLASSES,
    ),
    Reader(
        "gsad",
        "GSAD",
        "jinnh/GSAD",
        "3386650",
        "lol-v1",
        Pairing.NAME,
        "random crops of 96 pixels; validation adds the border that 600x400 needs",
        path="dataset/LOLv1",
        marks=("config/lolv1.yml", "config/lolv1_train.json"),
        train=SizeRule(shortest=96),
        validation=SizeRule(exact=(400, 600)),
        options=(
            "train: root: {root}",
            "val: root: {root}",
        ),
        as_is=True,
        trial=_CLASSES,
    ),
    _hvi(
        "hvi-cidnet",
        "lol-v1",
        "datasets/LOLdataset",
        485,
        (
            "--data_train_lol_v1 {root}/our485",
            "--data_val_lol_v1 {root}/eval15/low",
            "--data_valgt_lol_v1 {root}/eval15/high/",
        ),
        _NETWORK,
    ),
    _hvi_v2("real", "Real_captured", 685),
    _hvi_v2("syn", "Synthetic", 900),
    _pydiff(
        "pydiff",
        "train_v1, train_v3: whole images in batches of 8",
        SizeRule(shortest=288, equal=True),
        _CLASSES,
    ),
    _pydiff("pydiff-v2", "train_v2: random crops of 320 pixels", SizeRule(shortest=320), _CLASSES),
    Reader(
        "iat",
        "IAT",
        "cuiziteng/Illumination-Adaptive-Transformer",
        "0fa5808",
        "lol-v1",
        Pairing.REPLACED,
        "random crops of 256 pixels, then (step 3) whole images in batches",
        path="IAT_enhance/LOL_v1",
        marks=("IAT_enhance/train_lol_v1_patch.py",),
        runs_in="IAT_enhance",
        options=("--img_path {root}/our485/low/ --img_val_path {root}/eval15/low/",),
        train=SizeRule(shortest=256, equal=True),
        replaces=("low",),
        trial=_NETWORK,
    ),
    Reader(
        "kind-plus",
        "KinD++",
        "zhangyhuaee/KinD_plus",
        "264da48",
        "lol-v1",
        Pairing.SORTED,
        "stage 1: random crops of 48 pixels; evaluation one image at a time",
        path="LOLdataset",
        marks=("decomposition_net_train.py",),
        train=SizeRule(shortest=48),
        trial=_EARLIER,
    ),
    Reader(
        "retinexnet",
        "RetinexNet",
        "weichen582/RetinexNet",
        "df7ff54",
        "retinexnet-syn",
        Pairing.SORTED,
        "random crops of 48 pixels; evaluation one image at a time",
        path=".",
        marks=("main.py", "infer.py", "model/Decom"),
        train=SizeRule(shortest=48),
        trial=_EARLIER,
    ),
    Reader(
        "retinexnet-pytorch",
        "RetinexNet in PyTorch",
        "aasharma90/RetinexNet_PyTorch",
        "d03dabc",
        "retinexnet-pytorch",
        Pairing.SORTED,
        "random crops of 96 pixels; evaluation one image at a time",
        path="dimmagen",
        marks=("train.py", "predict.py", "model.py"),
        options=("--data_dir {root}",),
        train=SizeRule(shortest=96),
        trial=replace(_NETWORK, what="training script"),
    ),
    Reader(
        "diffll",
        "DiffLL",
        "JianghaiSCU/Diffusion-Low-Light",
        "bb1d6e2",
        "filelist",
        Pairing.LIST,
        "random crops of 256 pixels; validation one image at a time",
        path="data",
        marks=("configs/LOLv1.yml", "models/wavelet.py"),
        options=('data_dir: "{root}"',),
        train=SizeRule(shortest=256),
        trial=_CLASSES,
    ),
    Reader(
        "lightendiffusion",
        "LightenDiffusion",
        "JianghaiSCU/LightenDiffusion",
        "18802d4",
        "pair-list",
        Pairing.LIST,
        "whole images in batches of 12; validation pads to multiples of 64",
        path="data",
        marks=("configs/unsupervised.yml", "models/decom.py"),
        options=('data_dir: "{root}"',),
        fixed=True,
        train=SizeRule(multiple=64, equal=True),
        trial=_CLASSES,
    ),
    Reader(
        "dimma",
        "Dimma (LOL)",
        "WojciechKoz/Dimma",
        "c3e55ba",
        "dimma",
        Pairing.SORTED,
        "random crops of 256 pixels; validation and test put whole images into batches of 4",
        path="data/LOL",
        marks=("train_unsupervised.py", "src/datasets/mixhq.py"),
        options=('dataset: path: "{root}"',),
        as_is=True,
        train=SizeRule(shortest=256),
        validation=SizeRule(equal=True),
        trial=_STAND_INS,
    ),
    Reader(
        "dimma-fsd",
        "Dimma (Few-shot Dark)",
        "WojciechKoz/Dimma",
        "c3e55ba",
        "dimma-fsd",
        Pairing.SORTED,
        "random crops of 256 pixels; validation and test one image at a time",
        path="data/FSD",
        marks=("train_unsupervised.py", "src/datasets/fs_dark.py"),
        options=('dataset: path: "{root}" (or val_path, with MixHQ)',),
        train=SizeRule(shortest=256),
        trial=_STAND_INS,
    ),
    Reader(
        "dimma-mixhq",
        "Dimma (light images of MixHQ)",
        "WojciechKoz/Dimma",
        "c3e55ba",
        "dimma-mixhq",
        Pairing.NONE,
        "random crops of 256 pixels, which it darkens itself",
        path="data/MixHQ",
        marks=("train_unsupervised.py", "src/datasets/mixhq.py"),
        options=('dataset: path: "{root}"',),
        as_is=True,
        train=SizeRule(shortest=256),
        trial=replace(_UNPAIRED, validates=""),
    ),
    Reader(
        "enlightengan",
        "EnlightenGAN",
        "VITA-Group/EnlightenGAN",
        "0defa50",
        "unpaired-ab",
        Pairing.NONE,
        "random crops of 320 pixels",
        path="final_dataset",
        marks=("data/unaligned_random_crop.py", "scripts/script.py"),
        options=("--dataroot {root} --dataset_mode unaligned",),
        train=SizeRule(shortest=320),
        trial=replace(_UNPAIRED, validates=""),
    ),
    Reader(
        "enlightengan-pair",
        "EnlightenGAN (pair mode)",
        "VITA-Group/EnlightenGAN",
        "0defa50",
        "paired-ab",
        Pairing.REPLACED,
        "random crops of 320 pixels",
        path="final_dataset",
        marks=("data/unaligned_random_crop.py", "scripts/script.py"),
        options=("--dataroot {root} --dataset_mode pair",),
        train=SizeRule(shortest=320),
        replaces=("A", "low"),
        trial=_STAND_INS,
    ),
    Reader(
        "nerco",
        "NeRCo",
        "Ysz2022/NeRCo",
        "9e4f159",
        "unpaired-ab",
        Pairing.NONE,
        "crops that its options name",
        path="dimmagen",
        marks=("models/NeRCo_model.py",),
        options=("--dataroot {root}",),
        trial=_UNPAIRED,
    ),
    Reader(
        "zero-dce",
        "Zero-DCE",
        "Li-Chongyi/Zero-DCE",
        "2e74da4",
        "single-jpg",
        Pairing.NONE,
        "images that it scales to 256x256",
        path="Zero-DCE_code/data",
        marks=("Zero-DCE_code/lowlight_train.py",),
        runs_in="Zero-DCE_code",
        options=("--lowlight_images_path {root}/train_data/",),
        as_is=True,
        trial=_EARLIER,
    ),
    Reader(
        "sci",
        "SCI",
        "vis-opt-group/SCI",
        "",
        "single-jpg",
        Pairing.NONE,
        "one whole image at a time; it opens every file below the folder that it is given",
        options=("the folder to give it: {root}/train_data",),
        trial=Trial("no: it opened our notes", _NONE, _NONE, _NONE, "before this preset was changed"),
    ),
)
READERS: Mapping[str, Reader] = {reader.name: reader for reader in _ALL}
"""Every reader by the name of its preset, in the order of the documentation."""


def find_preset(name: str) -> tuple[Layout, Reader | None]:
    """The layout of a name that a user gives, and the reader if it is the name of one.

    Raises:
        UnknownNameError: there is neither a reader nor a layout of that name.
    """
    if name in READERS:
        return LAYOUTS[READERS[name].layout], READERS[name]
    if name in LAYOUTS:
        return LAYOUTS[name], None
    raise unknown_name("layout", name, dict.fromkeys([*LAYOUTS, *READERS]))


def layout_lines(layout: Layout, root: Path) -> list[str]:
    """The lines for an option file, for an export that is for a layout and not for one of its readers.

    They are those of the layout, or of its readers if all of them have the same ones.

    Args:
        layout: of the export.
        root: of the export.

    Returns:
        The lines; none if its readers differ.
    """
    options = {reader.options for reader in readers_of(layout.name) if reader.options}
    lines = layout.options or (options.pop() if len(options) == 1 else ())
    return [line.format(root=root.absolute().as_posix()) for line in lines]


def readers_of(layout: str) -> list[Reader]:
    """The readers of a layout, in the order of the table."""
    return [reader for reader in _ALL if reader.layout == layout]


def find_root(reader: Reader | None, out: Path) -> tuple[Path, Path | None]:
    """Where an export goes for the folder that a user gives.

    Args:
        reader: for whom the export is.
        out: a new or empty folder, an export, or the repository of the reader.

    Returns:
        The root of the export, and the repository if `out` is the reader's.
    """
    if reader and reader.is_repository(out):
        return out / reader.path, out
    return out, None


def shown_sizes(reader: Reader) -> str:
    """Words for the sizes that a reader needs, such as `validation: exactly 600x400`."""
    if reader.train == reader.validation:
        return str(reader.train)
    parts = [
        f"{name}: {rule}" for name, rule in (("training", reader.train), ("validation", reader.validation))
    ]
    return "; ".join(part for part in parts if not part.endswith("any size")) or "any size"
