"""Attention over a band of frames, on laid-out tensors (B, C, 1, S) with time last."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    heads: int,
    kv_heads: int | None = None,
    left: int | None = None,
    right: int | None = None,
    within: int | None = None,
    before: int = 0,
    scale: float | None = None,
    given: bool = False,
    key_mask: Tensor | None = None,
    bias: Tensor | None = None,
    valid: Tensor | None = None,
    axis: int = -1,
    key_axis: int = -1,
) -> Tensor:
    """softmax(scale q k + bias) v per head: frame t sees frames t - left ... t + right, None means all on that side.

    q (B, heads * W, 1, T), k (B, kv_heads * W, 1, S), v (B, kv_heads * V, 1, S) give (B, heads * V, 1, T); each kv head
    serves heads / kv_heads query heads; scale is 1 / sqrt(W) unless given. With `given`, k and v hold exactly `left`
    frames before q's first and `right` after its last, as a step hands them over. With `within`, frames are in blocks
    of so many from the first one, and a frame sees none outside of its own but the `before` frames in front of it,
    with which k and v begin where `given`. `key_mask`, (S,), (B, S) or laid out as k,
    and `valid` (B, S) are 1 where a key exists; a query that sees none averages over the `valid` ones of its band.
    `bias` (heads, D) is added by distance: entry 0 is of the band's earliest key, and where one side is open the
    outermost entry counts for all beyond; with both open the middle is distance 0. Or it is
    (heads, within, before + within), by places in a block. One head of it serves all.
    """
    kv_heads = kv_heads or heads
    q, k, v = _heads(q, heads, axis), _heads(k, kv_heads, key_axis), _heads(v, kv_heads, key_axis)
    if q.shape[1] == k.shape[1] == 1 and q.ndim == k.ndim == 5:
        q, k, v = q.squeeze(1), k.squeeze(1), v.squeeze(1)  # torch has fast kernels for four axes
    if kv_heads < heads:
        k, v = (a.repeat_interleave(heads // kv_heads, -3) for a in (k, v))
    masks = _masks(key_mask, valid, k)
    if bias is None and not masks and left is None and right == 0 and not given and within is None:
        return _joined(F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale), axis)
    first = _context(left, within, before) if given else 0
    seen, blind = _seen(q, k, _band(q, k, left, right, within, before, first), masks)
    q = q if blind is None else q.masked_fill(blind, 0)  # equal scores: a blind query averages
    if bias is not None:
        by_distance = _by_distance(bias, q, k, left, right, within, before, first)
        by_distance = by_distance if blind is None else by_distance.masked_fill(blind, 0)
        seen = by_distance if seen is None else by_distance.masked_fill(~seen, float("-inf"))
    return _joined(F.scaled_dot_product_attention(q, k, v, seen, scale=scale), axis)


def relative_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    position: Tensor,
    content_bias: Tensor,
    position_bias: Tensor,
    *,
    heads: int,
    left: int | None = None,
    right: int | None = None,
    within: int | None = None,
    before: int = 0,
    given: bool = False,
    scale: float | None = None,
    symmetric: bool = False,
    key_mask: Tensor | None = None,
    table: Tensor | None = None,
    valid: Tensor | None = None,
    axis: int = -1,
    key_axis: int = -1,
) -> Tensor:
    """softmax(scale ((q + content_bias) k + (q + position_bias) position r(t - s))) v per head (Dai et al., 2019).

    q, k, v, masks and bands as for `attention`, with a head of keys for each of queries. position (heads * W, E)
    projects sinusoids r of the distance, of its absolute value if `symmetric`, or rows of `table` (D, E), which has the
    distances of a bias of `attention`; both biases are (heads * W,). scale is 1 / sqrt(W) unless given.
    """
    q, k, v = _heads(q, heads, axis), _heads(k, heads, key_axis), _heads(v, heads, key_axis)
    if q.shape[1] == k.shape[1] == 1:
        q, k, v = q.squeeze(1), k.squeeze(1), v.squeeze(1)
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    first = _context(left, within, before) if given else 0
    if table is None:
        rows = _distances(position, first, q.shape[-2], k.shape[-2], symmetric)
    else:
        steps = first + q.shape[-2] - torch.arange(q.shape[-2] + k.shape[-2], device=q.device)
        least = _earliest(len(table), left, right, within, before)
        rows = (position @ table.to(position.dtype).mT)[:, (-steps - least).clamp(0, len(table) - 1)]
    distances = torch.unflatten(rows, 0, (heads, -1))
    by_distance = scale * _shifted((q + position_bias.view(heads, 1, -1)) @ distances, k.shape[-2])
    q = q + content_bias.view(heads, 1, -1)
    masks = _masks(key_mask, valid, k)
    seen, blind = _seen(q, k, _band(q, k, left, right, within, before, first), masks)
    if blind is not None:
        q, by_distance = q.masked_fill(blind, 0), by_distance.masked_fill(blind, 0)
    if seen is not None:
        by_distance = by_distance.masked_fill(~seen, float("-inf"))
    return _joined(F.scaled_dot_product_attention(q, k, v, by_distance, scale=scale), axis)


def _distances(position: Tensor, first: int, queries: int, keys: int, symmetric: bool) -> Tensor:
    """The projected sinusoids of the distances first + T, ..., first - S + 1: (heads * W, T + S)."""
    steps = first + queries - torch.arange(queries + keys, device=position.device, dtype=torch.float32)
    pairs = torch.arange(0, position.shape[1], 2, device=position.device, dtype=torch.float32)
    angles = (steps.abs() if symmetric else steps)[:, None] * 10000 ** (-pairs / position.shape[1])
    rows = torch.stack((angles.sin(), angles.cos()), -1).flatten(1)
    return position @ rows.to(position.dtype).mT


def _by_distance(
    bias: Tensor,
    q: Tensor,
    k: Tensor,
    left: int | None,
    right: int | None,
    within: int | None,
    before: int,
    first: int,
) -> Tensor:
    """The bias of each query and key, by distance or by place: (heads, T, S)."""
    count = bias.shape[-1]
    query = torch.arange(q.shape[-2], device=q.device)[:, None]
    key = torch.arange(k.shape[-2], device=q.device) - first
    if within is not None and bias.ndim == 3:
        begin = query // within * within - before
        return bias.to(q.dtype).flatten(1)[:, query % within * count + (key - begin).clamp(0, count - 1)]
    least = _earliest(count, left, right, within, before)
    return bias.to(q.dtype)[:, (key - query - least).clamp(0, count - 1)]


def _earliest(count: int, left: int | None, right: int | None, within: int | None, before: int) -> int:
    """How far behind its query the key is that the first of `count` entries by distance belongs to."""
    if within is not None:
        return 1 - within - before
    if left is not None:
        return -left
    return -(count // 2) if right is None else right + 1 - count


def _shifted(x: Tensor, keys: int) -> Tensor:
    """Scores of distances (..., T, T + S), the first of which nobody asks for, as scores of keys (..., T, S).

    Row t moves t places to the left: the same entries in rows that are one shorter.
    """
    queries, distances = x.shape[-2:]
    flat = x.flatten(-2)[..., queries:]
    return torch.unflatten(flat, -1, (queries, distances - 1))[..., :keys]


def _seen(q: Tensor, k: Tensor, seen: Tensor | None, masks: Sequence[Tensor]) -> tuple[Tensor | None, Tensor | None]:
    """Which keys each query sees, None where all; and which queries a mask (1 or B, S) would have left none: they
    average over what they saw before it."""
    blind = None
    for mask in masks:
        before = torch.ones(1, k.shape[-2], dtype=torch.bool, device=k.device) if seen is None else seen
        seen = before & mask.view(mask.shape[0], *[1] * (q.ndim - 2), -1)
        none = ~seen.any(-1, keepdim=True)
        seen = seen | (none & before)
        blind = none if blind is None else blind | none
    return seen, blind


def _masks(key_mask: Tensor | None, valid: Tensor | None, k: Tensor) -> list[Tensor]:
    """Which keys (.., S, W) exist, as bool (1 or B, S): each mask narrows those before. Below 0 a key is outside of a
    stream."""
    rows = None if key_mask is None else key_mask.reshape(-1, k.shape[-2])
    given = [] if rows is None else [rows >= 0, rows > 0]
    return given if valid is None else [valid > 0, *given]


def _heads(x: Tensor, heads: int, axis: int) -> Tensor:
    """(B, heads * W, ..., S) to (B, ..., heads, S, W)."""
    return torch.unflatten(x, 1, (heads, -1)).movedim((1, axis % x.ndim + 1, 2), (-3, -2, -1))


def _joined(y: Tensor, axis: int) -> Tensor:
    """The inverse of `_heads`, of four axes too."""
    y = y.unsqueeze(1) if y.ndim == 4 else y
    axis = axis % (y.ndim - 1)
    return y.movedim((-3, -2, -1), (1, axis + 1, 2)).flatten(1, 2)


def _context(left: int | None, within: int | None, before: int) -> int:
    """How many frames the keys that are given begin before the first query."""
    return left or 0 if within is None else before


def _band(
    q: Tensor, k: Tensor, left: int | None, right: int | None, within: int | None, before: int, first: int
) -> Tensor | None:
    """Which keys (S) each query (T) sees, as bool (T, S); None where it sees all. A query sees all that sees none."""
    if left is None and right is None and within is None:
        return None
    query = torch.arange(q.shape[-2], device=q.device)[:, None]
    key = torch.arange(k.shape[-2], device=q.device) - first
    offset = key - query
    band = torch.ones_like(offset, dtype=torch.bool)
    if left is not None:
        band = band & (offset >= -left)
    if right is not None:
        band = band & (offset <= right)
    if within is not None:
        begin = query // within * within
        band = band & (key >= begin - before) & (key < begin + within)
    return band | ~band.any(-1, keepdim=True)
