"""The selective scan of Mamba as one differentiable torch operation, `mctc::selective_scan`.

    rate = softplus(delta + delta_bias)          or delta + delta_bias
    h[t] = exp(rate[t] A) h[t-1] + rate[t] B[t] x[t]
    y[t] = (sum over n of C[n, t] h[n, t] + D x[t]) silu(z[t])

On CUDA and MPS a kernel compiled from selective_scan.metal runs it, on a CPU one compiled from selective_scan.cpp, or
torch operations where there is no compiler. All compute in fp32 (a CPU also in fp64, for gradcheck), none ever stores a
tensor of (Batch, Channels, L, N), and the same input gives the same bits each time.
"""

# ruff: noqa: N803, N806 - the names of the paper

from __future__ import annotations

import torch
from torch import Tensor

from . import selective_scan_op


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
    A, D, delta_bias, h = A.to(wide), _to(D, wide), _to(delta_bias, wide), _to(h, wide)
    delta, B, C, z = delta.to(x.dtype), B.to(x.dtype), C.to(x.dtype), _to(z, x.dtype)
    squeezed = x.dim() == 4
    if squeezed:
        x, delta, B, C = (_squeeze(*each) for each in (("x", x), ("delta", delta), ("B", B), ("C", C)))
        z = None if z is None else _squeeze("z", z)
        h = None if h is None else _squeeze("h", h)
    B, C = _by_group("B", B, A), _by_group("C", C, A)
    y, last = selective_scan_op.scan(x, delta, A, B, C, D, z, delta_bias, h, softplus=softplus)
    return (y.unsqueeze(2), last.unsqueeze(2)) if squeezed else (y, last)


def _to(each: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    return None if each is None else each.to(dtype)


def _squeeze(name: str, each: Tensor) -> Tensor:
    if each.dim() != 4 or each.shape[2] != 1:
        raise ValueError(
            f"selective_scan: {name} is {tuple(each.shape)}; where x has four axes, its third must be there and be 1"
        )
    return each.squeeze(2)


def _by_group(name: str, each: Tensor, A: Tensor) -> Tensor:
    """(Batch, Groups * N, L) to (Batch, Groups, N, L)."""
    state = A.shape[-1]
    if each.dim() != 3 or each.shape[1] == 0 or each.shape[1] % state:
        raise ValueError(
            f"selective_scan: {name} is {tuple(each.shape)}; "
            f"it must be (Batch, Groups * N, L) with N = {state}, the last axis of A {tuple(A.shape)}"
        )
    batch, rows, length = each.shape
    return each.reshape(batch, rows // state, state, length)
