"""Dimming in a training loop gives the same pixels as in the shards."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import dimmagen
from dimmagen.core.errors import UsageError
from dimmagen.dimmers import dimmer
from dimmagen.dimmers.camera.stored import model_files
from dimmagen.dimmers.profile import save_profile
from tests.cameras import camera


@pytest.fixture(scope="module")
def profiles(tmp_path_factory) -> dict[str, str]:
    """A camera, a camera that stores JPEGs, and a formula, by name."""
    folder = tmp_path_factory.mktemp("profiles")
    for name, quality in (("camera", 0), ("jpeg", 80)):
        save_profile(folder / name, [model_files(camera(jpeg_quality=quality))], "camera", {})
    return {"camera": str(folder / "camera"), "jpeg": str(folder / "jpeg"), "linear": "linear"}


@pytest.mark.parametrize("profile", ["camera", "jpeg", "linear"])
def test_online_and_offline_dimming_give_the_same_pixels_for_a_key(profiles, profile):
    lights = np.random.default_rng(0).integers(0, 256, (3, 40, 56, 3), np.uint8)
    keys = [f"folder-{number}" for number in range(3)]
    online = dimmagen.Dimmer.from_profile(profiles[profile])
    batch = torch.from_numpy(lights).permute(0, 3, 1, 2).float() / 255
    dark = online(batch, online.draws(keys, variant=2, seed=5))
    assert dark.dtype == torch.float32
    assert dark.shape == batch.shape
    offline = dimmer.ImageDimmer.from_profile(profiles[profile])
    for light, key, result in zip(lights, keys, dark, strict=True):
        expected = offline.dim(light, offline.draw(key, variant=2, seed=5))
        assert np.array_equal((result * 255).round().to(torch.uint8).permute(1, 2, 0).numpy(), expected)


def test_without_draws_every_call_makes_new_ones_and_torchs_seed_repeats_them(profiles):
    online, light = dimmagen.Dimmer.from_profile(profiles["camera"]), torch.full((2, 3, 8, 8), 0.7)
    torch.manual_seed(3)
    first, second = online(light), online(light)
    assert not torch.equal(first, second)
    assert not torch.equal(first[0], first[1])
    torch.manual_seed(3)
    assert torch.equal(online(light), first)


def test_new_draws_are_of_the_same_generator_whatever_torchs_default_device_is(profiles):
    """Of `torch.set_default_device("cuda")`: here `meta`, which has no numbers."""
    dimmer, light = dimmagen.Dimmer.from_profile(profiles["camera"]), torch.full((2, 3, 8, 8), 0.5)
    torch.manual_seed(6)
    expected = dimmer(light)
    torch.manual_seed(6)
    with torch.device("meta"):
        assert torch.equal(dimmer(light), expected)


def test_a_single_image_or_a_missing_draw_is_refused(profiles):
    online = dimmagen.Dimmer.from_profile(profiles["camera"])
    with pytest.raises(UsageError, match="batch"):
        online(torch.zeros(3, 8, 8))
    with pytest.raises(UsageError, match="1 draws for 2 images"):
        online(torch.zeros(2, 3, 8, 8), online.draws(["one"]))


@pytest.mark.parametrize("profile", ["camera", "jpeg", "linear"])
def test_uint8_is_the_same_images_and_gives_uint8(profiles, profile):
    online = dimmagen.Dimmer.from_profile(profiles[profile])
    light = torch.randint(0, 256, (2, 3, 16, 24), dtype=torch.uint8)
    draws = online.draws(["a", "b"])
    dark = online(light, draws)
    assert dark.dtype == torch.uint8
    assert torch.equal(dark, (online(light.float() / 255, draws) * 255).round().to(torch.uint8))


@pytest.mark.parametrize(
    ("light", "message"),
    [
        (torch.full((1, 3, 8, 8), 1.01), "values from 1.012 to 1.012"),
        (torch.full((1, 3, 8, 8), -0.5), "values from -0.502"),
        (torch.full((1, 3, 8, 8), 128.0), "not 0 to 255"),
        (torch.full((1, 3, 8, 8), float("nan")), "values from nan to nan"),
        (torch.full((1, 3, 8, 8), float("inf")), "to inf"),
        (torch.zeros((1, 3, 8, 8), dtype=torch.int64), "has the dtype int64"),
        (torch.zeros((1, 3, 8, 8), dtype=torch.bool), "has the dtype bool"),
    ],
)
@pytest.mark.parametrize("profile", ["camera", "linear"])
def test_values_that_are_no_images_are_refused(profiles, profile, light, message):
    with pytest.raises(UsageError, match=message):
        dimmagen.Dimmer.from_profile(profiles[profile])(light)


def test_one_value_that_is_not_a_number_is_refused_and_rounding_errors_are_not(profiles):
    online = dimmagen.Dimmer.from_profile(profiles["camera"])
    light = torch.rand(2, 3, 8, 8)
    light[1, 2, 3, 4] = float("nan")
    with pytest.raises(UsageError, match="nan"):
        online(light)
    online(torch.tensor([-1e-4, 1 + 1e-4]).repeat(1, 3, 8, 4))


@pytest.mark.parametrize("profile", ["camera", "jpeg", "linear"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.uint8])
def test_an_empty_batch_gives_an_empty_batch(profiles, profile, dtype):
    dark = dimmagen.Dimmer.from_profile(profiles[profile])(torch.zeros((0, 3, 8, 8), dtype=dtype))
    assert dark.shape == (0, 3, 8, 8)
    assert dark.dtype == dtype


def test_the_offline_dimmer_takes_8_bit_images_only():
    offline = dimmer.ImageDimmer.from_profile("linear")
    draw = offline.draw("image")
    for light in (np.zeros((8, 8, 3)), np.zeros((8, 8), np.uint8), np.zeros((3, 8, 8), np.uint8)):
        with pytest.raises(UsageError, match=r"give one image, uint8 \(H, W, 3\)"):
            offline.dim(light, draw)


def test_a_dimmer_takes_the_options_of_a_profile_and_draws_variant_0_of_seed_0_by_default():
    online = dimmagen.Dimmer.from_profile("linear", gamma_range=(0.5, 0.75), kernel="torch")
    assert (online.kernel, dimmagen.Dimmer.from_profile("linear").kernel) == ("torch", "auto")
    assert dimmagen.Dimmer(online.offline).kernel == "auto"
    offline = dimmer.ImageDimmer.from_profile("linear", gamma_range=(0.5, 0.75))
    assert online.draws(["a", "b"]) == [offline.draw("a", 0, 0), offline.draw("b", 0, 0)]
    assert all(0.5 <= draw.gamma <= 0.75 for draw in online.draws(list("abcdef")))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_dark_images_have_the_dtype_of_the_light_ones_and_levels_of_8_bits(dtype):
    online, light = dimmagen.Dimmer.from_profile("linear"), torch.rand((2, 3, 4, 5), dtype=torch.float64)
    draws = online.draws(["a", "b"])
    levels = online((light * 255).round().to(torch.uint8), draws)
    dark = online(((light * 255).round() / 255).to(dtype), draws)
    assert dark.dtype == dtype
    assert torch.equal(dark, levels.to(dtype) / 255)


@pytest.mark.parametrize("shape", [(3, 3, 8), (1, 4, 8, 8), (1, 3, 8, 8, 1)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(UsageError, match="give a batch") as error:
        dimmagen.Dimmer.from_profile("linear")(torch.zeros(shape))
    assert error.value.fields == {"parameter": "light", "shape": shape}


def test_the_kernel_is_named_to_a_model_where_it_was_chosen():
    class Noting:
        on_device, develops = True, False

        def expose_tensors(self, lights, draws, **options):
            asked.append((draws, options))
            return lights

    asked, light = [], torch.zeros((1, 3, 2, 2), dtype=torch.uint8)
    for kernel in ("auto", "torch"):
        online = dimmagen.Dimmer(dimmer.ImageDimmer.from_profile("linear"), kernel)
        online.offline = SimpleNamespace(model=Noting(), draw=lambda *given: given)
        online(light, ["draw"])
    assert asked == [(["draw"], {}), (["draw"], {"kernel": "torch"})]


@pytest.mark.parametrize(("name", "value"), [("variant", -1), ("seed", "x"), ("keys", 5)])
def test_what_is_no_variant_seed_or_keys_is_refused_by_its_name(name, value):
    online = dimmagen.Dimmer.from_profile("linear")
    with pytest.raises(UsageError, match=f"`{name}`") as error:
        online.draws(**{"keys": ["a"], name: value})
    assert error.value.fields["parameter"] == name
