"""Can a classifier distinguish synthetic dark patches from real ones?

A classifier two-sample test (Lopez-Paz and Oquab, "Revisiting classifier two-sample tests", ICLR 2017): a
logistic regression on features of 32x32 patches, cross-validated by image. An AUC of 0.5 means that it
cannot, 1 that it always can.
"""

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import rankdata

from dimmagen.metrics.realism.noise import residual

PATCH = 32
FOLDS = 5
_WEIGHT_DECAY = 1e-3  # of the mean log loss, on standardised features
_TINY = 1e-6

# Green against red and blue, and red against blue; with luma, an orthogonal basis of the colour space.
_OPPONENTS = np.array([[-0.5, 1.0, -0.5], [1.0, 0.0, -1.0]], np.float32)


def patch_features(dark: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Describe every 32x32 patch of a dark image by its colours and its noise.

    Args:
        dark, light: uint8 (H, W, 3), RGB, aligned; edges beyond the last whole patch are ignored.

    Returns:
        float64 (patches, 22). Of the colours: log means, log ratio to the light image's mean, difference of
        red's and green's share from the light image, share of black values. Of the residual x - G_1.5(x): log
        standard deviation, skewness and kurtosis of luma and two opponent colours, autocorrelation at lags 1
        and 2, correlation of the channels.
    """
    image = dark.astype(np.float32)
    colours = _patches(image)
    light_mean = _patches(light.astype(np.float32)).mean((1, 2))
    mean = colours.mean((1, 2))
    noise = _patches(residual(image))
    parts = [noise.mean(3), *(noise @ opponent for opponent in _OPPONENTS)]
    columns = [
        *np.log(mean + 0.5).T,
        np.log((mean.mean(1) + 0.5) / (light_mean.mean(1) + 0.5)),
        *(_shares(mean) - _shares(light_mean)).T,
        (colours == 0).mean((1, 2, 3)),
        *(moment for part in parts for moment in _moments(part)),
        *_lags(parts[0], (1, 2)),
        *_lags(parts[1], (1,)),
        *_correlations(noise),
    ]
    return np.stack(columns, axis=1).astype(np.float64)


def two_sample_auc(real: list[np.ndarray], synthetic: list[np.ndarray]) -> np.ndarray:
    """How well a classifier distinguishes synthetic from real patches of images that it was not fitted on.

    Args:
        real, synthetic: for each image, float (patches, features), from :func:`patch_features`.

    Returns:
        float64 (images,): the area under the ROC curve for each image, by a classifier fitted to the images
        of the other folds.

    Raises:
        ValueError: there are fewer than two images, so no image can be held out.
    """
    images = len(real)
    if images < 2:
        raise ValueError("the two-sample test needs at least two images")
    fold = np.arange(images) % min(FOLDS, images)
    areas = np.empty(images)
    for held_out in range(fold.max() + 1):
        fitting = np.flatnonzero(fold != held_out)
        features = np.concatenate([group[i] for group in (real, synthetic) for i in fitting])
        count = sum(len(real[i]) for i in fitting)
        labels = np.where(np.arange(len(features)) < count, 0.0, 1.0)
        score = _fit_classifier(features, labels)
        for i in np.flatnonzero(fold == held_out):
            areas[i] = area_under_roc(score(real[i]), score(synthetic[i]))
    return areas


def area_under_roc(negative: np.ndarray, positive: np.ndarray) -> float:
    """Probability that a positive scores above a negative one; ties count half (Mann-Whitney U).

    Args:
        negative, positive: float (N,) and (M,), scores of the two classes.
    """
    ranks = rankdata(np.concatenate([positive, negative]))[: len(positive)].sum()
    return float((ranks - len(positive) * (len(positive) + 1) / 2) / (len(positive) * len(negative)))


def _fit_classifier(features: np.ndarray, labels: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Logistic regression on the features, their squares and their products with the log luma."""
    centre, spread = features.mean(0), features.std(0) + _TINY

    def expand(raw: np.ndarray) -> np.ndarray:
        z = np.clip((raw - centre) / spread, -5, 5)
        brightness = z[:, 1:2]  # of green, the channel nearest to luma
        return np.hstack([z, z**2 - 1, z * brightness, np.ones((len(z), 1))])

    design, signs = expand(features), 2 * labels - 1

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margin = signs * (design @ weights)
        gradient = -(design.T @ (signs * expit(-margin))) / len(signs) + _WEIGHT_DECAY * weights
        return float(np.logaddexp(0, -margin).mean() + _WEIGHT_DECAY / 2 * weights @ weights), gradient

    fitted = minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 200})
    return lambda raw: expand(raw) @ fitted.x


def _patches(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) -> (patches, 32, 32, 3)."""
    rows, columns = image.shape[0] // PATCH, image.shape[1] // PATCH
    cut = image[: rows * PATCH, : columns * PATCH].reshape(rows, PATCH, columns, PATCH, 3)
    return cut.swapaxes(1, 2).reshape(-1, PATCH, PATCH, 3)


def _shares(mean: np.ndarray) -> np.ndarray:
    return mean[:, :2] / (mean.sum(1, keepdims=True) + 1.5)


def _moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log standard deviation, skewness and excess kurtosis of patches: (N, 32, 32) -> (N,) each."""
    centred = values - values.mean((1, 2), keepdims=True)
    variance = (centred**2).mean((1, 2)) + _TINY
    skewness = (centred**3).mean((1, 2)) / variance**1.5
    kurtosis = (centred**4).mean((1, 2)) / variance**2 - 3
    return np.log(variance) / 2, np.arcsinh(skewness), np.arcsinh(kurtosis)


def _lags(values: np.ndarray, lags: tuple[int, ...]) -> list[np.ndarray]:
    power = (values**2).mean((1, 2)) + _TINY
    across = [(values[:, :, lag:] * values[:, :, :-lag]).mean((1, 2)) / power for lag in lags]
    down = [(values[:, lag:] * values[:, :-lag]).mean((1, 2)) / power for lag in lags]
    return [(a + d) / 2 for a, d in zip(across, down, strict=True)]


def _correlations(noise: np.ndarray) -> list[np.ndarray]:
    power = (noise**2).mean((1, 2)) + _TINY
    pairs = ((0, 1), (0, 2), (1, 2))
    return [
        (noise[..., a] * noise[..., b]).mean((1, 2)) / np.sqrt(power[:, a] * power[:, b]) for a, b in pairs
    ]
