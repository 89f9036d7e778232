"""A matrix of keys and values that is decayed, written to and corrected from frame to frame.

A loop starts kernels for every frame: on a GPU what is longer than SHORT is computed as products, `in_products`. Time
is cut into chunks. Inside one, frames meet in pairs; what frames read before they correct is behind the inverse of a
triangular matrix (Yang et al., 2024, arXiv:2406.06484, section 3.2), for all chunks at once. From chunk to chunk the
matrix alone is handed on. MLX solves triangular systems on the CPU alone, so the inverse is made of products.
"""

from __future__ import annotations

import mlx.core as mx

CHUNK = 64
BY_KEY = 16
"""Frames of a chunk where each entry of a key has a decay of its own: a matrix of pairs for every entry."""
SHORT = 16  # frames


def associations(
    query: mx.array,
    key: mx.array,
    value: mx.array,
    log_decay: mx.array | None = None,
    into: mx.array | None = None,
    of: mx.array | None = None,
    h: mx.array | None = None,
) -> tuple[mx.array, mx.array]:
    """S[t] = exp(log_decay[t]) o S[t-1] + key[t] value[t]^T + into[t] (of[t]^T S[t-1]) and y[t] = query[t]^T S[t].

    query, key, into, of: (B, T, N, 1); value: (B, T, 1, P); log_decay: (B, T, N or 1, 1), at most 0, or of extent 1
    where it is the same; h: (B, N, P), zeros where absent. Returns y (B, T, 1, P) and S behind the last frame, in fp32.
    """
    products = mx.default_device().type == mx.gpu and value.shape[1] > SHORT
    way = in_products if products else frame_by_frame
    return way(query, key, value, log_decay, into, of, h)


def frame_by_frame(
    query: mx.array,
    key: mx.array,
    value: mx.array,
    log_decay: mx.array | None,
    into: mx.array | None,
    of: mx.array | None,
    h: mx.array | None,
) -> tuple[mx.array, mx.array]:
    """The same, as it is written."""
    batch, frames, _, width = value.shape
    wide, outputs = mx.float32, []
    read, k, v = (each.astype(wide) for each in (query, key, value))
    logs, turned, asked = (None if each is None else each.astype(wide) for each in (log_decay, into, of))
    if logs is not None:
        logs = mx.broadcast_to(mx.exp(logs), (logs.shape[0], frames, *logs.shape[2:]))
    state = mx.zeros((batch, key.shape[2], width), wide) if h is None else h.astype(wide)
    for t in range(frames):
        new = state if logs is None else state * logs[:, t]
        new = new + k[:, t] * v[:, t]
        if turned is not None and asked is not None:
            new = new + turned[:, t] * (asked[:, t].swapaxes(1, 2) @ state)
        state = new
        outputs.append(read[:, t].swapaxes(1, 2) @ state)
    return mx.stack(outputs, axis=1).astype(value.dtype), state


def in_products(
    query: mx.array,
    key: mx.array,
    value: mx.array,
    log_decay: mx.array | None,
    into: mx.array | None,
    of: mx.array | None,
    h: mx.array | None,
) -> tuple[mx.array, mx.array]:
    """The same, a chunk of frames at a time."""
    batch, frames, _, width = value.shape
    by_key = log_decay is not None and log_decay.shape[2] > 1
    size, wide = min(BY_KEY if by_key else CHUNK, frames), mx.float32

    def cut(each: mx.array) -> mx.array:
        """(B, T, entries) to (B, chunks, frames of one, entries), zeros behind the last frame."""
        each = mx.broadcast_to(each.astype(wide), (batch, frames, each.shape[2]))
        each = mx.pad(each, [(0, 0), (0, -frames % size), (0, 0)])
        return each.reshape(batch, -1, size, each.shape[2])

    read, written, v = cut(query.squeeze(3)), cut(key.squeeze(3)), cut(value.squeeze(2))
    keys = written.shape[3]
    decays = _Decays(None if log_decay is None else cut(log_decay.squeeze(3)), size)
    state = mx.zeros((batch, keys, width), wide) if h is None else h.astype(wide)
    fixed = decays.met(read, written, 0) @ v
    asked_since, added = read * decays.since(0), _turned(written * decays.rest()) @ v
    kept, corrected = decays.whole(), None
    if into is not None and of is not None:
        turned, asked = cut(into.squeeze(3)), cut(of.squeeze(3))
        inverse = unit_inverse(-decays.met(asked, turned, 1))
        given, given_read = inverse @ (asked * decays.since(1)), inverse @ (decays.met(asked, written, 1) @ v)
        corrected = given, given_read, decays.met(read, turned, 0), _turned(turned * decays.rest())
    outputs = []
    for chunk in range(v.shape[1]):
        y = fixed[:, chunk] + asked_since[:, chunk] @ state
        new = added[:, chunk] + (state if kept is None else state * kept[:, chunk])
        if corrected is not None:
            given, given_read, pairs, behind = (each[:, chunk] for each in corrected)
            found = given @ state + given_read
            y, new = y + pairs @ found, new + behind @ found
        state = new
        outputs.append(y)
    y = mx.concatenate(outputs, axis=1)[:, :frames, None]
    return y.astype(value.dtype), state


def unit_inverse(strict: mx.array) -> mx.array:
    """The inverse of I + strict, which is lower triangular (..., n, n) without a diagonal, by blocks that double.

    Of a block [[A, 0], [C, D]] it is [[A', 0], [-D' C A', D']]. No powers are taken, which could be large.
    """
    size = strict.shape[-1]
    whole = 1
    while whole < size:
        whole *= 2
    lead, more = strict.shape[:-2], whole - size
    strict = mx.pad(strict, [(0, 0)] * len(lead) + [(0, more), (0, more)])
    inverse = mx.ones((*lead, whole, 1, 1), strict.dtype)  # of the blocks along the diagonal
    block = 1
    while block < whole:
        count = whole // (2 * block)
        tiles = strict.reshape(*lead, count, 2 * block, count, 2 * block)
        own = mx.arange(count)
        below = mx.moveaxis(tiles[..., own, block:, own, :block], 0, len(lead))
        pairs = inverse.reshape(*lead, count, 2, block, block)
        first, second = pairs[..., 0, :, :], pairs[..., 1, :, :]
        corner = -(second @ below @ first)
        upper = mx.concatenate([first, mx.zeros_like(first)], axis=-1)
        inverse = mx.concatenate([upper, mx.concatenate([corner, second], axis=-1)], axis=-2)
        block *= 2
    return inverse[..., 0, :size, :size]


def _turned(x: mx.array) -> mx.array:
    return x.swapaxes(-1, -2)


class _Decays:
    """Decays between the frames of chunks, of their logarithms (B, chunks, frames, N or 1); all 1 where that is None.

    Exponents are sums of logarithms, and no differences of running sums, which would lose what is small beside them.
    """

    def __init__(self, logs: mx.array | None, size: int) -> None:
        self.logs, self.size = logs, size

    def met(self, read: mx.array, written: mx.array, before: int) -> mx.array:
        """[t, s]: what frame t (or, with before = 1, what is there before it) reads of what frame s has written."""
        if self.logs is None:
            return mx.tril(read @ _turned(written), -before)
        between = self._between(self.logs, before)
        if self.logs.shape[-1] == 1:
            return (read @ _turned(written)) * between[:, :, 0]
        return mx.einsum("bctn,bcsn,bcnts->bcts", read, written, between)

    def _between(self, logs: mx.array, before: int) -> mx.array:
        """(B, chunks, N or 1, t, s): the product over frames s+1 to t - before, 0 where that ends before s."""
        rows = _turned(logs)[..., None]  # .., r, 1: the logarithm of frame r
        sums = mx.cumsum(mx.tril(mx.broadcast_to(rows, (*rows.shape[:-1], self.size)), -1), axis=-2)
        return mx.tril(mx.exp(_later(sums, -2) if before else sums), -before)

    def since(self, before: int) -> mx.array | float:
        """Of the incoming matrix, what is left behind each frame, or before it."""
        if self.logs is None:
            return 1.0
        sums = mx.cumsum(self.logs, axis=2)
        return mx.exp(_later(sums, 2) if before else sums)

    def rest(self) -> mx.array | float:
        """Of what each frame writes, what is left behind the last one."""
        if self.logs is None:
            return 1.0
        behind = mx.concatenate([self.logs[:, :, 1:], mx.zeros_like(self.logs[:, :, :1])], axis=2)
        return mx.exp(mx.cumsum(behind, axis=2, reverse=True))

    def whole(self) -> mx.array | None:
        """(B, chunks, N or 1, 1): the product over all frames."""
        return None if self.logs is None else mx.exp(_turned(self.logs.sum(axis=2, keepdims=True)))


def _later(x: mx.array, axis: int) -> mx.array:
    """Each entry one place later along an axis, a zero in front."""
    first, rest = mx.split(x, [x.shape[axis] - 1], axis=axis)
    return mx.concatenate([mx.zeros_like(rest), first], axis=axis)
