"""Functions on (B, frames, C) that MLX has in another form or not at all."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Sequence

import mlx.core as mx
import numpy as np

Pads = Sequence[tuple[int, int]]
States = tuple[mx.array, ...]


def linear(x: mx.array, weight: mx.array, bias: mx.array | None = None) -> mx.array:
    """x @ weight.T + bias over the last axis; weight (out, in)."""
    return x @ weight.T if bias is None else mx.addmm(bias, x, weight.T)


def fake_quantize(x: mx.array, scale: mx.array) -> mx.array:
    """clip(round(x / scale), -128, 127) * scale, ties to even: x as int8 and one scale hold it."""
    step = mx.maximum(scale.astype(mx.float16), 2.0**-24).astype(mx.float32)
    return (mx.clip(mx.round(x / step), -128, 127) * step).astype(x.dtype)


def batch_norm(
    x: mx.array,
    mean: mx.array,
    variance: mx.array,
    weight: mx.array | None = None,
    bias: mx.array | None = None,
    eps: float = 1e-5,
) -> mx.array:
    """(x - mean) / sqrt(variance + eps) * weight + bias over the last axis."""
    y = (x - mean) * mx.rsqrt(variance + eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def conv1d(
    x: mx.array,
    weight: mx.array,
    bias: mx.array | None = None,
    *,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
    pads: Pads = ((0, 0),),
) -> mx.array:
    """x (.., T, C) and weight (out, K, C / groups) to (.., T', out), behind zero frames before and after.

    Zeros are joined to x here: with padding of its own MLX has no fast depthwise kernel.
    """
    rows = _padded(x.reshape(-1, *x.shape[-2:]) if x.ndim > 3 else x, pads)
    y = mx.conv1d(rows, weight, stride=stride, dilation=dilation, groups=groups)
    y = y.reshape(*x.shape[:-2], *y.shape[-2:]) if x.ndim > 3 else y
    return y if bias is None else y + bias


def conv2d(
    x: mx.array,
    weight: mx.array,
    bias: mx.array | None = None,
    *,
    stride: int | tuple[int, int] = 1,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
    pads: Pads = ((0, 0), (0, 0)),
) -> mx.array:
    """x (B, T, F, C) and weight (out, KT, KF, C / groups) to (B, T', F', out), behind zero frames and features."""
    y = mx.conv2d(_padded(x, pads), weight, stride=stride, dilation=dilation, groups=groups)
    return y if bias is None else y + bias


def _padded(x: mx.array, pads: Pads) -> mx.array:
    return mx.pad(x, [(0, 0), *pads, (0, 0)]) if any(map(any, pads)) else x


def lstm(
    x: mx.array,
    weight_ih: mx.array,
    weight_hh: mx.array,
    bias: mx.array | None = None,
    h: mx.array | None = None,
    c: mx.array | None = None,
    mask: mx.array | None = None,
    axis: int = -2,
) -> tuple[mx.array, mx.array, mx.array]:
    """Gates i, f, g, o; x (.., T, in) to y (.., T, hidden) and the states h, c (.., hidden) after the last frame.

    A frame of 0 in `mask`, (T,) or (B, T), leaves the states as they were. axis: where the frames lie, of x and y.
    """

    def step(gates: mx.array, states: States) -> States:
        i, f, g, o = mx.split(gates + states[0] @ weight_hh.T, 4, axis=-1)
        c = mx.sigmoid(f) * states[1] + mx.sigmoid(i) * mx.tanh(g)
        return mx.sigmoid(o) * mx.tanh(c), c

    x, hidden = mx.moveaxis(x, axis, -2), weight_hh.shape[1]
    y, (h, c) = _run(linear(x, weight_ih, bias), (_state(x, h, hidden), _state(x, c, hidden)), mask, step)
    return mx.moveaxis(y, -2, axis), h, c


def gru(
    x: mx.array,
    weight_ih: mx.array,
    weight_hh: mx.array,
    bias_ih: mx.array | None = None,
    bias_hh: mx.array | None = None,
    h: mx.array | None = None,
    mask: mx.array | None = None,
    axis: int = -2,
) -> tuple[mx.array, mx.array]:
    """Gates r, z, n, the reset gate behind the recurrent product, as torch has it; shapes and mask as in `lstm`."""

    def step(from_x: mx.array, states: States) -> States:
        (h,) = states
        (xr, xz, xn), (hr, hz, hn) = (mx.split(a, 3, axis=-1) for a in (from_x, linear(h, weight_hh, bias_hh)))
        z = mx.sigmoid(xz + hz)
        return ((1 - z) * mx.tanh(xn + mx.sigmoid(xr + hr) * hn) + z * h,)

    x = mx.moveaxis(x, axis, -2)
    y, (h,) = _run(linear(x, weight_ih, bias_ih), (_state(x, h, weight_hh.shape[1]),), mask, step)
    return mx.moveaxis(y, -2, axis), h


def _run(
    gates: mx.array, states: States, mask: mx.array | None, step: Callable[[mx.array, States], States]
) -> tuple[mx.array, States]:
    """The first state of every frame, (.., T, hidden), and the states after the last."""
    exists = None if mask is None else mask.reshape(-1, gates.shape[-2])
    outputs = []
    for t in range(gates.shape[-2]):
        after = step(gates[..., t, :], states)
        if exists is not None:
            seen = (exists[:, t] != 0).reshape(-1, *[1] * (after[0].ndim - 1))
            after = tuple(mx.where(seen, new, old) for new, old in zip(after, states))
        states = after
        outputs.append(states[0])
    return mx.stack(outputs, axis=-2), states


def _state(x: mx.array, given: mx.array | None, hidden: int) -> mx.array:
    return mx.zeros((*x.shape[:-2], hidden), x.dtype) if given is None else given


def unpacked(data: str, shape: Sequence[int], dtype: str = "float32") -> mx.array:
    """The array whose little-endian bytes `data` holds: base64 of zlib."""
    entries = np.frombuffer(zlib.decompress(base64.b64decode(data)), np.dtype(dtype).newbyteorder("<"))
    return mx.array(entries.astype(dtype).reshape(shape))
