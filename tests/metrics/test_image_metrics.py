"""Each metric agrees with a direct computation, an independent implementation or a published value."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.optimize import brentq
from scipy.signal import convolve2d
from scipy.special import gamma
from skimage import data

from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.images.codec import decode_rgb8
from dimmagen.metrics import image
from dimmagen.metrics.niqe import PristineModel, niqe

DRAWS = np.random.default_rng(5)


@pytest.fixture(scope="module")
def images():
    truth = data.astronaut()[100:180, 150:250]
    noise = DRAWS.normal(0, 12, truth.shape)
    return np.rint(truth * 0.9 + 10 + noise).clip(0, 255).astype(np.uint8), truth


def test_psnr_is_computed_from_the_8_bit_error_over_all_channels():
    truth = np.zeros((2, 2, 3), np.uint8)
    output = truth.copy()
    output[0, 0, 0] = 12
    assert image.psnr(output, truth) == pytest.approx(20 * np.log10(255 / np.sqrt(144 / 12)))
    assert image.psnr(truth, truth) == float("inf")


def ssim_by_definition(one, other):
    """Wang et al. 2004, Equation 13 with their window, constants and 'valid' borders."""
    line = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    mean = lambda values: convolve2d(values, window, mode="valid")  # noqa: E731
    one, other = one.astype(float), other.astype(float)
    mean_one, mean_other = mean(one), mean(other)
    variance_one, variance_other = mean(one**2) - mean_one**2, mean(other**2) - mean_other**2
    covariance = mean(one * other) - mean_one * mean_other
    first, second = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similarity = (2 * mean_one * mean_other + first) * (2 * covariance + second)
    similarity /= (mean_one**2 + mean_other**2 + first) * (variance_one + variance_other + second)
    return similarity.mean()


def test_ssim_agrees_with_its_definition(images):
    output, truth = images
    luma = [rgb @ [0.299, 0.587, 0.114] for rgb in images]
    channels = [ssim_by_definition(output[..., channel], truth[..., channel]) for channel in range(3)]
    assert image.ssim_gray(output, truth) == pytest.approx(ssim_by_definition(*luma), abs=1e-6)
    assert image.ssim_rgb(output, truth) == pytest.approx(np.mean(channels), abs=1e-6)


def lab_by_definition(rgb):
    """sRGB (IEC 61966-2-1) to CIELAB under D65, 2 degrees."""
    value = rgb / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    matrix = [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
    xyz = linear @ np.transpose(matrix) / [0.95047, 1.0, 1.08883]
    root = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def ciede2000_by_definition(one, other):
    """Sharma, Wu and Dalal (2005), their Equations 2 to 22; angles in degrees."""
    light1, a1, b1 = np.moveaxis(np.asarray(one, float), -1, 0)
    light2, a2, b2 = np.moveaxis(np.asarray(other, float), -1, 0)
    seventh = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    stretch = 1.5 - 0.5 * np.sqrt(seventh / (seventh + 25.0**7))
    chroma1, chroma2 = np.hypot(stretch * a1, b1), np.hypot(stretch * a2, b2)
    hue1, hue2 = (np.degrees(np.arctan2(b, stretch * a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = hue2 - hue1
    turn = np.where(turn > 180, turn - 360, np.where(turn < -180, turn + 360, turn))
    gray = chroma1 * chroma2 == 0
    hue_difference = 2 * np.sqrt(chroma1 * chroma2) * np.sin(np.radians(np.where(gray, 0, turn) / 2))
    light, chroma, hue = (light1 + light2) / 2, (chroma1 + chroma2) / 2, (hue1 + hue2) / 2
    hue = np.where(np.abs(hue1 - hue2) > 180, np.where(hue1 + hue2 < 360, hue + 180, hue - 180), hue)
    hue = np.where(gray, hue1 + hue2, hue)
    cosine = lambda angle: np.cos(np.radians(angle))  # noqa: E731
    tone = 1 - 0.17 * cosine(hue - 30) + 0.24 * cosine(2 * hue)
    tone += 0.32 * cosine(3 * hue + 6) - 0.20 * cosine(4 * hue - 63)
    rotation = -np.sin(np.radians(60 * np.exp(-(((hue - 275) / 25) ** 2))))
    rotation *= 2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7))
    scale_light = 1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2)
    first = (light2 - light1) / scale_light
    second = (chroma2 - chroma1) / (1 + 0.045 * chroma)
    third = hue_difference / (1 + 0.015 * chroma * tone)
    return np.sqrt(first**2 + second**2 + third**2 + rotation * second * third)


@pytest.mark.parametrize(
    ("one", "other", "published"),
    [
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, 3.1571, -77.2803), (50.0, 0.0, -82.7485), 2.8615),
        ((50.0, 2.5, 0.0), (50.0, 0.0, -2.5), 4.3065),
        ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_the_definition_of_ciede2000_gives_the_published_values(one, other, published):
    assert ciede2000_by_definition(one, other) == pytest.approx(published, abs=1e-4)


def test_colour_differences_agree_with_their_definitions(images):
    one, other = (lab_by_definition(rgb) for rgb in images)
    expected = np.linalg.norm(one - other, axis=-1).mean()
    assert image.delta_e76(*images) == pytest.approx(expected, rel=1e-3)
    expected = ciede2000_by_definition(other, one).mean()
    assert image.delta_e2000(*images) == pytest.approx(expected, rel=1e-3)


def test_gt_mean_gives_the_output_the_mean_luma_of_the_truth(images):
    _, truth = images
    darker = truth // 3
    scaled = image.scaled_to_mean(darker, truth)
    assert scaled.dtype == np.uint8
    assert image.gray(scaled).mean() == pytest.approx(image.gray(truth).mean(), rel=0.01)
    assert image.scaled_to_mean(np.zeros_like(truth), truth).max() == 0


@pytest.mark.parametrize(("colour", "luma"), [((20, 60, 40), 45.76), ((30, 10, 80), 23.96)])
def test_gt_mean_uses_rec601_luma_also_if_output_and_truth_differ_in_hue(colour, luma):
    """The mean of R, G and B is 40 for both colours."""
    truth, output = np.full((8, 8, 3), 100, np.uint8), np.tile(np.uint8(colour), (8, 8, 1))
    expected = np.clip(np.rint(np.array(colour) * 100 / luma), 0, 255)
    np.testing.assert_array_equal(image.scaled_to_mean(output, truth)[0, 0], expected)


def niqe_window():
    line = np.exp(-(np.arange(-3, 4) ** 2) / (2 * (7 / 6) ** 2))
    return np.outer(line, line) / line.sum() ** 2


def asymmetric_gaussian_by_definition(values):
    """Lasmar, Stitou and Berthoumieu 2009: shape, left and right scale by moment matching."""
    left, right = (np.sqrt((side**2).mean()) for side in (values[values < 0], values[values > 0]))
    balance = left / right
    target = np.abs(values).mean() ** 2 / (values**2).mean()
    target *= (balance**3 + 1) * (balance + 1) / (balance**2 + 1) ** 2
    shape = brentq(lambda a: gamma(2 / a) ** 2 / (gamma(1 / a) * gamma(3 / a)) - target, 0.15, 12)
    scale = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
    return shape, left * scale, right * scale


def niqe_features_by_definition(rgb):
    """Mittal, Soundararajan and Bovik 2013: 36 features of each block of 96x96 pixels, at two scales."""
    rows, columns = (side // 96 for side in rgb.shape[:2])
    luma = rgb[: 96 * rows, : 96 * columns] @ [65.481, 128.553, 24.966] / 255 + 16
    features = [[] for _ in range(rows * columns)]
    for plane, size in ((np.rint(luma), 96), (halved_by_definition(np.rint(luma)), 48)):
        padded = np.pad(plane, 3, mode="edge")
        mean = convolve2d(padded, niqe_window(), mode="valid")
        square = convolve2d(padded**2, niqe_window(), mode="valid")
        normal = (plane - mean) / (np.sqrt(np.abs(square - mean**2)) + 1)
        for index, listed in enumerate(features):
            top, left = size * (index % rows), size * (index // rows)
            block = normal[top : top + size, left : left + size]
            shape, low, high = asymmetric_gaussian_by_definition(block)
            listed += [shape, (low + high) / 2]
            for down, across in ((0, 1), (1, 0), (1, 1), (1, -1)):
                product = block * np.roll(block, (down, across), (0, 1))
                shape, low, high = asymmetric_gaussian_by_definition(product)
                listed += [shape, (high - low) * gamma(2 / shape) / gamma(1 / shape), low, high]
    return np.array(features)


def halved_by_definition(plane):
    """Half the size by Keys' cubic (a = -1/2), stretched by two against aliasing, with mirrored edges."""

    def keys(x):
        x = np.abs(x)
        return np.where(
            x <= 1, 1.5 * x**3 - 2.5 * x**2 + 1, np.where(x < 2, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2, 0)
        )

    def along_rows(values):
        weights = keys((np.arange(8) - 3.5) / 2) / 2
        padded = np.pad(values, ((3, 4), (0, 0)), mode="symmetric")
        return sum(w * padded[k : k + len(values) : 2] for k, w in enumerate(weights))

    return along_rows(along_rows(plane).T).T


def undistorted_images():
    return [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]


@pytest.fixture(scope="module")
def pristine():
    """A NIQE model of images that scikit-image ships; the published one is of other images."""
    features = np.concatenate([niqe_features_by_definition(rgb) for rgb in undistorted_images()])
    usable = features[np.isfinite(features).all(axis=1)]
    return PristineModel(usable.mean(0), np.cov(usable, rowvar=False), niqe_window())


def test_niqe_agrees_with_its_definition(pristine):
    rgb = data.astronaut()[100:320, 50:460]  # 2 x 4 blocks, and a remainder
    features = niqe_features_by_definition(rgb)
    difference = pristine.mean - features.mean(0)
    pooled = (pristine.covariance + np.cov(features, rowvar=False)) / 2
    expected = np.sqrt(difference @ np.linalg.pinv(pooled) @ difference)
    assert niqe(rgb, pristine) == pytest.approx(expected, rel=2e-3)


def test_niqe_is_worse_for_noisy_blurred_and_dark_images(pristine):
    undistorted = data.coffee()
    noise = np.random.default_rng(0).normal(0, 25, undistorted.shape)
    worse = {
        "noise": undistorted + noise,
        "blur": gaussian_filter(undistorted.astype(float), (3, 3, 0)),
        "dark": undistorted * 0.05 + noise / 12,
    }
    good = niqe(undistorted, pristine)
    for name, distorted in worse.items():
        assert niqe(np.rint(distorted).clip(0, 255).astype(np.uint8), pristine) > 1.3 * good, name


def test_a_saved_niqe_model_is_read_back(pristine, tmp_path):
    arrays = {"mu_pris_param": pristine.mean[None], "cov_pris_param": pristine.covariance}
    np.savez(tmp_path / "model.npz", gaussian_window=pristine.window, **arrays)
    assert niqe(data.coffee(), PristineModel.load(tmp_path / "model.npz")) == niqe(data.coffee(), pristine)


@pytest.mark.parametrize(
    ("name", "basicsr"), [("high/482", 4.63003), ("low/482", 8.99937), ("high/97", 3.93125)]
)
def test_niqe_agrees_with_basicsr(shared_data, name, basicsr):
    """The expected values were computed with `calculate_niqe` of BasicSR 1.4.2 on the rounded luma."""
    published = PristineModel.load(shared_data / "weights" / "niqe_pris_params.npz")
    pixels = decode_rgb8((shared_data / "lol" / "dev15" / f"{name}.png").read_bytes())[0]
    assert niqe(pixels, published) == pytest.approx(basicsr, rel=1e-3)


def test_niqe_of_an_image_without_structure_is_nan(pristine):
    assert np.isnan(niqe(np.full((200, 300, 3), 255, np.uint8), pristine))


def test_niqe_refuses_an_image_that_is_too_small_for_statistics(pristine):
    with pytest.raises(UsageError, match="192x192"):
        niqe(np.zeros((191, 300, 3), np.uint8), pristine)


def test_a_missing_niqe_model_and_a_file_with_other_content_are_reported(tmp_path):
    with pytest.raises(UsageError, match="no NIQE model"):
        PristineModel.load(tmp_path / "absent.npz")
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))
    with pytest.raises(DimmagenError, match="not a NIQE model"):
        PristineModel.load(tmp_path / "other.npz")
