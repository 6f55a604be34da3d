"""Code bases that need no pairs, or can do without them."""

from dataclasses import replace

from dimmagen.export.code_bases.trials import EARLIER, NOT_RECORDED, STAND_INS, UNPAIRED
from dimmagen.export.reader import Pairing, Reader, Trial
from dimmagen.export.sizes import SizeRule

ROWS = (
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
        trial=replace(UNPAIRED, validates=""),
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
        trial=STAND_INS,
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
        trial=UNPAIRED,
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
        trial=EARLIER,
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
        trial=Trial(
            "no: it opened our notes",
            NOT_RECORDED,
            NOT_RECORDED,
            NOT_RECORDED,
            "before this preset was changed",
        ),
    ),
)
