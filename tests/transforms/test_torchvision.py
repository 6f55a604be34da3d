"""LowLight among torchvision's transforms v2."""

import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from dimmagen.transforms import LowLight

try:
    from torchvision import tv_tensors
    from torchvision.transforms import v2
except (ImportError, RuntimeError) as error:  # a wheel that does not fit torch raises RuntimeError
    pytest.skip(f"no torchvision that fits torch ({error})", allow_module_level=True)

LIGHT = torch.full((3, 24, 32), 180, dtype=torch.uint8)


def sample() -> dict:
    points = {}
    if hasattr(tv_tensors, "KeyPoints"):  # from torchvision 0.23 on
        points = {"points": tv_tensors.KeyPoints([[3.0, 4.0]], canvas_size=(24, 32))}
    return {
        **points,
        "image": tv_tensors.Image(LIGHT),
        "boxes": tv_tensors.BoundingBoxes([[1, 2, 9, 5]], format="XYXY", canvas_size=(24, 32)),
        "mask": tv_tensors.Mask(torch.ones(24, 32, dtype=torch.uint8)),
        "labels": torch.tensor([7]),
    }


def test_an_image_gets_the_pixels_of_a_data_set(made_pairs):
    pair = next(pair for pair in made_pairs if pair.variant == 0)
    low_light = LowLight("lol3", gamma=(0.5, 4.0), seed=5, key_from="light_key")
    pipeline = v2.Compose([low_light, v2.Identity()])
    tensor = tv_tensors.Image(torch.from_numpy(pair.light).permute(2, 0, 1))
    for image in (Image.fromarray(pair.light), tensor, v2.functional.to_dtype(tensor, scale=True)):
        out = pipeline({"image": image, "light_key": pair.key})["image"]
        assert type(out) is type(image)
        if isinstance(out, torch.Tensor):
            assert out.dtype == image.dtype
            out = v2.functional.to_pil_image(out)
        assert np.array_equal(np.asarray(out), pair.dark)


def test_only_the_image_of_a_sample_changes():
    given = sample()
    out = v2.Compose([LowLight("lol3")])(given)
    assert isinstance(out["image"], tv_tensors.Image)
    assert out["image"].float().mean() < 170
    for name in given.keys() - {"image"}:
        assert out[name] is given[name]
    assert torch.equal(given["image"], LIGHT)


def test_several_arguments_and_plain_tensors_are_taken_as_torchvision_takes_them():
    image, target = v2.Compose([LowLight("lol3"), v2.RandomHorizontalFlip(p=1)])(
        Image.fromarray(LIGHT.permute(1, 2, 0).numpy()), {"boxes": sample()["boxes"], "plain": LIGHT}
    )
    assert isinstance(image, Image.Image)
    assert torch.equal(target["plain"], LIGHT)
    assert target["boxes"].tolist() == [[23, 2, 31, 5]]
    dark, mask = LowLight("lol3")(LIGHT, sample()["mask"])
    assert dark.float().mean() < 170
    assert mask.all()


def test_a_video_is_a_clip():
    low_light = LowLight("lol3", return_draw=True)
    video, draw = low_light(tv_tensors.Video(LIGHT.repeat(3, 1, 1, 1)), key="clip")
    assert isinstance(video, tv_tensors.Video)
    assert torch.equal(video[0].as_subclass(torch.Tensor), low_light(LIGHT, key="clip")[0])
    assert not torch.equal(video[0], video[1])
    assert draw == low_light.draw("clip")
    batch, draws = low_light(tv_tensors.Video(LIGHT.repeat(2, 3, 1, 1, 1)))
    assert batch.shape == (2, 3, 3, 24, 32)
    assert len(draws) == 2


def test_pairs_move_together_in_later_steps():
    pipeline = v2.Compose([LowLight("lol3", pairs=True), v2.RandomHorizontalFlip(p=1)])
    ramp = torch.arange(32, dtype=torch.uint8).expand(3, 24, 32) * 8
    dark, light = pipeline(tv_tensors.Image(ramp))
    assert torch.equal(light, ramp.flip(-1))
    assert dark.float()[..., :8].mean() > dark.float()[..., -8:].mean()


class Samples(torch.utils.data.Dataset):
    """Six samples through a pipeline."""

    def __init__(self) -> None:
        self.pipeline = v2.Compose([LowLight("linear"), v2.ToDtype(torch.float32, scale=True)])

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> dict:
        return self.pipeline(sample())


@pytest.mark.parametrize("start", ["fork", "spawn", "forkserver"])
def test_the_workers_of_a_loader_give_samples_of_their_own(start):
    loader = torch.utils.data.DataLoader(Samples(), None, num_workers=2, multiprocessing_context=start)
    torch.manual_seed(1)
    images = [one["image"] for one in loader]
    assert len({image.numpy().tobytes() for image in images}) == 6
    torch.manual_seed(1)
    for again, image in zip(loader, images, strict=True):
        assert torch.equal(again["image"], image)
        assert torch.equal(again["mask"], sample()["mask"])


def test_a_pipeline_with_it_can_be_pickled_and_printed():
    pipeline = v2.Compose([LowLight("lol3", p=0.5)])
    assert "LowLight(profile='lol3', p=0.5)" in repr(pickle.loads(pickle.dumps(pipeline)))
