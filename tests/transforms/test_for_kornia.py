"""LowLight among kornia's augmentations."""

import numpy as np
import pytest
import torch

from dimmagen.core.errors import UsageError
from dimmagen.transforms import LowLight

K = pytest.importorskip("kornia.augmentation", reason="no kornia: pip install 'dimmagen[kornia]'")

BATCH = torch.full((4, 3, 24, 32), 0.7)


def test_a_batch_gets_the_pixels_of_a_data_set(made_pairs):
    low_light = LowLight("lol3", gamma=(0.5, 4.0), seed=5)
    for pair in made_pairs:
        light = torch.from_numpy(pair.light).permute(2, 0, 1)[None].float() / 255
        dark = low_light.for_kornia()(light, draws=[low_light.draw(pair.key, pair.variant)])
        assert np.array_equal((dark[0] * 255).round().permute(1, 2, 0).numpy(), pair.dark)


def test_a_draw_that_is_given_twice_gives_the_same_image_twice():
    low_light = LowLight("lol3")
    dark = low_light.for_kornia()(BATCH[:2], draws=[low_light.draw("image").record()] * 2)
    assert torch.equal(dark[0], dark[1])
    assert torch.equal(dark[:1], low_light(BATCH[:1], key=["image"]))


def test_each_image_has_a_draw_and_torchs_seed_and_the_parameters_repeat_them():
    module = LowLight("lol3").for_kornia()
    torch.manual_seed(2)
    dark = module(BATCH)
    assert len({draw.draw.gamma for draw in module.last_draws()}) == 4
    assert torch.equal(module(BATCH, params=module._params), dark)
    torch.manual_seed(2)
    assert torch.equal(module(BATCH), dark)


@pytest.mark.parametrize("same_on_batch", [False, True])
def test_an_empty_batch_stays_empty_as_with_kornias_own(same_on_batch):
    module = LowLight("lol3").for_kornia(same_on_batch)
    assert module(torch.zeros(0, 3, 8, 6)).shape == (0, 3, 8, 6)
    assert module.last_draws() == []


def test_draws_are_in_the_main_memory_whatever_torchs_default_device_is():
    """Of `torch.set_default_device("cuda")`: here `meta`, which has no numbers."""
    module = LowLight("lol3").for_kornia()
    with torch.device("meta"):
        module._params = module.forward_parameters((2, 3, 8, 8))
        assert len(set(module.last_draws())) == 2


def test_boxes_and_masks_stay_in_a_sequence():
    boxes, mask = torch.tensor([[[1.0, 2, 9, 5]]] * 4), torch.zeros(4, 1, 24, 32)
    mask[:, :, 2:5, 1:9] = 1
    sequence = K.AugmentationSequential(
        LowLight("linear").for_kornia(), data_keys=["input", "bbox_xyxy", "mask"]
    )
    dark, same_boxes, same_mask = sequence(BATCH, boxes, mask)
    assert dark.mean() < BATCH.mean() - 0.02
    assert torch.equal(same_boxes, boxes)
    assert torch.equal(same_mask, mask)


def test_p_is_drawn_by_kornia():
    torch.manual_seed(0)
    dark = LowLight("linear", p=0.25).for_kornia()(BATCH.repeat(25, 1, 1, 1))
    light = (dark == BATCH[:1]).flatten(1).all(1)
    assert 60 <= int(light.sum()) <= 90


def test_a_kornia_that_gives_only_the_images_that_are_to_be_dark_gets_the_same_ones():
    torch.manual_seed(0)
    module = LowLight("linear", p=0.5).for_kornia()
    dark = module(BATCH)
    applied = module._params["batch_prob"] > 0.5
    assert 0 < applied.sum() < len(BATCH)
    assert len(module.last_draws()) == len(BATCH)
    assert torch.equal(module.apply_transform(BATCH[applied], module._params, {}), dark[applied])


def test_images_with_one_draw_and_the_frames_of_a_clip_share_all_but_the_noise():
    module = LowLight("lol3").for_kornia(same_on_batch=True)
    dark = module(BATCH)
    assert len(set(module.last_draws())) == 1
    clips = K.VideoSequential(LowLight("lol3").for_kornia(), data_format="BTCHW", same_on_frame=True)
    frames = clips(BATCH[:, None].repeat(1, 3, 1, 1, 1))
    for shown in (dark, frames[0]):
        means = shown.mean((1, 2, 3))
        assert torch.allclose(means, means.mean(), atol=0.004)
        assert not torch.equal(shown[0], shown[1])
    assert frames.mean((1, 2, 3, 4)).std() > 0.01


def test_settings_that_are_not_for_a_module_and_wrong_values_are_refused():
    with pytest.raises(UsageError, match="`pairs`"):
        LowLight("linear", pairs=True).for_kornia()
    for p in (1, 0.5):
        with pytest.raises(UsageError, match="1 draws for 4 images"):
            LowLight("linear", p=p).for_kornia()(BATCH, draws=[LowLight("linear").draw("a")])
    with pytest.raises(UsageError, match=r"float values from .* to 1\.7"):
        LowLight("linear").for_kornia()(BATCH + 1)
