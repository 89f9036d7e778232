"""The selective scan of Mamba as one differentiable torch operation, `mctc::selective_scan`.

    rate = softplus(delta + delta_bias)          or delta + delta_bias
    h[t] = exp(rate[t] A) h[t-1] + rate[t] B[t] x[t]
    y[t] = (sum over n of C[n, t] h[n, t] + D x[t]) silu(z[t])

On CUDA and MPS a kernel compiled from selective_scan.metal runs it, on a CPU one compiled from selective_scan.cpp, or
torch operations where there is no compiler. All compute in fp32 (a CPU also in fp64, for gradcheck), none ever stores a
tensor of (Batch, Channels, L, N), and the same input gives the same bits each time.
"""

# ruff: noqa: N803 - the names of the paper

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor

from . import selective_scan_op

Given = TypeVar("Given", Tensor, Tensor | None)


def selective_scan(
    x: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    h: Tensor | None = None,
    *,
    softplus: bool = False,
) -> tuple[Tensor, Tensor]:
    """y, as x, and the state after the last step, as h.

    x, delta, z: (Batch, Channels, L), or all of them (Batch, Channels, 1, L); A: (Channels, N), negative, N up to 256;
    B, C: (Batch, Groups * N, [1,] L), where channel c belongs to group c // (Channels / Groups); D, delta_bias:
    (Channels,); h: (Batch, Channels, [1,] N), the state before the first step, zeros where absent. x is fp32, fp16 or
    bf16, and delta, B, C and z are brought to its type; A, D, delta_bias and h come in any and are widened to fp32, the
    type of the returned state. Raises ValueError where something doesn't fit.
    """
    wide = torch.promote_types(x.dtype, torch.float32)
    steps, rates = _to(delta, x.dtype), _to(A, wide)
    small = _to(D, wide), _to(z, x.dtype), _to(delta_bias, wide), _to(h, wide)
    return selective_scan_op.scan((x, steps, rates, _to(B, x.dtype), _to(C, x.dtype), *small), softplus=softplus)


def _to(each: Given, dtype: torch.dtype) -> Given:
    return each if each is None or each.dtype is dtype else each.to(dtype)
