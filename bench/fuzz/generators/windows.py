"""Frame t from a window of frames: convolutions along the sequence, strides, and frames side by side."""

from __future__ import annotations

from fractions import Fraction

from bench.fuzz.body import CHANNELS, Body, Generator, Tensor
from bench.fuzz.generators.pointwise import OTHERS, is_pointwise, linear, project, stated, unary


def conv1d(b: Body) -> Tensor:
    x = b.choice(*(b.slow() or b.pool))
    stride = b.choice(1, 1, 2) if x in b.slow() else 1
    kernel, dilation = b.whole(1, 5), b.whole(1, 3)
    groups = b.choice(1, 1, 2)
    span = dilation * (kernel - 1) + 1
    total = max(0, span - stride + b.whole(0, stride - 1))
    left = total - b.ahead(total)
    out = b.choice(*CHANNELS)
    weight = b.parameter(out, x.channels // groups, kernel)
    settings = f"stride = {stride}, dilation = {dilation}, groups = {groups}, pad = [{left}, {total - left}]"
    bias = b.choice("", f"{b.parameter(out)}, ")
    return b.let(f"op.conv1d({x.name}, {weight}, {bias}{settings})", out, x.jump * stride)


def convolution_block(b: Body) -> Tensor:
    """The prelude's convolutions, which look ahead where they are told to."""
    x = b.any()
    kernel = b.whole(2, 5)
    ahead = b.ahead(kernel - 1)
    look = b.choice("", f", look_ahead = {ahead}")
    if b.choice(True, False):
        return b.like(x, f"depthwise_conv1d({x.name}, {kernel}{look}) as {b.shared.fresh('conv')}")
    out = b.choice(*CHANNELS)
    return b.let(f"conv1d({x.name}, {b.number(out)}, {kernel}{look})", out, x.jump)


def wide_convolution(b: Body) -> Tensor:
    """A kernel with enough entries to be compressed."""
    x = project(b, b.any(), 16)
    y = b.let(f"conv1d({x.name}, 32, 4) as {b.shared.fresh('conv')}", 32, x.jump)
    return b.let(f"0.25 * linear({y.name}, 4)", 4, x.jump)


def conv2d(b: Body) -> Tensor:
    """Channels split into features, convolved over features and frames, merged again."""
    x = project(b, b.any(), 8)
    stride = b.choice(1, 2) if x.jump < 4 and not b.labels else 1
    rows = b.choice(1, 1, 2)
    split = b.like(x, f"split_channels({x.name}, groups = 2)")
    if b.choice(True, False):
        kernel = b.whole(max(1, stride), 3)
        look = b.ahead(kernel - 1)
        made = f"conv2d({split.name}, 2, kernel = [3, {kernel}], stride = [{rows}, {stride}], look_ahead = {look})"
    else:
        made = _conv2d_op(b, split, rows, stride)
    return b.let(f"merge_channels({made})", 8 // rows, x.jump * stride)


def _conv2d_op(b: Body, x: Tensor, rows: int, stride: int) -> str:
    kernel, dilation = b.whole(1, 4), b.whole(1, 2)
    total = max(0, dilation * (kernel - 1) + 1 - stride)
    left = total - b.ahead(total)
    groups = b.choice(1, 2)
    weight, bias = b.parameter(2, 2 // groups, 3, kernel), b.choice("none", b.parameter(2))
    return (
        f"op.conv2d({x.name}, {weight}, {bias}, [{rows}, {stride}], dilation = [1, {dilation}], groups = {groups}, "
        f"pad = [{left}, {total - left}], pad_feature = [1, 1])"
    )


def stack(b: Body) -> Tensor:
    """Two consecutive frames become one of twice the channels."""
    if not b.slow():
        return linear(b)
    x = b.choice(*b.slow())
    extents = b.axes(2 * x.jump, 2 * x.channels)
    axes = ", ".join(f'["{role}", {extent}]' for role, extent in zip(b.roles(), extents, strict=True))
    wide = b.let(f"reshape({x.name}, axes = [{axes}])", 2 * x.channels, 2 * x.jump)
    return project(b, wide, 4)


def spread(b: Body) -> Tensor:
    """Each frame becomes two: of its own two halves, of itself twice, or by a transposed convolution."""
    fast = [v for v in b.pool if v.jump > Fraction(1, 4)]
    if b.labels or b.joint or not fast:
        return linear(b)
    x = b.choice(*fast)
    jump = Fraction(x.jump) / 2
    if b.batch and b.choice(True, False):
        made = b.choice(f"upsample({x.name}, 2)", f"conv_transpose1d({x.name}, {x.channels}, 4, stride = 2)")
        return b.let(made, x.channels, jump)
    extents = b.axes(jump, 2)
    axes = ", ".join(f'["{role}", {extent}]' for role, extent in zip(b.roles(), extents, strict=True))
    return b.let(f"reshape({project(b, x, 4).name}, axes = [{axes}])", 2, jump)


def decimate(b: Body) -> Tensor:
    if not b.slow():
        return unary(b)
    x = b.choice(*b.slow())
    axis = b.choice('"time"', f"{b.symbol}")
    return b.let(f"slice({x.name}, {axis}, stride = 2)", x.channels, 2 * x.jump)


ALONG = [op for op in OTHERS if not is_pointwise(op)]
GENERATORS: tuple[Generator, ...] = (
    conv1d,
    conv1d,
    conv1d,
    convolution_block,
    wide_convolution,
    conv2d,
    conv2d,
    stack,
    spread,
    decimate,
    *([stated(ALONG)] if ALONG else []),
)
