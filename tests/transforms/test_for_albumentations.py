"""LowLight in pipelines of albumentations."""

import json

import numpy as np
import pytest

from dimmagen.core.errors import UsageError
from dimmagen.transforms import LowLight, LowLightDraw

A = pytest.importorskip("albumentations", reason="no albumentations: pip install 'dimmagen[albumentations]'")

LIGHT = np.random.default_rng(0).integers(60, 256, (24, 32, 3), np.uint8)


def test_an_image_gets_the_pixels_of_a_data_set(made_pairs):
    pair = next(pair for pair in made_pairs if pair.variant == 0)
    low_light = LowLight("lol3", gamma=(0.5, 4.0), seed=5, key_from="light_key")
    pipeline = A.Compose([low_light.for_albumentations()])
    assert np.array_equal(pipeline(image=pair.light, light_key=pair.key)["image"], pair.dark)
    as_float = pipeline(image=np.float32(pair.light / 255), light_key=pair.key)["image"]
    assert as_float.dtype == np.float32
    assert np.array_equal(np.rint(as_float * 255), pair.dark)


def test_boxes_masks_and_keypoints_stay_and_move_with_the_other_steps_only():
    mask = np.zeros((24, 32), np.uint8)
    mask[2:5, 1:9] = 3
    data = {
        "image": LIGHT,
        "mask": mask,
        "bboxes": np.array([[1.0, 2, 9, 5]]),
        "keypoints": np.array([[3.0, 4]]),
        "labels": ["cat"],
    }
    parameters = {
        "bbox_params": A.BboxParams("pascal_voc", label_fields=["labels"]),
        "keypoint_params": A.KeypointParams("xy"),
    }
    flip = A.HorizontalFlip(p=1)
    low_light = LowLight("lol3").for_albumentations()
    dark = A.Compose([flip, low_light], **parameters, seed=0)(**data)
    plain = A.Compose([flip], **parameters, seed=0)(**data)
    for name in ("mask", "bboxes", "keypoints"):
        assert np.array_equal(dark[name], plain[name])
    assert dark["labels"] == ["cat"]
    assert dark["image"].mean() < LIGHT.mean() - 5


def test_the_seed_of_the_pipeline_repeats_its_images():
    def images(seed: int) -> list[bytes]:
        pipeline = A.Compose([LowLight("lol3").for_albumentations()], seed=seed)
        return [pipeline(image=LIGHT)["image"].tobytes() for _ in range(3)]

    first = images(3)
    assert len(set(first)) == 3
    assert images(3) == first
    assert set(images(4)).isdisjoint(first)


def test_p_is_drawn_by_albumentations():
    pipeline = A.Compose([LowLight("linear", p=0.25, return_draw=True).for_albumentations()], seed=0)
    outs = [pipeline(image=LIGHT) for _ in range(100)]
    light = [np.array_equal(out["image"], LIGHT) for out in outs]
    assert 60 <= sum(light) <= 90
    assert [out["low_light_draw"] is None for out in outs] == light


@pytest.mark.parametrize("p", [0.5, 1.0])
def test_replay_gives_the_same_image(p):
    steps = [A.HorizontalFlip(p=0.5), LowLight(["lol3", "linear"], p=p).for_albumentations()]
    pipeline = A.ReplayCompose(steps)
    pipeline.set_random_seed(0)
    for _ in range(8):
        out = pipeline(image=LIGHT)
        stored = json.loads(json.dumps(out["replay"]))
        assert np.array_equal(A.ReplayCompose.replay(stored, image=LIGHT)["image"], out["image"])


def test_a_stored_pipeline_is_loaded_with_its_settings():
    low_light = LowLight(
        ["lol3", "lol8"], weights=[1, 3], level=(0.2, 0.9), temperature=0.5, without=["tails"], p=0.7, seed=9
    )
    stored = json.loads(json.dumps(A.to_dict(A.Compose([low_light.for_albumentations()], seed=1))))
    again = A.from_dict(stored)
    again.set_random_seed(4)
    pipeline = A.Compose([low_light.for_albumentations()], seed=4)
    for _ in range(5):
        assert np.array_equal(again(image=LIGHT)["image"], pipeline(image=LIGHT)["image"])
    with pytest.raises(UsageError, match="curriculum cannot be stored"):
        A.to_dict(A.Compose([LowLight("lol3", level=lambda step: 0.5).for_albumentations()]))


def test_pairs_and_draws_are_entries_of_the_result():
    pipeline = A.Compose([LowLight("lol3", pairs=True, return_draw=True).for_albumentations()], seed=0)
    out = pipeline(image=LIGHT)
    assert np.array_equal(out["light"], LIGHT)
    draw = LowLightDraw.from_record(out["low_light_draw"])
    assert np.array_equal(LowLight("lol3")(LIGHT, draw=draw), out["image"])
    untouched = A.Compose([LowLight("lol3", pairs=True, p=0.0).for_albumentations()])(image=LIGHT)
    assert np.array_equal(untouched["light"], LIGHT)


def test_the_frames_of_images_are_those_of_a_clip():
    clip = np.stack([LIGHT] * 3)
    step = LowLight("lol3", return_draw=True).for_albumentations()
    out = A.Compose([step], seed=0)(images=clip)
    expected = LowLight("lol3", clips=True)(clip, draw=out["low_light_draw"])
    assert np.array_equal(out["images"], expected)
    assert not np.array_equal(expected[0], expected[1])


def test_a_curriculum_follows_the_step_of_the_object_that_it_was_made_from():
    low_light = LowLight("lol3", level=lambda step: min(1.0, step / 10), return_draw=True)
    pipeline = A.Compose([low_light.for_albumentations()])
    assert pipeline(image=LIGHT)["low_light_draw"]["draw"]["gamma"] == pytest.approx(2.0)
    low_light.step = 10
    assert pipeline(image=LIGHT)["low_light_draw"]["draw"]["gamma"] == pytest.approx(0.3)


def test_a_gray_image_is_refused_with_what_to_do():
    with pytest.raises(UsageError, match="RGB"):
        A.Compose([LowLight("linear").for_albumentations()])(image=LIGHT[..., 0])
