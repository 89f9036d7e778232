"""The scan of Mamba-2 (SSD), in torch operations that autograd differentiates.

Time is cut into chunks. Inside one, all pairs of frames are weighed by two matrix products and the decay between them;
from one to the next goes the state (Dao & Gu, 2024, section 6).
"""

# ruff: noqa: N803 - the names of the paper

from __future__ import annotations

import torch
from torch import Tensor

CHUNK = 64


def ssd(
    x: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    h: Tensor | None = None,
    *,
    groups: int = 1,
) -> tuple[Tensor, Tensor]:
    """h[t] = exp(delta[t] A) h[t-1] + delta[t] x[t] B[t]^T and y[t] = h[t] C[t] + D x[t] for each of `Heads` heads.

    x: (Batch, Heads * P, 1, L); delta: (Batch, Heads, 1, L); A, D: (Heads,), A negative; B, C: (Batch, groups * N, 1,
    L), where head i belongs to group i // (Heads / groups); h: (Batch, Heads * P, 1, N), zeros where absent. Returns y,
    as x, and the state after the last frame, in fp32 at least.
    """
    batch, channels, _, length = x.shape
    heads, states = A.shape[0] // groups, B.shape[1] // groups
    wide = torch.promote_types(x.dtype, torch.float32)
    u = x.to(wide).reshape(batch, groups, heads, -1, length)
    rate = delta.to(wide).reshape(batch, groups, heads, length)
    exponent = rate * A.view(groups, heads, 1)
    drive = u * rate.unsqueeze(3)
    into, out = (each.to(wide).reshape(batch, groups, 1, states, length) for each in (B, C))
    shape = (*u.shape[:4], states)
    state = u.new_zeros(shape) if h is None else h.to(wide).reshape(shape)
    outputs = []
    for start in range(0, length, CHUNK):
        here = slice(start, start + CHUNK)
        y, state = _chunk(drive[..., here], exponent[..., here], into[..., here], out[..., here], state)
        outputs.append(y)
    y = torch.cat(outputs, -1)
    if D is not None:
        y = y + u * D.view(groups, heads, 1, 1)
    return y.reshape(x.shape).to(x.dtype), state.reshape(batch, channels, 1, states)


def _chunk(drive: Tensor, exponent: Tensor, B: Tensor, C: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """y and the last state, from drive (.., P, l), exponent (.., l), B and C (.., N, l), state (.., P, N)."""
    between = _between(exponent).exp().triu()
    y = drive @ (between * (B.mT @ C))
    since = exponent.cumsum(-1).exp().unsqueeze(-2)
    rest = between[..., -1].unsqueeze(-2)
    return y + (state @ C) * since, state * since[..., -1:] + (drive * rest) @ B.mT


def _between(exponent: Tensor) -> Tensor:
    """[s, t]: the sum of the exponents of frames s+1 to t, without a difference of running sums; 0 where t <= s."""
    length = exponent.shape[-1]
    return exponent.unsqueeze(-2).expand(*exponent.shape[:-1], length, length).triu(1).cumsum(-1)
