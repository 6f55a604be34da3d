"""The Triton kernels of :mod:`~dimmagen.enhance.triton_norm`.

Rows are features with the channels last, (N, pixels, C). A program reads CHANNELS channels of `each` pixels
of one image, PIXELS at a time; sums are float32, in parts of an image, which are added in a fixed order.
"""

import triton
import triton.language as tl

# No kernel is compiled for one of their values.
_VARYING = ["pixels", "each", "parts_count", "groups", "size"]


@triton.jit
def _tile(image, first_pixel, pixels, channel, channels, inside, PIXELS: tl.constexpr):
    """Where the channels of some pixels are, and which of them there are."""
    pixel = first_pixel + tl.arange(0, PIXELS)
    where = (image * pixels + pixel)[:, None] * channels + channel[None, :]
    return where, (pixel < pixels)[:, None] & inside[None, :]


@triton.jit(do_not_specialize=_VARYING)
def channel_sums(
    rows,
    parts,
    pixels,
    channels,
    each,
    PIXELS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Sums of each channel over a program's pixels, and of squares, less the image's first pixel."""
    part, block, image = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    channel = block * CHANNELS + tl.arange(0, CHANNELS)
    inside = channel < channels
    first = tl.load(rows + image * pixels * channels + channel, mask=inside, other=0.0).to(tl.float32)
    total = tl.zeros((PIXELS, CHANNELS), tl.float32)
    squares = tl.zeros((PIXELS, CHANNELS), tl.float32)
    for step in range(0, each, PIXELS):
        first_pixel = part * each + step
        where, mask = _tile(image, first_pixel, pixels, channel, channels, inside, PIXELS)
        values = tl.load(rows + where, mask=mask, other=0.0).to(tl.float32) - first[None, :]
        values = tl.where(mask, values, 0.0)
        total += values
        squares += values * values
    images, count = tl.num_programs(2), tl.num_programs(0)
    where = (image * count + part) * channels + channel
    tl.store(parts + where, tl.sum(total, axis=0), mask=inside)
    tl.store(parts + images * count * channels + where, tl.sum(squares, axis=0), mask=inside)


@triton.jit(do_not_specialize=_VARYING)
def group_moments(
    rows,
    shift,
    parts,
    means,
    moments,
    eps,
    parts_count,
    pixels,
    channels,
    size,
    PADDED: tl.constexpr,
    PARTS: tl.constexpr,
    SHIFTED: tl.constexpr,
):
    """The mean of each channel of a group, and the group's mean and inverse standard deviation."""
    image, group = tl.program_id(0).to(tl.int64), tl.program_id(1)
    images, groups = tl.num_programs(0), tl.num_programs(1)
    member = tl.arange(0, PADDED)
    inside = member < size
    channel = group * size + member
    total, squares = _added(parts, image, images, parts_count, channel, channels, inside, PADDED, PARTS)
    first = tl.load(rows + image * pixels * channels + channel, mask=inside, other=0.0).to(tl.float32)
    mean = first + total / pixels
    if SHIFTED:
        mean += tl.load(shift + image * channels + channel, mask=inside, other=0.0)
    deviation = squares - total * total / pixels  # sum of squares around the channel's mean
    centre = tl.sum(tl.where(inside, mean, 0.0), axis=0) / size
    away = tl.where(inside, mean - centre, 0.0)
    variance = (
        tl.sum(tl.where(inside, deviation, 0.0), axis=0) / pixels + tl.sum(away * away, axis=0)
    ) / size
    tl.store(means + image * channels + channel, mean, mask=inside)
    tl.store(moments + image * groups + group, centre)
    tl.store(moments + (images + image) * groups + group, 1.0 / tl.sqrt(tl.maximum(variance, 0.0) + eps))


@triton.jit
def _added(
    parts,
    image,
    images,
    parts_count,
    channel,
    channels,
    inside,
    PADDED: tl.constexpr,
    PARTS: tl.constexpr,
):
    """The two sums of each channel over all parts."""
    first = tl.zeros((PADDED,), tl.float32)
    second = tl.zeros((PADDED,), tl.float32)
    for step in range(0, parts_count, PARTS):
        part = step + tl.arange(0, PARTS)
        mask = (part < parts_count)[:, None] & inside[None, :]
        where = (image * parts_count + part)[:, None] * channels + channel[None, :]
        first += tl.sum(tl.load(parts + where, mask=mask, other=0.0), axis=0)
        after = parts + images * parts_count * channels
        second += tl.sum(tl.load(after + where, mask=mask, other=0.0), axis=0)
    return first, second


@triton.jit
def _scales(
    shift,
    weight,
    bias,
    moments,
    image,
    images,
    groups,
    channel,
    channels,
    inside,
    size,
    SHIFTED: tl.constexpr,
):
    """Per channel: what to subtract, the inverse standard deviation, and the norm's weight and bias."""
    group = channel // size
    centre = tl.load(moments + image * groups + group, mask=inside, other=0.0)
    inverse = tl.load(moments + (images + image) * groups + group, mask=inside, other=0.0)
    if SHIFTED:
        centre -= tl.load(shift + image * channels + channel, mask=inside, other=0.0)
    scale = tl.load(weight + channel, mask=inside, other=0.0).to(tl.float32)
    offset = tl.load(bias + channel, mask=inside, other=0.0).to(tl.float32)
    return centre, inverse, scale, offset


@triton.jit
def _before_silu(rows, upper, where, mask, centre, inverse, scale, offset):
    """The normalised values of some pixels, and the gradient at what SiLU is applied to."""
    values = tl.load(rows + where, mask=mask, other=0.0).to(tl.float32)
    given = tl.load(upper + where, mask=mask, other=0.0).to(tl.float32)
    normal = (values - centre[None, :]) * inverse[None, :]
    affine = normal * scale[None, :] + offset[None, :]
    share = tl.sigmoid(affine)
    return normal, given * share * (1.0 + affine * (1.0 - share))


@triton.jit(do_not_specialize=_VARYING)
def normalise(
    rows,
    shift,
    weight,
    bias,
    moments,
    result,
    pixels,
    channels,
    each,
    groups,
    size,
    PIXELS: tl.constexpr,
    CHANNELS: tl.constexpr,
    SHIFTED: tl.constexpr,
):
    """Normalise a program's pixels, then SiLU."""
    part, block, image = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    channel = block * CHANNELS + tl.arange(0, CHANNELS)
    inside = channel < channels
    centre, inverse, scale, offset = _scales(
        shift,
        weight,
        bias,
        moments,
        image,
        tl.num_programs(2),
        groups,
        channel,
        channels,
        inside,
        size,
        SHIFTED,
    )
    for step in range(0, each, PIXELS):
        first_pixel = part * each + step
        where, mask = _tile(image, first_pixel, pixels, channel, channels, inside, PIXELS)
        values = tl.load(rows + where, mask=mask, other=0.0).to(tl.float32)
        normal = (values - centre[None, :]) * inverse[None, :]
        affine = normal * scale[None, :] + offset[None, :]
        tl.store(result + where, (affine * tl.sigmoid(affine)).to(result.dtype.element_ty), mask=mask)


@triton.jit(do_not_specialize=_VARYING)
def gradient_sums(
    rows,
    upper,
    shift,
    weight,
    bias,
    moments,
    parts,
    pixels,
    channels,
    each,
    groups,
    size,
    PIXELS: tl.constexpr,
    CHANNELS: tl.constexpr,
    SHIFTED: tl.constexpr,
):
    """The sums over a program's pixels that the gradients of the norm's bias and weight are made of."""
    part, block, image = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    images, count = tl.num_programs(2), tl.num_programs(0)
    channel = block * CHANNELS + tl.arange(0, CHANNELS)
    inside = channel < channels
    centre, inverse, scale, offset = _scales(
        shift, weight, bias, moments, image, images, groups, channel, channels, inside, size, SHIFTED
    )
    first = tl.zeros((PIXELS, CHANNELS), tl.float32)
    second = tl.zeros((PIXELS, CHANNELS), tl.float32)
    for step in range(0, each, PIXELS):
        first_pixel = part * each + step
        where, mask = _tile(image, first_pixel, pixels, channel, channels, inside, PIXELS)
        normal, inner = _before_silu(rows, upper, where, mask, centre, inverse, scale, offset)
        first += inner
        second += inner * normal
    where = (image * count + part) * channels + channel
    tl.store(parts + where, tl.sum(first, axis=0), mask=inside)
    tl.store(parts + images * count * channels + where, tl.sum(second, axis=0), mask=inside)


@triton.jit(do_not_specialize=_VARYING)
def gradient_moments(
    parts,
    weight,
    means,
    moments,
    sums,
    inner,
    parts_count,
    pixels,
    channels,
    size,
    PADDED: tl.constexpr,
    PARTS: tl.constexpr,
):
    """Gradients of bias, weight and shift for one image, and what all pixels of a group have in common."""
    image, group = tl.program_id(0).to(tl.int64), tl.program_id(1)
    images, groups = tl.num_programs(0), tl.num_programs(1)
    member = tl.arange(0, PADDED)
    inside = member < size
    channel = group * size + member
    of_bias, of_weight = _added(parts, image, images, parts_count, channel, channels, inside, PADDED, PARTS)
    scale = tl.load(weight + channel, mask=inside, other=0.0).to(tl.float32)
    mean = tl.load(means + image * channels + channel, mask=inside, other=0.0)
    centre = tl.load(moments + image * groups + group)
    inverse = tl.load(moments + (images + image) * groups + group)
    constant = tl.sum(scale * of_bias, axis=0) / (size * pixels)
    along = tl.sum(scale * of_weight, axis=0) / (size * pixels)
    normals = (mean - centre) * inverse * pixels  # their sum over the channel
    of_shift = inverse * (scale * of_bias - constant * pixels - along * normals)
    where = image * channels + channel
    tl.store(sums + where, of_bias, mask=inside)
    tl.store(sums + images * channels + where, of_weight, mask=inside)
    tl.store(sums + 2 * images * channels + where, of_shift, mask=inside)
    tl.store(inner + image * groups + group, constant)
    tl.store(inner + (images + image) * groups + group, along)


@triton.jit(do_not_specialize=_VARYING)
def gradient(
    rows,
    upper,
    shift,
    weight,
    bias,
    moments,
    inner,
    result,
    pixels,
    channels,
    each,
    groups,
    size,
    PIXELS: tl.constexpr,
    CHANNELS: tl.constexpr,
    SHIFTED: tl.constexpr,
):
    """The gradient of a program's pixels."""
    part, block, image = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    images = tl.num_programs(2)
    channel = block * CHANNELS + tl.arange(0, CHANNELS)
    inside = channel < channels
    centre, inverse, scale, offset = _scales(
        shift, weight, bias, moments, image, images, groups, channel, channels, inside, size, SHIFTED
    )
    group = channel // size
    constant = tl.load(inner + image * groups + group, mask=inside, other=0.0)
    along = tl.load(inner + (images + image) * groups + group, mask=inside, other=0.0)
    for step in range(0, each, PIXELS):
        first_pixel = part * each + step
        where, mask = _tile(image, first_pixel, pixels, channel, channels, inside, PIXELS)
        normal, below = _before_silu(rows, upper, where, mask, centre, inverse, scale, offset)
        change = inverse[None, :] * (below * scale[None, :] - constant[None, :] - normal * along[None, :])
        tl.store(result + where, change.to(result.dtype.element_ty), mask=mask)
