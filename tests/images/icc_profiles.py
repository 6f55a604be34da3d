"""Small ICC profiles (ICC.1:2010) of spaces that littlecms has no profile for."""

import struct

import numpy as np

# Columns: XYZ of the primaries, adapted to D50, as the profiles of these spaces have them.
ADOBE_RGB = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
DISPLAY_P3 = np.array(
    [[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]]
)
PROPHOTO = np.array([[0.79767, 0.13519, 0.03134], [0.28804, 0.71187, 0.00009], [0.0, 0.0, 0.82491]])
SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
D50 = (0.9642, 1.0, 0.8249)


def _fixed(value):
    return struct.pack(">i", round(value * 65536))


def _xyz(values):
    return b"XYZ \0\0\0\0" + b"".join(map(_fixed, values))


def _gamma(value):
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))


def profile(space, tags, pcs=b"XYZ ", kind=b"mntr"):
    """A profile of version 2 with some tags."""
    name = b"A test profile"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(name) + 1) + name + bytes(1 + 78),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": _xyz(D50),
        **tags,
    }
    table, data = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for signature, content in tags.items():
        content += bytes(-len(content) % 4)
        table += signature + struct.pack(">II", start + len(data), len(content))
        data += content
    size = struct.pack(">I", start + len(data))
    header = size + bytes(4) + bytes([2, 0x40, 0, 0]) + kind + space + pcs + bytes(12) + b"acsp" + bytes(28)
    header += b"".join(map(_fixed, D50))
    return header.ljust(128, b"\0") + table + data


def rgb_profile(primaries, gamma=2.19921875):
    """Of an RGB space, by the XYZ of its primaries and one gamma."""
    columns = {name: _xyz(primaries[:, at]) for at, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))}
    return profile(b"RGB ", columns | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _gamma(gamma)))


def gray_profile(gamma):
    return profile(b"GRAY", {b"kTRC": _gamma(gamma)})


def cmyk_profile():
    """Of four inks that mix as filters do: a table of two points per ink, from CMYK to Lab."""
    nodes = b""
    for inks in np.ndindex(2, 2, 2, 2):
        cyan, magenta, yellow, key = inks
        lightness = 100 * (1 - key) * (1 - 0.3 * cyan) * (1 - 0.4 * magenta) * (1 - 0.1 * yellow)
        red_green = (1 - key) * (-40 * cyan + 60 * magenta)
        blue_yellow = (1 - key) * (-40 * cyan + 80 * yellow)
        nodes += bytes([round(lightness * 2.55), round(red_green + 128), round(blue_yellow + 128)])
    straight = bytes(range(256))
    identity = b"".join(map(_fixed, np.eye(3).ravel()))
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + straight * 4 + nodes + straight * 3
    return profile(b"CMYK", dict.fromkeys((b"A2B0", b"A2B1"), table), pcs=b"Lab ", kind=b"prtr")


def with_cicp(primaries, transfer):
    """Adobe RGB that names code points of ITU-T H.273 (ICC.1:2022, 9.2.17)."""
    columns = {name: _xyz(ADOBE_RGB[:, at]) for at, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))}
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _gamma(2.2))
    cicp = b"cicp\0\0\0\0" + bytes([primaries, transfer, 0, 1])
    return profile(b"RGB ", columns | curves | {b"cicp": cicp})
