"""The scan of Mamba-2 (SSD): matrix products inside chunks of time, a state from one to the next (Dao & Gu, 2024)."""

# ruff: noqa: N803 - the names of the paper

from __future__ import annotations

import mlx.core as mx

CHUNK = 64


def ssd(
    x: mx.array,
    delta: mx.array,
    A: mx.array,
    B: mx.array,
    C: mx.array,
    D: mx.array | None = None,
    h: mx.array | None = None,
    *,
    groups: int = 1,
) -> tuple[mx.array, mx.array]:
    """h[t] = exp(delta[t] A) h[t-1] + delta[t] x[t] B[t]^T and y[t] = h[t] C[t] + D x[t] for each of `Heads` heads.

    x: (Batch, L, Heads * P); delta: (Batch, L, Heads); A, D: (Heads,), A negative; B, C: (Batch, L, groups * N), where
    head i belongs to group i // (Heads / groups); h: (Batch, Heads * P, N), zeros where absent. Returns y, as x, and
    the state after the last frame, in fp32.
    """
    batch, length, channels = x.shape
    heads, states = A.shape[0] // groups, B.shape[2] // groups
    wide = mx.float32
    u = x.astype(wide).reshape(batch, length, groups, heads, -1).transpose(0, 2, 3, 4, 1)  # .., P, L
    rate = delta.astype(wide).reshape(batch, length, groups, heads).transpose(0, 2, 3, 1)
    exponent, drive = rate * A.astype(wide).reshape(groups, heads, 1), u * rate[..., None, :]
    into, out = (a.astype(wide).reshape(batch, length, groups, 1, states).transpose(0, 2, 3, 4, 1) for a in (B, C))
    shape = (*u.shape[:4], states)
    state = mx.zeros(shape, wide) if h is None else h.astype(wide).reshape(shape)
    outputs = []
    for start in range(0, length, CHUNK):
        here = slice(start, start + CHUNK)
        y, state = _chunk(drive[..., here], exponent[..., here], into[..., here], out[..., here], state)
        outputs.append(y)
    y = mx.concatenate(outputs, axis=-1)
    if D is not None:
        y = y + u * D.astype(wide).reshape(groups, heads, 1, 1)
    return y.transpose(0, 4, 1, 2, 3).reshape(x.shape).astype(x.dtype), state.reshape(batch, channels, states)


def _chunk(drive: mx.array, exponent: mx.array, B: mx.array, C: mx.array, state: mx.array) -> tuple[mx.array, mx.array]:
    """y and the last state, from drive (.., P, l), exponent (.., l), B and C (.., N, l), state (.., P, N)."""
    between = mx.triu(mx.exp(_between(exponent)))
    y = drive @ (between * (B.swapaxes(-1, -2) @ C))
    since = mx.exp(mx.cumsum(exponent, axis=-1))[..., None, :]
    rest = between[..., -1][..., None, :]
    return y + (state @ C) * since, state * since[..., -1:] + (drive * rest) @ B.swapaxes(-1, -2)


def _between(exponent: mx.array) -> mx.array:
    """[s, t]: the sum of the exponents of frames s+1 to t, without a difference of running sums; 0 where t <= s."""
    length = exponent.shape[-1]
    rows = mx.broadcast_to(exponent[..., None, :], (*exponent.shape[:-1], length, length))
    return mx.cumsum(mx.triu(rows, 1), axis=-1)
