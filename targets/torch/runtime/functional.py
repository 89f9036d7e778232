"""Functions on laid-out tensors, (B, C, 1, S) with time last, that torch has in another layout or not at all.

`valid` is (B, S): 1 for the frames of an utterance, 0 for the padding behind it in a batch.
"""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from .across import total
from .attention import attention, relative_attention
from .precision import narrowed
from .recurrent import gru, lstm

__all__ = [
    "attention",
    "gru",
    "layer_norm",
    "lstm",
    "masked",
    "masked_mean",
    "masked_moments",
    "relative_attention",
    "reverse",
    "rms_norm",
    "unpacked",
]


def layer_norm(
    x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, *, eps: float = 1e-5, axis: int = 1
) -> Tensor:
    """(x - mean) / sqrt(variance + eps) over the channels of each frame, times weight (C,) plus bias (C,)."""
    last = narrowed(x, weight).movedim(axis, -1)
    return _time_innermost(F.layer_norm(last, last.shape[-1:], weight, bias, eps), axis)


def rms_norm(x: Tensor, weight: Tensor | None = None, *, eps: float = 1e-5, axis: int = 1) -> Tensor:
    """x / sqrt(mean(x^2) + eps) over the channels of each frame, times weight (C,)."""
    last = x.movedim(axis, -1)
    if weight is None or weight.dtype == x.dtype:
        return _time_innermost(F.rms_norm(last, last.shape[-1:], weight, eps), axis)
    y = F.rms_norm(last, last.shape[-1:], None, eps) * weight  # low-precision frames: torch's kernel takes one type
    return _time_innermost(y.to(x.dtype), axis)


def batch_norm_at_rest(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(variance + eps), times weight plus bias, of each channel on axis 1: by vectors (C,) that are
    parameters of the spec, for which torch's own has no gradients."""
    each = (-1, *[1] * (x.ndim - 2))
    factor = torch.rsqrt(variance + eps) if weight is None else weight * torch.rsqrt(variance + eps)
    y = (x - mean.view(each)) * factor.view(each)
    return (y if bias is None else y + bias.view(each)).to(x.dtype)


def _time_innermost(y: Tensor, axis: int) -> Tensor:
    """y with its last axis back at `axis`, copied: convolutions would hand channels-last strides on to a scan, which
    would have to copy each of its operands."""
    return y.movedim(-1, axis).contiguous()


def frames(valid: Tensor, x: Tensor, axis: int = -1) -> Tensor:
    """Which frames exist, as bool that broadcasts against x: (B, S) to (B, 1, 1, S)."""
    shape = [1] * x.ndim
    shape[0], shape[axis] = valid.shape
    return valid.view(shape) > 0


def masked(x: Tensor, valid: Tensor, *, value: float = 0.0, axis: int = -1) -> Tensor:
    """x with `value` in the frames that do not exist.

    Of an infinite value, which leaves a frame out of a maximum or a softmax, an utterance without frames gets none:
    its results are finite, and nobody reads them.
    """
    exist = frames(valid, x, axis)
    if math.isinf(value):
        exist = exist | ~exist.any(axis, keepdim=True)
    return x.masked_fill(~exist, value)


def masked_mean(x: Tensor, valid: Tensor, *, axis: int = -1) -> Tensor:
    """Mean over the frames that exist; the axis is kept with extent 1. An utterance without frames gives zeros."""
    exist = frames(valid, x, axis)
    share = x.shape[axis] / exist.sum(axis, keepdim=True).clamp(min=1)
    return x.masked_fill(~exist, 0).mean(axis, keepdim=True) * share.to(x.dtype)  # a sum may leave fp16


def masked_moments(x: Tensor, valid: Tensor, *, together: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and variance (C,) of each channel of x (B, C, ..., S) over the frames that exist, and how many entries a
    channel has. In float32 at least. together: over the batches of all processes that train."""
    summed = total if together else torch.clone
    x = x if x.dtype == torch.float64 else x.float()
    exist = frames(valid, x)
    others = [axis for axis in range(x.ndim) if axis != 1]
    count = summed(exist.expand(x.shape[0], 1, *x.shape[2:]).sum().to(x.dtype)).clamp(min=1)
    mean = summed(x.masked_fill(~exist, 0).sum(others, keepdim=True)) / count
    variance = summed((x - mean).masked_fill(~exist, 0).square().sum(others)) / count
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


def unpacked(text: str, shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
    """The tensor of base64 text of zlib-compressed little-endian entries: how a long constant is written."""
    data = bytearray(zlib.decompress(base64.b64decode(text)))
    return torch.frombuffer(data, dtype=dtype).reshape(tuple(shape))
