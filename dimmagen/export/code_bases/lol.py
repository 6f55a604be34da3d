"""Code bases that were written for the folders of LOL."""

from dimmagen.export.code_bases.trials import CLASSES, EARLIER, NETWORK
from dimmagen.export.reader import Pairing, Reader, Trial
from dimmagen.export.sizes import SizeRule


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
    return _hvi(f"hvi-cidnet-v2-{kind}", "lol-v2", "datasets/LOLv2", epoch, options, CLASSES)


ROWS = (
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
        trial=CLASSES,
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
        NETWORK,
    ),
    _hvi_v2("real", "Real_captured", 685),
    _hvi_v2("syn", "Synthetic", 900),
    _pydiff(
        "pydiff",
        "train_v1, train_v3: whole images in batches of 8",
        SizeRule(shortest=288, equal=True),
        CLASSES,
    ),
    _pydiff("pydiff-v2", "train_v2: random crops of 320 pixels", SizeRule(shortest=320), CLASSES),
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
        trial=NETWORK,
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
        trial=EARLIER,
    ),
)
