"""LowLight on arrays, tensors and PIL images: the pixels of a data set, draws, levels, mixes and clips."""

import io
import json
import os
import pickle

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from dimmagen.core.errors import UsageError
from dimmagen.dimmers.base import Draw
from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.transforms import LowLight, LowLightDraw

LIGHT = np.random.default_rng(0).integers(60, 256, (24, 32, 3), np.uint8)


def made_transform(**options) -> LowLight:
    """The transform with the settings of `made_pairs`."""
    return LowLight("lol3", gamma=(0.5, 4.0), seed=5, **options)


def as_tensor(light: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(light).permute(2, 0, 1)


def test_an_array_a_tensor_and_a_pil_image_get_the_pixels_of_a_data_set(made_pairs):
    low_light = made_transform()
    for pair in made_pairs:
        how = {"key": pair.key, "variant": pair.variant}
        assert np.array_equal(low_light(pair.light, **how), pair.dark)
        assert torch.equal(low_light(as_tensor(pair.light), **how), as_tensor(pair.dark))
        assert np.array_equal(np.asarray(low_light(Image.fromarray(pair.light), **how)), pair.dark)


def test_dark_as_the_pairs_keeps_gamma_and_is_not_asked_for_with_a_level():
    low_light = LowLight("lol3", brightness="as-pairs", seed=5)
    draws = [low_light.draw(f"photo-{number}").draw for number in range(20)]
    assert {draw.gamma for draw in draws} == {1.0}
    assert len({draw.exposure for draw in draws}) > 10
    with pytest.raises(UsageError, match="so does `level`"):
        LowLight("lol3", brightness="as-pairs", level=0.5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_float_images_get_the_same_levels_in_their_own_type(made_pairs, dtype):
    pair, low_light = made_pairs[0], made_transform()
    light = (pair.light / 255).astype(dtype)
    dark = low_light(light, key=pair.key, variant=pair.variant)
    assert dark.dtype == dtype
    assert np.array_equal(np.rint(dark.astype(np.float64) * 255), pair.dark)
    tensor = torch.from_numpy(light).permute(2, 0, 1)
    out = low_light(tensor, key=pair.key, variant=pair.variant)
    assert out.dtype == tensor.dtype
    assert np.array_equal(out.permute(1, 2, 0).numpy(), dark)


def test_a_batch_gets_the_pixels_of_its_keys(made_pairs):
    first = [pair for pair in made_pairs if pair.light.shape == made_pairs[0].light.shape]
    low_light = made_transform()
    keys = [pair.key for pair in first if pair.variant == 1]
    lights = np.stack([pair.light for pair in first if pair.variant == 1] * 2)
    darks = low_light(lights, key=keys * 2, variant=1)
    assert np.array_equal(darks, np.stack([pair.dark for pair in first if pair.variant == 1] * 2))
    tensors = torch.from_numpy(lights).permute(0, 3, 1, 2)
    out = low_light(tensors, key=keys * 2, variant=1)
    assert np.array_equal(out.permute(0, 2, 3, 1).numpy(), darks)


def test_without_a_key_arrays_draw_from_numpy_and_tensors_from_torch():
    low_light = LowLight("lol3")
    np.random.seed(1)
    torch.manual_seed(1)
    arrays, tensors = [low_light(LIGHT) for _ in range(2)], [low_light(as_tensor(LIGHT)) for _ in range(2)]
    assert not np.array_equal(*arrays)
    assert not torch.equal(*tensors)
    np.random.seed(1)
    assert np.array_equal(low_light(LIGHT), arrays[0])
    torch.manual_seed(1)
    assert torch.equal(low_light(as_tensor(LIGHT)), tensors[0])
    np.random.seed(1)
    assert np.array_equal(low_light(LIGHT), arrays[0]), "tensors must not advance numpy's generator"


def test_draws_and_steps_are_in_the_main_memory_whatever_torchs_default_device_is():
    """Of `torch.set_default_device("cuda")`, which no forked worker can use: here `meta`."""
    light = torch.full((3, 8, 8), 0.5)

    def made() -> tuple[int, torch.Tensor]:
        torch.manual_seed(4)
        transform = made_transform(level=lambda step: 1.0 / (1 + step))
        transform.step = 3
        return transform.step, transform(light)

    step, dark = made()
    with torch.device("meta"):
        found = made()
    assert found[0] == step == 3
    assert torch.equal(found[1], dark)


def test_each_image_of_a_batch_has_a_draw_of_its_own():
    dark, draws = LowLight("lol3", return_draw=True)(np.stack([LIGHT] * 3))
    assert len({draw.draw.gamma for draw in draws}) == 3
    assert not np.array_equal(dark[0], dark[1])


@pytest.mark.parametrize(
    "empty", [np.zeros((0, 8, 6, 3), np.uint8), torch.zeros(0, 3, 8, 6), torch.zeros(0, 3, 8, 6).half()]
)
def test_an_empty_batch_gives_an_empty_batch(empty):
    """The last part of a split, or the crops of an image in which a detector found nothing."""
    dark, light = LowLight("lol3", pairs=True)(empty)
    assert (dark.shape, dark.dtype) == (light.shape, light.dtype) == (empty.shape, empty.dtype)
    assert LowLight("lol3", return_draw=True)(empty, key=[])[1] == []
    clips = empty[:, None]
    assert LowLight("lol3", clips=True)(clips).shape == clips.shape


@pytest.mark.parametrize("profile", ["lol3", "linear", "lid", ["lol3", "gamma"]])
def test_a_draw_is_replayed_from_its_record_through_json(profile):
    low_light = LowLight(profile, return_draw=True)
    dark, draw = low_light(LIGHT)
    assert isinstance(draw, LowLightDraw)
    record = json.loads(json.dumps(draw.record()))
    again, same = LowLight(profile, return_draw=True)(LIGHT, draw=record)
    assert np.array_equal(again, dark)
    assert same == draw
    assert record["draw"] == draw.draw.record()


def test_p_leaves_some_images_light_and_a_key_decides_it_alone():
    low_light = LowLight("lol3", p=0.25, return_draw=True)
    outs = [low_light(LIGHT, key=f"image-{number}") for number in range(200)]
    light = [np.array_equal(dark, LIGHT) for dark, _ in outs]
    assert 130 <= sum(light) <= 170
    assert [draw.draw is None for _, draw in outs] == light
    again = [low_light(LIGHT, key=f"image-{number}")[0] for number in range(200)]
    assert all(np.array_equal(one, other) for one, (other, _) in zip(again, outs, strict=True))
    applied = next(number for number in range(200) if not light[number])
    assert np.array_equal(outs[applied][0], LowLight("lol3")(LIGHT, key=f"image-{applied}"))


def test_a_level_is_a_place_in_the_range_of_gamma_and_dims_as_a_ladder_of_that_gamma():
    for level, gamma in ((0.0, 2.0), (1.0, 0.3), (0.5, 0.6**0.5)):
        dark, draw = LowLight("lol3", level=level, return_draw=True)(LIGHT, key="image")
        assert draw.draw.gamma == pytest.approx(gamma, abs=1e-6)
        ladder = ImageDimmer.from_profile("lol3", ladder=(gamma,))
        assert np.array_equal(dark, ladder.dim(LIGHT, ladder.draw("image")))
    gammas = [LowLight("lol3", level=(0.9, 1.0)).draw(f"{n}").draw.gamma for n in range(50)]
    assert 0.3 <= min(gammas) < max(gammas) <= 0.3 * (2 / 0.3) ** 0.1 + 1e-6


def test_a_curriculum_sees_the_step_also_in_a_copy_for_a_worker():
    low_light = LowLight("lol3", level=ramp)
    assert low_light.step == 0
    assert low_light.draw("image").draw.gamma == pytest.approx(2.0)
    low_light.step = 100
    assert low_light.draw("image").draw.gamma == pytest.approx(0.3)
    assert pickle.loads(pickle.dumps(low_light)).step == 100


def ramp(step: int) -> float:
    return min(1.0, step / 100)


class Steps(torch.utils.data.IterableDataset):
    """Gammas of new draws, one after another."""

    def __init__(self, low_light: LowLight) -> None:
        self.low_light = low_light

    def __iter__(self):
        for number in range(40):
            yield self.low_light.draw(f"{number}").draw.gamma


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_the_workers_of_a_loader_see_the_step_that_the_training_sets(start):
    low_light = LowLight("lol3", level=ramp)
    loader = torch.utils.data.DataLoader(
        Steps(low_light), 1, num_workers=1, prefetch_factor=1, multiprocessing_context=start
    )
    gammas = []
    for gamma in loader:
        gammas.append(gamma.item())
        low_light.step = 100
    assert gammas[0] == pytest.approx(2.0)
    assert gammas[-1] == pytest.approx(0.3)


class Darks(torch.utils.data.Dataset):
    """The draws of images without keys."""

    def __init__(self, low_light: LowLight) -> None:
        self.low_light = low_light

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.low_light(as_tensor(LIGHT))


@pytest.mark.parametrize("start", ["fork", "spawn", "forkserver"])
def test_the_workers_of_a_loader_draw_from_its_seed_and_not_the_same(start):
    def epoch(start: str) -> list[bytes]:
        torch.manual_seed(7)
        loader = torch.utils.data.DataLoader(
            Darks(LowLight("linear")), None, num_workers=2, multiprocessing_context=start
        )
        return [dark.numpy().tobytes() for dark in loader]

    first = epoch(start)
    assert len(set(first)) == 6
    assert epoch("fork" if hasattr(os, "fork") else start) == first  # forked processes begin at once


def test_a_mix_takes_profiles_by_weight_and_each_as_it_is_alone():
    low_light = LowLight(["lol3", "lol8", "linear"], weights=[2, 1, 0])
    draws = [low_light.draw(f"image-{number}") for number in range(600)]
    counts = {name: sum(draw.profile == name for draw in draws) for name in low_light.mix.names}
    assert counts["linear"] == 0
    assert 350 <= counts["lol3"] <= 450
    key = next(f"image-{number}" for number, draw in enumerate(draws) if draw.profile == "lol8")
    assert np.array_equal(low_light(LIGHT, key=key), LowLight("lol8")(LIGHT, key=key))


def test_pairs_gives_the_dark_and_the_light_image():
    dark, light = LowLight("lol3", pairs=True)(LIGHT, key="image")
    assert light is LIGHT
    assert np.array_equal(dark, LowLight("lol3")(LIGHT, key="image"))


@pytest.mark.parametrize("profile", ["lol3", "linear", "lid", "gamma"])
def test_the_frames_of_a_clip_share_all_but_the_noise(profile):
    flat = np.full((64, 64, 3), 180, np.uint8)
    clip = np.stack([flat] * 4)
    low_light = LowLight(profile, clips=True, return_draw=True)
    dark, draw = low_light(clip, key="clip")
    assert isinstance(draw, LowLightDraw)
    assert np.array_equal(dark[0], LowLight(profile)(flat, key="clip"))
    for frame in dark[1:]:
        assert not np.array_equal(frame, dark[0])
    still, _ = LowLight(profile, clips=True, return_draw=True, temperature=0.0)(clip, key="clip")
    sigma = (dark.astype(float) - still).std((1, 2))
    means = dark.astype(float).mean((1, 2))
    # The frames' means differ by no more than their noise: no exposure, gain or power was drawn again.
    assert np.abs(means - means.mean(0)).max() <= 6 * sigma.max() / 64 + 1e-9
    noise = dark.astype(float) - means[:, None, None]
    if sigma.min() > 0.2:
        one, other = noise[0].ravel(), noise[1].ravel()
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.05


def test_a_batch_of_clips_has_a_draw_for_each_clip():
    clips = torch.full((2, 3, 3, 16, 16), 180, dtype=torch.uint8)
    dark, draws = LowLight("lol3", clips=True, return_draw=True)(clips)
    assert dark.shape == clips.shape
    assert len(draws) == 2
    assert draws[0] != draws[1]


def test_several_images_of_one_call_share_the_draw_and_have_noise_of_their_own():
    images = [Image.fromarray(LIGHT), Image.fromarray(LIGHT)]
    (left, right), draw = LowLight("lol3", return_draw=True)(images, key="scene")
    assert isinstance(draw, LowLightDraw)
    assert np.array_equal(np.asarray(left), LowLight("lol3")(LIGHT, key="scene"))
    assert not np.array_equal(np.asarray(left), np.asarray(right))
    left_mean, right_mean = (float(np.asarray(one).mean()) for one in (left, right))
    assert left_mean == pytest.approx(right_mean, abs=1.0)


def test_what_is_no_image_is_passed_through_in_any_nesting():
    boxes, text = torch.tensor([[1.0, 2, 3, 4]]), object()
    sample = {"image": Image.fromarray(LIGHT), "target": [{"boxes": boxes, "note": text}, (3, None)]}
    out = LowLight("lol3")(sample)
    assert out["target"][0]["boxes"] is boxes
    assert out["target"][0]["note"] is text
    assert out["target"][1] == (3, None)
    assert np.asarray(out["image"]).mean() < LIGHT.mean() - 5
    image, again = LowLight("lol3")(as_tensor(LIGHT), boxes)  # the first plain tensor is the image
    assert again is boxes
    assert image.float().mean() < LIGHT.mean() - 5


def test_key_from_takes_the_key_from_a_dictionary(made_pairs):
    pair = next(pair for pair in made_pairs if pair.variant == 0)
    low_light = made_transform(key_from="light_key")
    out = low_light({"image": pair.light, "light_key": pair.key})
    assert np.array_equal(out["image"], pair.dark)
    image, target = low_light(Image.fromarray(pair.light), {"light_key": pair.key})
    assert np.array_equal(np.asarray(image), pair.dark)
    assert target == {"light_key": pair.key}
    with pytest.raises(UsageError, match="no entry 'light_key'"):
        low_light({"image": pair.light})


def test_a_draw_with_more_fields_is_recorded_and_replayed_whole(monkeypatch):
    """Nothing here names the fields of a draw: what a later dimmer draws is kept."""
    from dataclasses import make_dataclass

    longer = make_dataclass("longer", [("balance", float, 1.0)], bases=(Draw,), frozen=True)
    draw = LowLightDraw("linear", longer(1.0, 1.0, 1.0, 3, balance=0.5))
    assert draw.record()["draw"]["balance"] == 0.5
    assert draw.draw.of_frame(1).balance == 0.5
    monkeypatch.setattr("dimmagen.transforms.draws.Draw", longer)
    assert LowLightDraw.from_record(draw.record()) == draw


MISTAKES = {
    "above 1": (LIGHT.astype(np.float32), "float values from .* to 25[0-9]"),
    "below 0": (LIGHT / 255 - 1, "float values from -"),
    "NaN": (np.full((4, 4, 3), np.nan), "nan"),
    "16 bits": (LIGHT.astype(np.uint16) * 257, "uint16"),
    "torch 16 bits": (as_tensor(LIGHT).to(torch.int16), "int16"),
    "one channel": (LIGHT[..., :1], "repeat one channel"),
    "gray": (LIGHT[..., 0], r"shape \(24, 32\)"),
    "alpha": (np.dstack([LIGHT, LIGHT[..., :1]]), "take alpha off"),
    "tensor with channels last": (torch.from_numpy(LIGHT), r"give an RGB image \(3, H, W\)"),
    "PIL gray": (Image.fromarray(LIGHT).convert("L"), 'mode L: call `.convert\\("RGB"\\)`'),
    "PIL RGBA": (Image.fromarray(LIGHT).convert("RGBA"), "mode RGBA"),
    "clip without clips": (np.zeros((2, 2, 4, 4, 3), np.uint8), "clips=True"),
    "empty": (np.zeros((0, 4, 3), np.uint8), r"shape \(0, 4, 3\)"),
    "batch of empty images": (torch.zeros(2, 3, 0, 4), r"shape \(2, 3, 0, 4\)"),
    "nothing": ({"label": 3}, "no image among"),
    "mixed sizes as objects": (np.array([LIGHT, None], dtype=object), "shape"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_an_input_that_cannot_be_darkened_is_refused_with_what_to_do(name):
    value, message = MISTAKES[name]
    with pytest.raises(UsageError, match=message) as caught:
        LowLight("linear")(value)
    assert caught.value.todo


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"profile": "lol33"}, "lol3"),
        ({"profile": []}, "at least one"),
        ({"level": 1.5}, "`level` is 1.5"),
        ({"level": "dark"}, "`level` is 'dark'"),
        ({"gamma": 0}, "gamma is 0"),
        ({"gamma": (1, 2, 3)}, "`gamma`"),
        ({"p": 2}, "`p` is 2"),
        ({"seed": -1}, "`seed` is -1"),
        ({"profile": ["lol3", "linear"], "weights": [1]}, "`weights`"),
        ({"profile": "linear", "weights": [0]}, "`weights`"),
        ({"without": ["lens"]}, "lens"),
        ({"model": "nothing"}, "nothing"),
    ],
)
def test_a_wrong_setting_is_refused_at_once(options, message):
    with pytest.raises(UsageError, match=message):
        LowLight(**options)


def test_keys_and_draws_must_be_as_many_as_the_images():
    low_light, batch = LowLight("linear"), np.stack([LIGHT] * 2)
    with pytest.raises(UsageError, match="1 element for 2 images"):
        low_light(batch, key="one")
    with pytest.raises(UsageError, match="`draw` has 3 elements for 2 images"):
        low_light(batch, draw=[low_light.draw("a")] * 3)
    with pytest.raises(UsageError, match="profile 'lol8', which this transform does not have"):
        low_light(LIGHT, draw=LowLight("lol8").draw("a"))
    with pytest.raises(UsageError, match="not the record"):
        low_light(LIGHT, draw={"gamma": 1})


def test_a_pil_image_keeps_the_orientation_that_is_not_applied_yet():
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.fromarray(LIGHT).save(file, "JPEG", exif=exif)
    with Image.open(file) as photo:
        dark = LowLight("linear")(photo)
    assert dark.getexif()[0x0112] == 6
    assert ImageOps.exif_transpose(dark).size == dark.size[::-1]
