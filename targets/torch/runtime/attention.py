"""Attention over a band of frames, on laid-out tensors (B, C, 1, S) with time last."""

from __future__ import annotations

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
    given: bool = False,
    key_mask: Tensor | None = None,
    valid: Tensor | None = None,
    axis: int = -1,
    key_axis: int = -1,
) -> Tensor:
    """softmax(q k / sqrt(W)) v per head: frame t sees frames t - left ... t + right, None means all on that side.

    q (B, heads * W, 1, T), k (B, kv_heads * W, 1, S), v (B, kv_heads * V, 1, S) give (B, heads * V, 1, T); each kv head
    serves heads / kv_heads query heads. With `given`, k and v hold exactly `left` frames before q's first and `right`
    after its last, as a step hands them over. `key_mask` (S,) and `valid` (B, S) are 1 where a key exists; a query that
    sees none averages over its band.
    """
    kv_heads = kv_heads or heads
    q, k, v = _heads(q, heads, axis), _heads(k, kv_heads, key_axis), _heads(v, kv_heads, key_axis)
    if q.shape[1] == k.shape[1] == 1 and q.ndim == k.ndim == 5:
        q, k, v = q.squeeze(1), k.squeeze(1), v.squeeze(1)  # torch has fast kernels for four axes
    if kv_heads < heads:
        k, v = (a.repeat_interleave(heads // kv_heads, -3) for a in (k, v))
    exists = _existing(key_mask, valid)
    if exists is None and left is None and right == 0 and not given:
        return _joined(F.scaled_dot_product_attention(q, k, v, is_causal=True), axis)
    band = _band(q, k, left, right, given)
    if exists is not None:
        band = torch.ones(1, k.shape[-2], dtype=torch.bool, device=k.device) if band is None else band
        seen = band & exists.view(exists.shape[0], *[1] * (q.ndim - 2), -1)
        blind = ~seen.any(-1, keepdim=True)
        q, band = q.masked_fill(blind, 0), seen | (blind & band)  # equal scores: a blind query averages
    return _joined(F.scaled_dot_product_attention(q, k, v, band), axis)


def _heads(x: Tensor, heads: int, axis: int) -> Tensor:
    """(B, heads * W, ..., S) to (B, ..., heads, S, W)."""
    return torch.unflatten(x, 1, (heads, -1)).movedim((1, axis % x.ndim + 1, 2), (-3, -2, -1))


def _joined(y: Tensor, axis: int) -> Tensor:
    """The inverse of `_heads`, of four axes too."""
    y = y.unsqueeze(1) if y.ndim == 4 else y
    axis = axis % (y.ndim - 1)
    return y.movedim((-3, -2, -1), (1, axis + 1, 2)).flatten(1, 2)


def _existing(key_mask: Tensor | None, valid: Tensor | None) -> Tensor | None:
    """Which keys exist, as bool (1 or B, S); None where all do."""
    if key_mask is None:
        return None if valid is None else valid > 0
    shared = key_mask.reshape(1, -1) > 0
    return shared if valid is None else shared & (valid > 0)


def _band(q: Tensor, k: Tensor, left: int | None, right: int | None, given: bool) -> Tensor | None:
    """Which keys (S) each query (T) sees, as bool (T, S); None where it sees all. A query sees all that sees none."""
    if left is None and right is None:
        return None
    first = left if given and left is not None else 0
    query = torch.arange(q.shape[-2], device=q.device)[:, None]
    offset = torch.arange(k.shape[-2], device=q.device) - first - query
    band = torch.ones_like(offset, dtype=torch.bool)
    if left is not None:
        band = band & (offset >= -left)
    if right is not None:
        band = band & (offset <= right)
    return band | ~band.any(-1, keepdim=True)
