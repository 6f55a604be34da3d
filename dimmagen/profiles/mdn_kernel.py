"""The MDN dimmer's hot loop: uint8 light pixels -> uint8 dark pixels, compiled, one thread.

What it computes is defined by :func:`dimmagen.profiles.mdn.dim_plainly`.
"""

import math

import numba
import numpy as np

from dimmagen.philox import philox4x32

TILE = 256


@numba.njit(cache=True, fastmath={"contract"}, error_model="numpy")
def dim_pixels(
    light, dark, w0, b0, w1, b1, w2, b2, w3, b3, sigma_floor, phi_mean, phi_std, quantiles, k0, k1
):
    h = np.empty((32, TILE), np.float32)
    g = np.empty((36, TILE), np.float32)
    x = np.empty((5, TILE), np.float32)
    words = np.empty((4, TILE), np.uint32)
    zero = np.uint32(0)
    low16, shift16 = np.uint32(0xFFFF), np.uint32(16)
    for start in range(0, light.shape[0], TILE):
        n = min(TILE, light.shape[0] - start)
        for p in range(n):
            words[0, p], words[1, p], words[2, p], words[3, p] = philox4x32(
                np.uint32(start + p), zero, zero, zero, k0, k1
            )
        for p in range(n):
            r, gr, b = light[start + p, 0], light[start + p, 1], light[start + p, 2]
            total = np.int32(r) + np.int32(gr) + np.int32(b)
            level = (total + 1) // 3
            phi = phi_mean[level] + phi_std[level] * quantiles[words[3, p] & low16]
            phi = min(max(phi, np.float32(0)), np.float32(1))
            inverse = np.float32(1) / np.float32(max(total, 1))
            third = np.float32(1 / 3) if total == 0 else np.float32(0)
            x[0, p] = np.float32(r) * inverse + third
            x[1, p] = np.float32(gr) * inverse + third
            x[2, p] = np.float32(b) * inverse + third
            x[3, p] = np.float32(total) * np.float32(1 / 765)
            x[4, p] = x[3, p] * phi
        _dense(w0, b0, x, h, n, True)
        _dense(w1, b1, h, g, n, True)
        _dense(w2, b2, g, h, n, True)
        _dense(w3, b3, h, g, n, False)
        for p in range(n):
            total = np.float32(0)
            for c in range(3):
                l0, l1, l2, l3 = g[24 + 4 * c, p], g[25 + 4 * c, p], g[26 + 4 * c, p], g[27 + 4 * c, p]
                top = max(max(l0, l1), max(l2, l3))
                e0, e1, e2, e3 = (
                    math.exp(l0 - top),
                    math.exp(l1 - top),
                    math.exp(l2 - top),
                    math.exp(l3 - top),
                )
                word = words[c // 2, p]
                u = (word >> shift16 if c % 2 else word) & low16
                word = words[(c + 3) // 2, p]
                normal = quantiles[(word >> shift16 if (c + 3) % 2 else word) & low16]
                t = np.float32((np.float32(u) + np.float32(0.5)) * np.float32(1 / 65536)) * (
                    e0 + e1 + e2 + e3
                )
                k = (t >= e0) + (t >= e0 + e1) + (t >= e0 + e1 + e2)
                raw = g[12 + 4 * c + k, p]
                sigma = max(raw, np.float32(0)) + math.log1p(math.exp(-abs(raw))) + sigma_floor
                value = max(g[4 * c + k, p] + x[c, p] + sigma * normal, np.float32(0))
                h[c, p] = value
                total += value
            scale = np.float32(765) * x[4, p] / max(total, np.float32(1e-12))
            for c in range(3):
                value = h[c, p] * scale if total > 0 else x[c, p] * x[4, p] * np.float32(765)
                dark[start + p, c] = np.uint8(min(np.float32(255), np.rint(value)))


@numba.njit(cache=True, fastmath={"contract"}, error_model="numpy", inline="always")
def _dense(weight, bias, inputs, outputs, n, relu):
    for j in range(weight.shape[0]):
        for p in range(n):
            outputs[j, p] = bias[j]
        for i in range(weight.shape[1]):
            w = weight[j, i]
            for p in range(n):
                outputs[j, p] += w * inputs[i, p]
        if relu:
            for p in range(n):
                outputs[j, p] = max(outputs[j, p], np.float32(0))
