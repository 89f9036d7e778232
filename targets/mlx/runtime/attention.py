"""Attention over a band of frames, on (.., frames, C)."""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx


def attention(
    q: mx.array,
    k: mx.array,
    v: mx.array,
    *,
    heads: int,
    kv_heads: int | None = None,
    left: int | None = None,
    right: int | None = None,
    within: int | None = None,
    before: int = 0,
    scale: float | None = None,
    given: bool = False,
    key_mask: mx.array | None = None,
    bias: mx.array | None = None,
) -> mx.array:
    """softmax(scale q k + bias) v per head: frame t sees frames t - left ... t + right, None means all on that side.

    q (.., T, heads * W), k (.., S, kv_heads * W), v (.., S, kv_heads * V) give (.., T, heads * V); scale is 1 / sqrt(W)
    unless given. With `given`, k and v hold exactly `left` frames before q's first and `right` after its last. With
    `within`, frames are in blocks of so many, and a frame sees none outside of its own but the `before` frames in front
    of it, with which k and v begin where `given`. `key_mask`, (S,) or (B, S), is
    1 where a key exists; a query that sees none averages over its band. `bias` (heads, D) is added by distance: entry 0
    is of the band's earliest key, and where one side is open the outermost entry counts for all beyond; with both open
    the middle is distance 0. Or it is (heads, within, before + within), by places in a block. One head of it serves
    all.
    """
    kv_heads = kv_heads or heads
    lead = q.shape[:-2]
    q, k, v = _heads(q, heads), _heads(k, kv_heads), _heads(v, kv_heads)
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    if bias is None and key_mask is None and left is None and right == 0 and not given and within is None:
        mask: mx.array | str | None = "causal" if q.shape[-2] > 1 else None
        return _joined(mx.fast.scaled_dot_product_attention(q, k, v, scale=scale, mask=mask), lead)
    first = _context(left, within, before) if given else 0
    seen, blind = _seen(q, k, _band(q, k, left, right, within, before, first), _masks(key_mask, k))
    q = q if blind is None else mx.where(blind, 0, q)  # equal scores: a blind query averages
    if bias is not None:
        scores = _by_distance(bias.astype(q.dtype), q, k, left, right, within, before, first)
        scores = scores if blind is None else mx.where(blind, 0, scores)
        seen = scores if seen is None else mx.where(seen, scores, mx.finfo(scores.dtype).min)
    return _joined(mx.fast.scaled_dot_product_attention(q, k, v, scale=scale, mask=seen), lead)


def relative_attention(
    q: mx.array,
    k: mx.array,
    v: mx.array,
    position: mx.array,
    content_bias: mx.array,
    position_bias: mx.array,
    *,
    heads: int,
    left: int | None = None,
    right: int | None = None,
    within: int | None = None,
    before: int = 0,
    given: bool = False,
    scale: float | None = None,
    symmetric: bool = False,
    key_mask: mx.array | None = None,
    table: mx.array | None = None,
) -> mx.array:
    """softmax(scale ((q + content_bias) k + (q + position_bias) position r(t - s))) v per head (Dai et al., 2019).

    q, k, v, masks and bands as for `attention`. position (heads * W, E) projects sinusoids r of the distance, of its
    absolute value if `symmetric`; both biases are (heads * W,).
    """
    lead = q.shape[:-2]
    q, k, v = _heads(q, heads), _heads(k, heads), _heads(v, heads)
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    first = _context(left, within, before) if given else 0
    if table is None:
        rows = _distances(position, first, q.shape[-2], k.shape[-2], symmetric)
    else:
        steps = first + q.shape[-2] - mx.arange(q.shape[-2] + k.shape[-2])
        least = _earliest(len(table), left, right, within, before)
        rows = (position @ table.astype(position.dtype).T)[:, mx.clip(-steps - least, 0, len(table) - 1)]
    rows = rows.reshape(heads, q.shape[-1], -1)
    scores = scale * _shifted((q + position_bias.reshape(heads, 1, -1)) @ rows, k.shape[-2])
    q = q + content_bias.reshape(heads, 1, -1)
    seen, blind = _seen(q, k, _band(q, k, left, right, within, before, first), _masks(key_mask, k))
    if blind is not None:
        q, scores = mx.where(blind, 0, q), mx.where(blind, 0, scores)
    if seen is not None:
        scores = mx.where(seen, scores, mx.finfo(scores.dtype).min)
    return _joined(mx.fast.scaled_dot_product_attention(q, k, v, scale=scale, mask=scores), lead)


def _distances(position: mx.array, first: int, queries: int, keys: int, symmetric: bool) -> mx.array:
    """The projected sinusoids of the distances first + T, ..., first - S + 1: (heads * W, T + S)."""
    steps = first + queries - mx.arange(queries + keys, dtype=mx.float32)
    periods = 10000 ** (mx.arange(0, position.shape[1], 2, dtype=mx.float32) / position.shape[1])
    angles = (mx.abs(steps) if symmetric else steps)[:, None] / periods
    rows = mx.stack([mx.sin(angles), mx.cos(angles)], axis=-1).reshape(queries + keys, -1)
    return position @ rows.astype(position.dtype).T


def _by_distance(
    bias: mx.array,
    q: mx.array,
    k: mx.array,
    left: int | None,
    right: int | None,
    within: int | None,
    before: int,
    first: int,
) -> mx.array:
    """The bias of each query and key, by distance or by place: (heads, T, S)."""
    count = bias.shape[-1]
    query, key = mx.arange(q.shape[-2])[:, None], mx.arange(k.shape[-2]) - first
    if within is not None and bias.ndim == 3:
        begin = query // within * within - before
        return bias.reshape(bias.shape[0], -1)[:, query % within * count + mx.clip(key - begin, 0, count - 1)]
    least = _earliest(count, left, right, within, before)
    return bias[:, mx.clip(key - query - least, 0, count - 1)]


def _earliest(count: int, left: int | None, right: int | None, within: int | None, before: int) -> int:
    """How far behind its query the key is that the first of `count` entries by distance belongs to."""
    if within is not None:
        return 1 - within - before
    if left is not None:
        return -left
    return -(count // 2) if right is None else right + 1 - count


def _shifted(x: mx.array, keys: int) -> mx.array:
    """Scores of distances (.., T, T + S) as scores of keys (.., T, S): row t moves t places to the left."""
    queries, distances = x.shape[-2:]
    flat = x.reshape(*x.shape[:-2], -1)[..., queries:]
    return flat.reshape(*x.shape[:-2], queries, distances - 1)[..., :keys]


def _seen(
    q: mx.array, k: mx.array, seen: mx.array | None, masks: Sequence[mx.array]
) -> tuple[mx.array | None, mx.array | None]:
    """Which keys each query sees, None where all; and which queries a mask would have left none: they average over what
    they saw before it."""
    blind = None
    for mask in masks:
        before = mx.ones((1, k.shape[-2]), mx.bool_) if seen is None else seen
        seen = before & mask[:, None, None, :]
        none = ~mx.any(seen, axis=-1, keepdims=True)
        seen = seen | (none & before)
        blind = none if blind is None else blind | none
    return seen, blind


def _masks(key_mask: mx.array | None, k: mx.array) -> list[mx.array]:
    """Which keys exist, as bool (1 or B, S): each mask narrows those before. Below 0 a key is outside of a stream."""
    if key_mask is None:
        return []
    rows = key_mask.reshape(-1, k.shape[-2])
    if rows.shape[0] > 1:
        rows = mx.repeat(rows, k.shape[0] // rows.shape[0], axis=0)  # of labels that attend each for themselves
    return [rows >= 0, rows > 0]


def _heads(x: mx.array, heads: int) -> mx.array:
    """(.., S, heads * W) to (all the rest, heads, S, W)."""
    return x.reshape(-1, x.shape[-2], heads, x.shape[-1] // heads).swapaxes(1, 2)


def _joined(y: mx.array, lead: Sequence[int]) -> mx.array:
    """The inverse of `_heads`."""
    return y.swapaxes(1, 2).reshape(*lead, y.shape[2], -1)


def _context(left: int | None, within: int | None, before: int) -> int:
    """How many frames the keys that are given begin before the first query."""
    return left or 0 if within is None else before


def _band(
    q: mx.array, k: mx.array, left: int | None, right: int | None, within: int | None, before: int, first: int
) -> mx.array | None:
    """Which keys (S) each query (T) sees, as bool (T, S); None where it sees all. A query sees all that sees none."""
    if left is None and right is None and within is None:
        return None
    query = mx.arange(q.shape[-2])[:, None]
    key = mx.arange(k.shape[-2]) - first
    offset = key - query
    band = mx.ones(offset.shape, mx.bool_)
    if left is not None:
        band = band & (offset >= -left)
    if right is not None:
        band = band & (offset <= right)
    if within is not None:
        begin = query // within * within
        band = band & (key >= begin - before) & (key < begin + within)
    return band | ~mx.any(band, axis=-1, keepdims=True)
