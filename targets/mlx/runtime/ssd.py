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
    diagonal: mx.array | None = None,
    *,
    groups: int = 1,
) -> tuple[mx.array, mx.array]:
    """h[t] = exp(delta[t] A) h[t-1] + delta[t] x[t] B[t]^T and y[t] = h[t] C[t] + D x[t] for each of `Heads` heads.

    x: (Batch, L, Heads * P); delta: (Batch, L, Heads); A, D: (Heads,), A negative; B, C: (Batch, L, groups * N), where
    head i belongs to group i // (Heads / groups); h: (Batch, Heads * P, N), zeros where absent. With A (Batch, L,
    Heads) the first factor is exp(A[t]), and x, delta and B may hold W writes of a frame one behind the other, C and y
    R reads. diagonal, as delta: its place where a frame reads itself. Returns y and the last state, in fp32.
    """
    batch, length, _ = x.shape
    all_heads = A.shape[-1]
    writes, heads = delta.shape[2] // all_heads, all_heads // groups
    states = B.shape[2] // (writes * groups)
    reads, wide = C.shape[2] // (groups * states), mx.float32

    def parts(a: mx.array, many: int, *sizes: int) -> mx.array:
        """(Batch, L, many * groups * sizes) to (Batch, groups, *sizes, many, L)."""
        a = a.astype(wide).reshape(batch, length, many, groups, *sizes)
        return a.transpose(0, *range(3, a.ndim), 2, 1)

    u, rate = parts(x, writes, heads, -1), parts(delta, writes, heads)
    own = None if diagonal is None else u * parts(diagonal, writes, heads)[..., None, :, :]
    decay = A.astype(wide).reshape(groups, heads, 1) * rate[..., 0, :] if A.ndim == 1 else parts(A, 1, heads)[..., 0, :]
    drive = u * rate[..., None, :, :]
    into, out = parts(B, writes, 1, states), parts(C, reads, 1, states)
    shape = (*u.shape[:4], states)
    state = mx.zeros(shape, wide) if h is None else h.astype(wide).reshape(shape)
    outputs = []
    for start in range(0, length, CHUNK):
        here = slice(start, start + CHUNK)
        kept = None if own is None else own[..., here]
        y, state = _chunk(drive[..., here], decay[..., here], into[..., here], out[..., here], state, kept)
        outputs.append(y)
    y = mx.concatenate(outputs, axis=-1)
    if D is not None:
        y = y + u * D.astype(wide).reshape(groups, heads, 1, 1, 1)
    y = y.transpose(0, 5, 4, 1, 2, 3).reshape(batch, length, -1).astype(x.dtype)
    return y, state.reshape(batch, -1, states)


def _chunk(
    drive: mx.array, exponent: mx.array, B: mx.array, C: mx.array, state: mx.array, own: mx.array | None
) -> tuple[mx.array, mx.array]:
    """y (.., P, R, l) and the last state, from drive (.., P, W, l), exponent (.., l), B (.., N, W, l) and C (.., N, R,
    l), state (.., P, N); own, as drive: what a frame reads of itself, where that is not its drive."""
    writes, (reads, length) = B.shape[-2], C.shape[-2:]
    between = mx.triu(mx.exp(_between(exponent)))
    drive, into, out = (mx.flatten(a, -2, -1) for a in (drive, B, C))
    scores = into.swapaxes(-1, -2) @ out
    met = between if own is None else mx.triu(between, 1)
    y = drive @ (_tiled(met, writes, reads) * scores)
    if own is not None:
        y = y + mx.flatten(own, -2, -1) @ (_tiled(mx.eye(length), writes, reads) * scores)
    since = mx.exp(mx.cumsum(exponent, axis=-1))[..., None, :]
    rest = _tiled(between[..., -1][..., None, :], 1, writes)
    y = y + (state @ out) * _tiled(since, 1, reads)
    return mx.unflatten(y, -1, (reads, length)), state * since[..., -1:] + (drive * rest) @ into.swapaxes(-1, -2)


def _tiled(matrix: mx.array, rows: int, columns: int) -> mx.array:
    return matrix if rows == columns == 1 else mx.tile(matrix, (*([1] * (matrix.ndim - 2)), rows, columns))


def _between(exponent: mx.array) -> mx.array:
    """[s, t]: the sum of the exponents of frames s+1 to t, without a difference of running sums; 0 where t <= s."""
    length = exponent.shape[-1]
    rows = mx.broadcast_to(exponent[..., None, :], (*exponent.shape[:-1], length, length))
    return mx.cumsum(mx.triu(rows, 1), axis=-1)
