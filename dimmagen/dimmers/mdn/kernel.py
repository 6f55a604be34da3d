"""The MDN dimmer's hot loop: uint8 light pixels -> uint8 dark pixels, compiled, for one thread.

It computes the definition in :func:`dimmagen.dimmers.mdn.definition.dim_plainly`. Pixels are processed in
tiles that stay in the fastest cache, with one plane per value, so that every step handles 8 pixels at once.
Exponentials and logarithms are written as products and sums: library functions differ in the last bit between
machines.
"""

import numpy as np

from dimmagen.core.compiled import jit
from dimmagen.core.philox import philox4x32
from dimmagen.dimmers.mdn.dense import COLUMNS, ROWS, dense_block

TILE = 4 * COLUMNS
_F = np.float32
_ZERO, _ONE, _HALF, _WHITE, _LOWEST = _F(0), _F(1), _F(0.5), _F(765), _F(-np.inf)

# Index of the first pixel of each group of planes in the workspace; one plane of TILE pixels per value.
_INPUT = 0  # 5: the light image's colour map, its illumination, the dark image's illumination
_UNIFORM = 5 * TILE  # 3
_NORMAL = 8 * TILE  # 4: colours, illumination
_COLOUR = 12 * TILE  # 3: the dark image's
_ODD = 15 * TILE  # 32: hidden layers 1 and 3
_HEAD = 47 * TILE  # 36: hidden layer 2, then means, raw deviations, logits: each (channel, component)
_MEAN, _RAW, _LOGIT = _HEAD, _HEAD + 12 * TILE, _HEAD + 24 * TILE
_WORKSPACE = 83 * TILE

_jit = jit(fastmath={"contract"}, error_model="numpy")
_inline = jit(fastmath={"contract"}, error_model="numpy", inline="always")


@_jit
def dim_pixels(light, dark, weights, sigma_floor, phi_mean, phi_std, quantiles, key):
    """Dim pixels, with colours drawn from the mixtures.

    Args:
        light, dark: uint8 (N, 3), RGB, C-contiguous; `dark` receives the result.
        weights: the network's tensors, in the order of `MdnFiles.NETWORK_SHAPES`.
        sigma_floor: float32, added to the mixtures' standard deviations.
        phi_mean, phi_std: float32 (256,), mean and standard deviation of L_dark / L_light at each light
            level.
        quantiles: float32 (65536,), of the standard normal.
        key: (low, high), Philox's two 32-bit words.
    """
    work = np.zeros(_WORKSPACE, np.float32)
    for start in range(0, light.shape[0], TILE):
        count = min(TILE, light.shape[0] - start)
        _draw(work, start, quantiles, key)
        _inputs(light[start : start + count], phi_mean, phi_std, work)
        _network(weights, work)
        _sample(work, 0, sigma_floor)
        _sample(work, 1, sigma_floor)
        _sample(work, 2, sigma_floor)
        _finish(work, dark[start : start + count])


@_jit
def dim_expected(light, dark, weights, phi_mean):
    """Dim pixels with the mixtures' mean colours and no noise; arguments as for :func:`dim_pixels`."""
    work = np.zeros(_WORKSPACE, np.float32)
    for start in range(0, light.shape[0], TILE):
        count = min(TILE, light.shape[0] - start)
        _inputs(light[start : start + count], phi_mean, phi_mean, work)  # the normals are all 0
        _network(weights, work)
        _expect(work, 0)
        _expect(work, 1)
        _expect(work, 2)
        _finish(work, dark[start : start + count])


@_jit
def _draw(work, start, quantiles, key):
    """The eight 16-bit words of each pixel: three uniforms for components, four normals, one unused."""
    k0, k1 = key
    zero, low, high = np.uint32(0), np.uint32(0xFFFF), np.uint32(16)
    for p in range(TILE):
        a, b, c, d = philox4x32(np.uint32(start + p), zero, zero, zero, k0, k1)
        work[_UNIFORM + p] = (_F(a & low) + _HALF) * _F(1 / 65536)
        work[_UNIFORM + TILE + p] = (_F(a >> high) + _HALF) * _F(1 / 65536)
        work[_UNIFORM + 2 * TILE + p] = (_F(b & low) + _HALF) * _F(1 / 65536)
        work[_NORMAL + p] = quantiles[b >> high]
        work[_NORMAL + TILE + p] = quantiles[c & low]
        work[_NORMAL + 2 * TILE + p] = quantiles[c >> high]
        work[_NORMAL + 3 * TILE + p] = quantiles[d & low]


@_jit
def _inputs(light, phi_mean, phi_std, work):
    """Colour map, illumination, and the dark image's illumination: planes of the network's input."""
    for p in range(light.shape[0]):
        red, green, blue = np.int32(light[p, 0]), np.int32(light[p, 1]), np.int32(light[p, 2])
        total = red + green + blue
        level = (total + 1) // 3
        phi = phi_mean[level] + phi_std[level] * work[_NORMAL + 3 * TILE + p]
        lift = np.int32(total == 0)  # black has no colour and counts as gray
        share = _ONE / _F(total + 3 * lift)
        illumination = _F(total) / _WHITE
        work[_INPUT + p] = _F(red + lift) * share
        work[_INPUT + TILE + p] = _F(green + lift) * share
        work[_INPUT + 2 * TILE + p] = _F(blue + lift) * share
        work[_INPUT + 3 * TILE + p] = illumination
        work[_INPUT + 4 * TILE + p] = min(max(phi, _ZERO), _ONE) * illumination


@_jit
def _network(weights, work):
    """The 36 parameters of each pixel's mixtures."""
    w0, b0, w1, b1, w2, b2, w3, b3 = weights
    _dense(w0, b0, _ZERO, work, _INPUT, _ODD)
    _dense(w1, b1, _ZERO, work, _ODD, _HEAD)
    _dense(w2, b2, _ZERO, work, _HEAD, _ODD)
    _dense(w3, b3, _LOWEST, work, _ODD, _HEAD)


@_jit
def _dense(weight, bias, floor, work, source, target):
    for column in range(0, TILE, COLUMNS):
        for row in range(0, weight.shape[0], ROWS):
            to = target + row * TILE + column
            dense_block(weight, bias, row, floor, work, source + column, to, TILE)  # type: ignore[call-arg]


@_inline
def _sample(work, channel, sigma_floor):
    """Choose a component by its weight, draw from its Gaussian, clip at 0."""
    four, one = 4 * TILE * channel, TILE * channel
    for p in range(TILE):
        l0, l1 = work[_LOGIT + four + p], work[_LOGIT + four + TILE + p]
        l2, l3 = work[_LOGIT + four + 2 * TILE + p], work[_LOGIT + four + 3 * TILE + p]
        top = max(max(l0, l1), max(l2, l3))
        first = _exp(l0 - top)
        second = first + _exp(l1 - top)
        third = second + _exp(l2 - top)
        target = work[_UNIFORM + one + p] * (third + _exp(l3 - top))
        m0, m1 = work[_MEAN + four + p], work[_MEAN + four + TILE + p]
        m2, m3 = work[_MEAN + four + 2 * TILE + p], work[_MEAN + four + 3 * TILE + p]
        r0, r1 = work[_RAW + four + p], work[_RAW + four + TILE + p]
        r2, r3 = work[_RAW + four + 2 * TILE + p], work[_RAW + four + 3 * TILE + p]
        mean = (m0 if target < first else m1) if target < second else (m2 if target < third else m3)
        raw = (r0 if target < first else r1) if target < second else (r2 if target < third else r3)
        sigma = max(raw, _ZERO) + _log1p(_exp(-abs(raw))) + sigma_floor
        value = mean + work[_INPUT + one + p] + sigma * work[_NORMAL + one + p]
        work[_COLOUR + one + p] = max(value, _ZERO)


@_jit
def _expect(work, channel):
    """The mixture's mean, clipped at 0."""
    four, one = 4 * TILE * channel, TILE * channel
    for p in range(TILE):
        l0, l1 = work[_LOGIT + four + p], work[_LOGIT + four + TILE + p]
        l2, l3 = work[_LOGIT + four + 2 * TILE + p], work[_LOGIT + four + 3 * TILE + p]
        top = max(max(l0, l1), max(l2, l3))
        e0, e1, e2, e3 = _exp(l0 - top), _exp(l1 - top), _exp(l2 - top), _exp(l3 - top)
        mean = e0 * work[_MEAN + four + p] + e1 * work[_MEAN + four + TILE + p]
        mean += e2 * work[_MEAN + four + 2 * TILE + p] + e3 * work[_MEAN + four + 3 * TILE + p]
        value = mean / (e0 + e1 + e2 + e3) + work[_INPUT + one + p]
        work[_COLOUR + one + p] = max(value, _ZERO)


@_jit
def _finish(work, dark):
    """dark = 3 L_dark R_dark, with R_dark renormalised; where R_dark is 0, the light pixel's colour."""
    for p in range(TILE):
        red, green, blue = work[_COLOUR + p], work[_COLOUR + TILE + p], work[_COLOUR + 2 * TILE + p]
        total = red + green + blue
        positive = total > _ZERO
        scale = work[_INPUT + 4 * TILE + p] * _WHITE / (total if positive else _ONE)
        red = red if positive else work[_INPUT + p]
        green = green if positive else work[_INPUT + TILE + p]
        blue = blue if positive else work[_INPUT + 2 * TILE + p]
        work[_COLOUR + p] = np.rint(min(red * scale, _F(255)))
        work[_COLOUR + TILE + p] = np.rint(min(green * scale, _F(255)))
        work[_COLOUR + 2 * TILE + p] = np.rint(min(blue * scale, _F(255)))
    for p in range(dark.shape[0]):
        dark[p, 0] = np.uint8(work[_COLOUR + p])
        dark[p, 1] = np.uint8(work[_COLOUR + TILE + p])
        dark[p, 2] = np.uint8(work[_COLOUR + 2 * TILE + p])


@_jit
def _exp(x):
    """e**x for x <= 0, to 1e-5: a short series at x / 256, squared eight times; constant below -20."""
    t = max(x, _F(-20)) * _F(1 / 256)
    y = _ONE + t * (_ONE + t * (_HALF + t * (_F(1 / 6) + t * _F(1 / 24))))
    y = y * y
    y = y * y
    y = y * y
    y = y * y
    y = y * y
    y = y * y
    y = y * y
    return y * y


@_jit
def _log1p(x):
    """ln(1 + x) for 0 <= x <= 1, to 1e-7: the series of 2 artanh(x / (2 + x))."""
    s = x / (_F(2) + x)
    q = s * s
    return (
        _F(2)
        * s
        * (_ONE + q * (_F(1 / 3) + q * (_F(1 / 5) + q * (_F(1 / 7) + q * (_F(1 / 9) + q * _F(1 / 11))))))
    )
