"""Functions on laid-out tensors, (B, C, 1, S) with time last, that torch has in another layout or not at all.

`valid` is (B, S): 1 for the frames of an utterance, 0 for the padding behind it in a batch.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812


def layer_norm(
    x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, *, eps: float = 1e-5, axis: int = 1
) -> Tensor:
    """(x - mean) / sqrt(variance + eps) over the channels of each frame, times weight (C,) plus bias (C,)."""
    last = x.movedim(axis, -1)
    return F.layer_norm(last, last.shape[-1:], weight, bias, eps).movedim(-1, axis)


def rms_norm(x: Tensor, weight: Tensor | None = None, *, eps: float = 1e-5, axis: int = 1) -> Tensor:
    """x / sqrt(mean(x^2) + eps) over the channels of each frame, times weight (C,)."""
    last = x.movedim(axis, -1)
    return F.rms_norm(last, last.shape[-1:], weight, eps).movedim(-1, axis)


def frames(valid: Tensor, x: Tensor, axis: int = -1) -> Tensor:
    """Which frames exist, as bool that broadcasts against x: (B, S) to (B, 1, 1, S)."""
    shape = [1] * x.ndim
    shape[0], shape[axis] = valid.shape
    return valid.view(shape) > 0


def masked(x: Tensor, valid: Tensor, *, value: float = 0.0, axis: int = -1) -> Tensor:
    """x with `value` in the frames that do not exist."""
    return x.masked_fill(~frames(valid, x, axis), value)


def masked_mean(x: Tensor, valid: Tensor, *, axis: int = -1) -> Tensor:
    """Mean over the frames that exist; the axis is kept with extent 1. An utterance without frames gives zeros."""
    exist = frames(valid, x, axis)
    count = exist.sum(axis, keepdim=True).clamp(min=1)
    return x.masked_fill(~exist, 0).sum(axis, keepdim=True) / count


def masked_moments(x: Tensor, valid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and variance (C,) of each channel of x (B, C, ..., S) over the frames that exist, and how many entries a
    channel has. In float32 at least."""
    x = x if x.dtype == torch.float64 else x.float()
    exist = frames(valid, x)
    others = [axis for axis in range(x.ndim) if axis != 1]
    count = exist.expand(x.shape[0], 1, *x.shape[2:]).sum().clamp(min=1)
    mean = x.masked_fill(~exist, 0).sum(others, keepdim=True) / count
    variance = (x - mean).masked_fill(~exist, 0).square().sum(others) / count
    return mean.flatten(), variance, count


def reverse(x: Tensor, valid: Tensor, *, axis: int = -1) -> Tensor:
    """Each utterance's frames in reverse order; its padding stays behind them."""
    exist = frames(valid, x, axis)
    length = exist.sum(axis, keepdim=True)
    shape = [1] * x.ndim
    shape[axis] = -1
    at = torch.arange(x.shape[axis], device=x.device).view(shape)
    source = torch.where(exist, length - 1 - at, at)
    return x.gather(axis, source.expand(x.shape))


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
    """(B, heads * W, ..., S) to (B, ..., heads, S, W); an axis of 1 in between goes, so that fast kernels apply."""
    parts = x.unflatten(1, (heads, -1)).movedim((1, axis % x.ndim + 1, 2), (-3, -2, -1))
    return parts.squeeze(1) if parts.shape[1] == 1 and parts.ndim == 5 else parts


def _joined(y: Tensor, axis: int) -> Tensor:
    """The inverse of `_heads`."""
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


def lstm(
    x: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor | None = None,
    h: Tensor | None = None,
    c: Tensor | None = None,
    *,
    mask: Tensor | None = None,
    axis: int = -1,
) -> tuple[Tensor, Tensor, Tensor]:
    """A long short-term memory over x (B, I, 1, S): y (B, H, 1, S) and the last states h, c (B, H, 1, 1).

    weight_ih (4 H, I), weight_hh (4 H, H) and bias (4 H,) stack the gates i, f, g, o. States start at zero where none
    are given. `mask`, (S,) or (B, S): a frame of 0 leaves the states as they were. Without it the fused kernels run.
    """
    seen = _time_first(x, axis)
    start = _states((h, c), seen, weight_hh, axis)
    if mask is None:
        weights = [weight_ih, weight_hh, *_biases(bias, None, weight_ih)]
        y, *last = torch.lstm(seen, start, weights, bias is not None, 1, 0.0, False, False, False)
    else:
        y, last = _masked_lstm(seen, weight_ih, weight_hh, bias, start, _marks(mask, seen, x))
    return _laid_out(y, x, axis), _laid_out(last[0], x, axis), _laid_out(last[1], x, axis)


def gru(
    x: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    h: Tensor | None = None,
    *,
    mask: Tensor | None = None,
    axis: int = -1,
) -> tuple[Tensor, Tensor]:
    """A gated recurrent unit over the frames of x (B, I, 1, S): y (B, H, 1, S) and the state h (B, H, 1, 1) after.

    weight_ih (3 H, I), weight_hh (3 H, H) and the biases (3 H,) stack the gates r, z, n. `mask` as in `lstm`.
    """
    seen = _time_first(x, axis)
    (start,) = _states((h,), seen, weight_hh, axis)
    if mask is None:
        has_bias = bias_ih is not None or bias_hh is not None
        weights = [weight_ih, weight_hh, *(_biases(bias_ih, bias_hh, weight_ih) if has_bias else [])]
        y, last = torch.gru(seen, start, weights, has_bias, 1, 0.0, False, False, False)
    else:
        y, last = _masked_gru(seen, weight_ih, weight_hh, bias_ih, bias_hh, start, _marks(mask, seen, x))
    return _laid_out(y, x, axis), _laid_out(last, x, axis)


def _time_first(x: Tensor, axis: int) -> Tensor:
    """(B, C, ..., S) to (S, B * ..., C), as torch's recurrent kernels take it."""
    return x.movedim((axis, 1), (0, -1)).flatten(1, -2)


def _laid_out(y: Tensor, x: Tensor, axis: int) -> Tensor:
    """(S, B * ..., H) back to x's layout: (B, H, ..., S)."""
    rest = x.movedim((axis, 1), (0, -1)).shape[1:-1]
    return y.unflatten(1, rest).movedim((0, -1), (axis, 1))


def _states(states: Sequence[Tensor | None], seen: Tensor, weight_hh: Tensor, axis: int) -> list[Tensor]:
    """Each state as (1, B * ..., H); zeros where none is given."""
    zeros = seen.new_zeros(1, seen.shape[1], weight_hh.shape[1])
    return [zeros if state is None else _time_first(state, axis).to(seen.dtype) for state in states]


def _biases(first: Tensor | None, second: Tensor | None, weight: Tensor) -> list[Tensor]:
    """torch's kernels take a bias for either product or none at all."""
    zeros = weight.new_zeros(weight.shape[0])
    if first is None and second is None:
        return []
    return [zeros if first is None else first, zeros if second is None else second]


def _marks(mask: Tensor, seen: Tensor, x: Tensor) -> Tensor:
    """A mask (S,) or (B, S) as (S, B * ..., 1) of bool."""
    rows = mask.expand(x.shape[0], -1) if mask.ndim < 2 else mask
    return (rows > 0).T.repeat_interleave(seen.shape[1] // x.shape[0], 1)[:, :, None]


def _masked_lstm(
    seen: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor | None, start: Sequence[Tensor], marks: Tensor
) -> tuple[Tensor, list[Tensor]]:
    h, c = (state[0] for state in start)
    outputs = []
    for from_x, mark in zip(F.linear(seen, weight_ih, bias), marks):
        i, f, g, o = (from_x + F.linear(h, weight_hh)).chunk(4, -1)
        new = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.where(mark, torch.sigmoid(o) * torch.tanh(new), h)
        c = torch.where(mark, new, c)
        outputs.append(h)
    return torch.stack(outputs), [h[None], c[None]]


def _masked_gru(
    seen: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    start: Tensor,
    marks: Tensor,
) -> tuple[Tensor, Tensor]:
    h, outputs = start[0], []
    for from_x, mark in zip(F.linear(seen, weight_ih, bias_ih), marks):
        reset_x, update_x, new_x = from_x.chunk(3, -1)
        reset_h, update_h, new_h = F.linear(h, weight_hh, bias_hh).chunk(3, -1)
        update = torch.sigmoid(update_x + update_h)
        new = torch.tanh(new_x + torch.sigmoid(reset_x + reset_h) * new_h)
        h = torch.where(mark, (1 - update) * new + update * h, h)
        outputs.append(h)
    return torch.stack(outputs), h[None]


def unpacked(text: str, shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
    """The tensor of base64 text of zlib-compressed little-endian entries: how a long constant is written."""
    data = bytearray(zlib.decompress(base64.b64decode(text)))
    return torch.frombuffer(data, dtype=dtype).reshape(tuple(shape))
