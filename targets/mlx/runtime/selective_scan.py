"""The selective scan of Mamba (Gu and Dao, 2023): a Metal kernel on a Mac's GPU, step by step elsewhere."""

# ruff: noqa: N803, N806 - the names of the paper

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn

from . import selective_scan_metal


def selective_scan(
    x: mx.array,
    delta: mx.array,
    A: mx.array,
    B: mx.array,
    C: mx.array,
    D: mx.array | None = None,
    h: mx.array | None = None,
    *,
    z: mx.array | None = None,
    softplus: bool = False,
) -> tuple[mx.array, mx.array]:
    """h[t] = exp(delta[t] A) h[t-1] + delta[t] x[t] B[t] and y[t] = (C[t] . h[t] + D x[t]) silu(z[t]).

    x, delta, z: (Batch, L, Channels); A: (Channels, N); B, C: (Batch, L, N); D: (Channels,); h: (Batch, Channels, N),
    zeros where absent. With `softplus`, delta is softplus(delta). Returns y, as x, and the state after the last frame,
    in fp32.
    """
    if mx.default_device().type == mx.gpu and mx.metal.is_available():
        return selective_scan_metal.scan(x, delta, A, B, C, D, h, z, softplus)
    return sequential(x, delta, A, B, C, D, h, z, softplus)


def sequential(
    x: mx.array,
    delta: mx.array,
    A: mx.array,
    B: mx.array,
    C: mx.array,
    D: mx.array | None,
    h: mx.array | None,
    z: mx.array | None,
    softplus: bool,
) -> tuple[mx.array, mx.array]:
    """The same one frame after another."""
    wide = mx.float32
    rate = nn.softplus(delta.astype(wide)) if softplus else delta.astype(wide)
    u, B, C, A = x.astype(wide), B.astype(wide), C.astype(wide), A.astype(wide)
    state = mx.zeros((x.shape[0], *A.shape), wide) if h is None else h.astype(wide)
    outputs = []
    for t in range(x.shape[1]):
        now = rate[:, t, :, None]
        state = mx.exp(now * A) * state + now * u[:, t, :, None] * B[:, t, None, :]
        outputs.append((state @ C[:, t, :, None])[..., 0])
    y = mx.stack(outputs, axis=1)
    y = y if D is None else y + D.astype(wide) * u
    y = y if z is None else y * nn.silu(z.astype(wide))
    return y.astype(x.dtype), state
